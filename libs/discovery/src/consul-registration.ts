// Keeps one instance registered: signs of life, and a new claim whenever Consul may have taken the old one for dead.

import { setTimeout as sleep } from 'node:timers/promises';
import { backOffMs, consulServiceName, findUsurper } from './consul-catalog.ts';
import { beat, claimName, isRegistered, readCatalog, replaceRegistration, untilHidden, withdraw, type Claim, type ClaimSettings } from './consul-claim.ts';
import { CallError } from './consul-link.ts';
import { describeCallError, mayNot } from './consul-rights.ts';
import { createTurns } from './one-at-a-time.ts';
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

export interface KeptRegistration {
  /** Resolves when the catalog has the metadata. False when another process has the name. @throws CallError */
  update(meta: Instance['meta']): Promise<boolean>;
  /** Resolves when nobody is shown the instance any more; when Consul is away, too: the claim runs out by itself, and `onProblem` hears of it. */
  leave(): Promise<void>;
}

/** Goes on from a claim that is held until `leave`. */
export function keepRegistered(registered: Instance, first: Extract<Claim, { kind: 'held' }>, own: Set<string>, options: RegistrationOptions): KeptRegistration {
  const { link, nowMs, ttlMs, heartbeatIntervalMs, random, onProblem } = options;
  const where = `${registered.service} "${registered.id}"`;
  let instance = registered;
  const report = createOnceReporter(where, onProblem, 'is registered again');
  const leaving = new AbortController();
  let held: { claim: string; beatAtMs: number } | undefined = first;
  let failures = 0;
  let verifiedAtMs = nowMs();
  const inTurn = createTurns();

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
      await inTurn(keep).catch((error: CallError) => {
        // That Consul is away is reported once, by the link; one that comes back does not know its tokens at once.
        if (error.status === undefined || error.status >= 500 || link.isSettling) return;
        report(`no heartbeat: ${describeCallError(error, mayNot(`keep ${consulServiceName(instance)} registered`, 'service:write'))}`);
      });
      // oxlint-enable no-await-in-loop
    }
  }
  // As far as the agent knows, the process was there all the time; the agent itself may not have been.
  const stopListening = link.onRecovered(() => {
    verifiedAtMs = -Infinity;
  });
  const living = live();

  /** Of a claim that is not held any more, or that the agent lost, the next one has the metadata. */
  async function replace(): Promise<boolean> {
    if (held && nowMs() - held.beatAtMs <= ttlMs && (await isRegistered(link, held.claim))) {
      await replaceRegistration(instance, held.claim, options);
      const sentAtMs = nowMs();
      await beat(link, held.claim, 'pass');
      held.beatAtMs = sentAtMs;
      return true;
    }
    if (link.hasTrouble) throw new CallError('Consul does not answer', undefined);
    await claimAnew();
    return held !== undefined;
  }

  return {
    update: (meta) => inTurn(async () => {
      const before = instance;
      instance = { ...instance, meta };
      try {
        return await replace();
      } catch (error) {
        // What Consul does not take would keep the next claim from it too.
        if ((error as CallError).status === 400) instance = before;
        throw error;
      }
    }),
    async leave() {
      leaving.abort();
      stopListening();
      await living;
      await inTurn(async () => {});
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
