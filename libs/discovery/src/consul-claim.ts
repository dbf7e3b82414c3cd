// Claims a name in Consul's catalog, so that of all who want it, at whichever agents, one gets it.

import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type Consul from 'consul';
import {
  claimId,
  consulServiceName,
  findRemains,
  findRival,
  heartbeatCheckId,
  nextIndex,
  readEntries,
  serverCheckId,
  tagsOf,
  type Entry,
} from './consul-catalog.ts';
import { CallError, type ConsulLink } from './consul-link.ts';
import type { Instance } from './registry.ts';

export interface ClaimSettings {
  readonly link: ConsulLink;
  readonly ttlMs: number;
  readonly heartbeatIntervalMs: number;
  /** When set, the agent also calls `grpc.health.v1.Health/Check` over TLS this often. */
  readonly serverCheckIntervalMs: number | undefined;
  readonly nowMs: () => number;
  /** Twelve hexadecimal digits, never the same twice. */
  readonly nonce: () => string;
  /** Gives up a claim that is not held yet. */
  readonly signal: AbortSignal;
}

type RegisterSettings = Pick<ClaimSettings, 'link' | 'ttlMs' | 'serverCheckIntervalMs'>;

export type Claim =
  | { readonly kind: 'held'; readonly claim: string; /** When the heartbeat was sent that made it visible. */ readonly beatAtMs: number }
  | { readonly kind: 'taken'; readonly by: Entry };

/** The least that Consul takes; it looks for them every half minute. Until then they are there for people, and for nobody else. */
const REMOVE_CRITICAL_AFTER = '1m';
const CALL_TIMEOUT_MS = 2000;
const WAIT_MS = 1000;
/** What a claim may take beside the wait for a rival. */
const CLAIM_TIMEOUT_MS = 5000;
/** What a dead rival's last sign of life may take to run out, beside its TTL. */
const RIVAL_GRACE_MS = 750;

/**
 * Claims the instance's name. Consul's log puts all claims in an order, and the oldest claim that lives holds the name:
 *
 * 1. Register under an ID of one's own with the heartbeat's check at `warning`, which hides from watchers but lives, and wait until
 *    the catalog has it. From then on every later claim sees this one.
 * 2. While an older claim lives, wait: one whose process is dead goes critical within its TTL. One that lives longer holds the name.
 * 3. Set the check to passing, wait until the catalog has that, and look once more: had this process stood still since 2, somebody
 *    else may have taken its claim for dead.
 *
 * `own` gets the claim's ID before it is written; what has an ID in there is no rival. Unless the result is `held`, nothing of it stays.
 *
 * @throws CallError
 */
export async function claimName(instance: Instance, own: Set<string>, settings: ClaimSettings): Promise<Claim> {
  const { link, nowMs, heartbeatIntervalMs } = settings;
  const claim = claimId(instance, settings.nonce());
  own.add(claim);
  let isHeld = false;
  const warning = new AbortController();
  const passing = new AbortController();
  try {
    await register(instance, claim, settings, 'warning').catch((error: CallError) => {
      // Refused for good: there is nothing to take back.
      if (error.status !== undefined && error.status < 500) own.delete(claim);
      throw error;
    });
    const warned = beatUntil(warning.signal, heartbeatIntervalMs, () => beat(link, claim, 'warn'));
    const before = await untilUncontested(instance, claim, own, settings, (entry) => entry.isAlive);
    warning.abort();
    await warned;
    if (before.rival) return { kind: 'taken', by: before.rival };

    const beatAtMs = nowMs();
    await beat(link, claim, 'pass');
    void beatUntil(passing.signal, heartbeatIntervalMs, () => beat(link, claim, 'pass'));
    const after = await untilUncontested(instance, claim, own, settings, (entry) => entry.isHolding);
    if (after.rival) return { kind: 'taken', by: after.rival };

    isHeld = true;
    await Promise.all(after.remains.map((dead) => withdraw(link, dead.claim)));
    return { kind: 'held', claim, beatAtMs };
  } finally {
    warning.abort();
    passing.abort();
    if (!isHeld && own.has(claim) && (await withdraw(link, claim))) own.delete(claim);
  }
}

/** One sign of life. @throws CallError, with a status when the agent does not know the claim, or does not take it from this token */
export async function beat(link: ConsulLink, claim: string, sign: 'pass' | 'warn'): Promise<void> {
  await link.call((consul, how) => consul.agent.check[sign]({ id: heartbeatCheckId(claim), ...how }), { timeoutMs: CALL_TIMEOUT_MS });
}

/** Whether the agent has the claim. */
export async function isRegistered(link: ConsulLink, claim: string): Promise<boolean> {
  const { body } = await link.call((consul, how) => consul.agent.service.list({ filter: `ID == "${claim}"`, ...how }), { timeoutMs: CALL_TIMEOUT_MS });
  return Object.hasOwn(body ?? {}, claim);
}

/**
 * Gives a claim that is held the instance's metadata, in one write, so that no watcher misses it. Resolves when the catalog has it. The checks
 * are sent too: if the agent has lost the claim meanwhile, what this makes still ends with its process.
 *
 * @throws CallError
 */
export async function replaceRegistration(instance: Instance, claim: string, settings: Omit<ClaimSettings, 'signal'>): Promise<void> {
  const { link, nowMs, heartbeatIntervalMs } = settings;
  const shown = new AbortController();
  try {
    await register(instance, claim, settings, 'passing');
    void beatUntil(shown.signal, heartbeatIntervalMs, () => beat(link, claim, 'pass'));
    const untilMs = nowMs() + CLAIM_TIMEOUT_MS;
    for (let index = 0n; nowMs() < untilMs;) {
      // oxlint-disable-next-line no-await-in-loop -- follows the catalog
      const seen = await readCatalog(link, instance, index);
      const mine = seen.entries.find((entry) => entry.claim === claim);
      if (mine?.isPassing && isDeepStrictEqual(mine.instance.meta, instance.meta)) return;
      index = seen.index;
    }
    throw new CallError('the catalog does not show the new metadata', undefined);
  } finally {
    shown.abort();
  }
}

/** Takes the claim back. False when the agent did not do it; then the claim goes critical by itself, and away. */
export async function withdraw(link: ConsulLink, claim: string): Promise<boolean> {
  try {
    await link.call((consul, how) => consul.agent.service.deregister({ id: claim, ...how }), { timeoutMs: CALL_TIMEOUT_MS });
    return true;
  } catch (error) {
    return (error as CallError).status === 404;
  }
}

/** Waits, not for ever, until the catalog shows the claim to nobody. */
export async function untilHidden(link: ConsulLink, instance: Instance, claim: string, nowMs: () => number): Promise<void> {
  const untilMs = nowMs() + CALL_TIMEOUT_MS;
  for (let index = 0n; nowMs() < untilMs;) {
    // oxlint-disable-next-line no-await-in-loop -- follows the catalog
    const seen = await readCatalog(link, instance, index);
    if (!seen.entries.some((entry) => entry.claim === claim && entry.isPassing)) return;
    index = seen.index;
  }
}

async function register(
  instance: Instance, claim: string, { link, ttlMs, serverCheckIntervalMs }: RegisterSettings, status: 'warning' | 'passing',
): Promise<void> {
  const { host, port, meta } = instance;
  const heartbeat = {
    checkid: heartbeatCheckId(claim),
    name: 'Heartbeat of the process',
    ttl: `${ttlMs}ms`,
    status,
    deregistercriticalserviceafter: REMOVE_CRITICAL_AFTER,
  };
  // The leaf certificates carry no DNS name and the agent can compare nothing else, so it does not judge who answers. Callers do.
  const server = serverCheckIntervalMs !== undefined && {
    checkid: serverCheckId(claim),
    name: 'gRPC health of the server',
    grpc: `${host}:${port}`,
    grpcusetls: true,
    tlsskipverify: true,
    interval: `${serverCheckIntervalMs}ms`,
    timeout: `${serverCheckIntervalMs}ms`,
    // A registration that is replaced must not be hidden until the agent has called.
    ...(status === 'passing' && { status }),
  };
  const registration = {
    name: consulServiceName(instance), id: claim, address: host, port, meta: { ...meta }, tags: tagsOf(instance),
    checks: server ? [heartbeat, server] : [heartbeat],
  };
  // The client's types ask for fields that the check's kind does not have.
  type Options = Exclude<Parameters<Consul['agent']['service']['register']>[0], string>;
  await link.call((consul, how) => consul.agent.service.register({ ...registration, ...how } as unknown as Options), { timeoutMs: CALL_TIMEOUT_MS });
}

interface Contest {
  readonly rival: Entry | undefined;
  readonly remains: readonly Entry[];
}

/** Follows the catalog until it has the claim in the wanted state and no older one lives, or one lives longer than a dead one can. */
async function untilUncontested(
  instance: Instance, claim: string, own: ReadonlySet<string>, { link, ttlMs, nowMs, signal }: ClaimSettings, isReady: (entry: Entry) => boolean,
): Promise<Contest> {
  const rivalUntilMs = nowMs() + ttlMs + RIVAL_GRACE_MS;
  const untilMs = rivalUntilMs + CLAIM_TIMEOUT_MS;
  for (let index = 0n; nowMs() < untilMs;) {
    // oxlint-disable-next-line no-await-in-loop -- follows the catalog
    const seen = await readCatalog(link, instance, index, signal);
    const mine = seen.entries.find((entry) => entry.claim === claim);
    const rival = mine && findRival(seen.entries, mine, own);
    if (mine && !rival && isReady(mine)) return { rival, remains: findRemains(seen.entries, mine, own) };
    if (rival && nowMs() >= rivalUntilMs) return { rival, remains: [] };
    index = seen.index;
  }
  throw new CallError('the catalog does not show the registration', undefined);
}

/** Reads what the leader has, not an older copy; with an index, waits for a change first, but for a short time only. */
export async function readCatalog(
  link: ConsulLink, instance: Instance, index: bigint, signal?: AbortSignal,
): Promise<{ readonly entries: readonly Entry[]; readonly index: bigint }> {
  const options = { service: consulServiceName(instance), consistent: true, index: String(index), wait: `${WAIT_MS}ms` };
  const answer = await link.call((consul, how) => consul.health.service({ ...options, ...how }), { timeoutMs: WAIT_MS + CALL_TIMEOUT_MS, signal });
  return { entries: readEntries(instance, answer.body).entries, index: nextIndex(index, answer.index).index };
}

async function beatUntil(signal: AbortSignal, intervalMs: number, once: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    // oxlint-disable no-await-in-loop -- one after the other
    await sleep(intervalMs, undefined, { signal }).catch(() => {});
    // What goes wrong shows in the catalog.
    if (!signal.aborted) await once().catch(() => {});
    // oxlint-enable no-await-in-loop
  }
}
