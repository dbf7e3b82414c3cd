// Keeps one instance registered: signs of life, and a new claim whenever Consul may have taken the old one for dead.

import { setTimeout as sleep } from 'node:timers/promises';
import { backOffMs, findUsurper } from './consul-catalog.ts';
import { beat, claimName, isRegistered, readCatalog, untilHidden, withdraw, type Claim, type ClaimSettings } from './consul-claim.ts';
import type { CallError } from './consul-link.ts';
import { createOnceReporter } from './problem-reporter.ts';
import type { Instance, RegistryProblem } from './registry.ts';

export interface RegistrationOptions extends Omit<ClaimSettings, 'signal'> {
  readonly random: () => number;
  readonly onProblem: (problem: RegistryProblem) => void;
}

/** How many TTLs pass between looks at whether somebody else took the name. */
const VERIFY_INTERVAL_TTLS = 5;
/** Between claims that fail, or that somebody else's stands against. */
const CLAIM_BACK_OFF = { baseMs: 100, maxMs: 2000 };

/**
 * Goes on from a claim that is held until `leave`, which resolves when nobody is shown the instance any more. When Consul is away then, it resolves
 * too: the claim runs out by itself, and `onProblem` hears of it.
 */
export function keepRegistered(instance: Instance, first: Extract<Claim, { kind: 'held' }>, own: Set<string>, options: RegistrationOptions): { leave(): Promise<void> } {
  const { link, nowMs, ttlMs, heartbeatIntervalMs, random, onProblem } = options;
  const where = `${instance.service} "${instance.id}"`;
  const report = createOnceReporter(where, onProblem, 'is registered again');
  const leaving = new AbortController();
  let held: { claim: string; beatAtMs: number } | undefined = first;
  let failures = 0;
  let verifiedAtMs = nowMs();

  /** The order of claims decides who holds the name, so whoever may have been taken for dead goes to its end. */
  async function claimAnew(): Promise<void> {
    if (link.hasTrouble) return;
    failures += 1;
    const claim = await claimName(instance, own, { ...options, signal: leaving.signal });
    await Promise.all([...own].filter((id) => claim.kind === 'taken' || id !== claim.claim).map(async (id) => {
      if (await withdraw(link, id)) own.delete(id);
    }));
    held = claim.kind === 'held' ? { ...claim } : undefined;
    if (held) failures = 0;
    report(held ? undefined : 'now belongs to another process; watchers no longer see this one');
  }

  async function keep(): Promise<void> {
    if (held === undefined || nowMs() - held.beatAtMs > ttlMs) return claimAnew();
    const sentAtMs = nowMs();
    try {
      await beat(link, held.claim, 'pass');
    } catch (error) {
      // The agent came back without its data, or somebody removed the registration.
      if ((error as CallError).status !== undefined && !(await isRegistered(link, held.claim))) return claimAnew();
      throw error;
    }
    held.beatAtMs = sentAtMs;
    report(undefined);
    if (nowMs() - verifiedAtMs > ttlMs * VERIFY_INTERVAL_TTLS && !link.hasTrouble) {
      verifiedAtMs = nowMs();
      const { entries } = await readCatalog(link, instance, 0n, leaving.signal);
      if (findUsurper(entries, instance, own)) await claimAnew();
    }
  }

  async function live(): Promise<void> {
    while (!leaving.signal.aborted) {
      // oxlint-disable no-await-in-loop -- one sign of life after the other
      const pauseMs = heartbeatIntervalMs + (failures === 0 ? 0 : backOffMs(failures, random, CLAIM_BACK_OFF));
      await sleep(pauseMs, undefined, { signal: leaving.signal }).catch(() => {});
      if (leaving.signal.aborted) return;
      await keep().catch((error: CallError) => {
        // That Consul is away is reported once, by the link.
        if (error.status !== undefined && error.status < 500) report(`no heartbeat: ${error.message}`);
      });
      // oxlint-enable no-await-in-loop
    }
  }
  // As far as the agent knows, the process was there all the time; the agent itself may not have been.
  const stopListening = link.onRecovered(() => {
    verifiedAtMs = -Infinity;
  });
  const living = live();

  return {
    async leave() {
      leaving.abort();
      stopListening();
      await living;
      const claims = [...own];
      const withdrawn = await Promise.all(claims.map((claim) => withdraw(link, claim)));
      if (withdrawn.every(Boolean)) {
        if (held) await untilHidden(link, instance, held.claim, nowMs).catch(() => {});
      } else {
        onProblem({ where, message: `could not be deregistered, since Consul does not answer; it is hidden ${ttlMs} ms after its last heartbeat` });
      }
    },
  };
}
