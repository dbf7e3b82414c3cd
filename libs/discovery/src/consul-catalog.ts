// How instances stand in Consul's catalog, and the rules for reading it. Pure: no call, no clock.

import { isInstanceId, readInstance, type Instance, type ServiceName } from './registry.ts';

export type InstanceName = Pick<Instance, 'service' | 'id'>;

/** What the names of all banks, or of all gateways, begin with. */
export function consulServicePrefix(service: ServiceName): string {
  return `strife-${service}-`;
}

/**
 * Each bank and each gateway is a service of its own, `strife-bank-alpha`, as in its certificate: Consul's rules go by service name, so that who may
 * register one bank may not register another.
 */
export function consulServiceName({ service, id }: InstanceName): string {
  return `${consulServicePrefix(service)}${id}`;
}

/** The ids of a service's instances among the names of all of Consul's services. */
export function instanceIdsIn(service: ServiceName, names: Iterable<string>): ReadonlySet<string> {
  const prefix = consulServicePrefix(service);
  return new Set([...names].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)).filter(isInstanceId));
}

/** Reads an answer of `/v1/catalog/services`, of which only our services count. */
export function readServiceNames(body: unknown): readonly string[] {
  return Object.keys(typeof body === 'object' && body !== null ? body : {}).filter((name) => name.startsWith('strife-')).sort();
}

/**
 * Names one claim of an instance: `strife-bank-alpha-0123456789ab`. Every claim has a nonce, since an agent lets a registration replace
 * another of the same ID without a word, and an ID that names the process too cannot be replaced by another process.
 */
export function claimId(name: InstanceName, nonce: string): string {
  return `${consulServiceName(name)}-${nonce}`;
}

const NONCE = /^-[0-9a-f]{12}$/;

/** The check that the process keeps alive itself. */
export function heartbeatCheckId(claim: string): string {
  return `${claim}:heartbeat`;
}

/** The check for which the agent calls the process. It says nothing about who holds a name. */
export function serverCheckId(claim: string): string {
  return `${claim}:server`;
}

/**
 * What a registration says in tags too, for people and for queries by tag: `bank=alpha`. Consul sends everybody who follows the list of services
 * all tags, so that long values, such as keys, stay out.
 */
export function tagsOf({ meta }: Instance): string[] {
  return Object.keys(meta).sort().map((name) => `${name}=${meta[name]}`).filter((tag) => tag.length <= TAG_CHARACTERS_MAX);
}

const TAG_CHARACTERS_MAX = 100;

/** One claim as the catalog has it. */
export interface Entry {
  readonly claim: string;
  readonly instance: Instance;
  /** The agent's node. */
  readonly node: string;
  /** When the claim was first written to Consul's log: the total order of claims. */
  readonly createIndex: number;
  /** Neither its heartbeat nor its node is critical. */
  readonly isAlive: boolean;
  /** Both are passing: whoever claimed the name took it, and has not let go. */
  readonly isHolding: boolean;
  /** All of its checks are passing: it may be called. */
  readonly isPassing: boolean;
}

export interface Reading {
  readonly entries: readonly Entry[];
  /** Of entries that nobody of ours can have written, by their ID: what is wrong with them. */
  readonly problems: ReadonlyMap<string, string>;
}

/** Reads an answer of `/v1/health/service/:name` for that instance's name. */
export function readEntries(name: InstanceName, body: unknown): Reading {
  const entries: Entry[] = [];
  const problems = new Map<string, string>();
  for (const item of Array.isArray(body) ? (body as HealthEntry[]) : []) {
    const entry = readEntry(name, item);
    if ('wrong' in entry) problems.set(String(item?.Service?.ID), `${entry.wrong}; ignored`);
    else entries.push(entry);
  }
  return { entries, problems };
}

interface HealthEntry {
  readonly Node?: { readonly Node?: string; readonly Address?: string };
  readonly Service?: { readonly ID?: string; readonly Address?: string; readonly Port?: number; readonly Meta?: unknown; readonly CreateIndex?: number };
  readonly Checks?: readonly { readonly CheckID?: string; readonly Status?: string }[];
}

function readEntry(name: InstanceName, { Node, Service, Checks = [] }: HealthEntry): Entry | { readonly wrong: string } {
  const claim = Service?.ID ?? '';
  const prefix = consulServiceName(name);
  if (!claim.startsWith(prefix) || !NONCE.test(claim.slice(prefix.length))) return { wrong: `ID: must be "${prefix}-<12 hexadecimal digits>"` };
  const { service, id } = name;
  const instance = readInstance({ service, id, host: Service?.Address || Node?.Address, port: Service?.Port, meta: Service?.Meta ?? {} });
  if ('wrong' in instance) return instance;
  // Consul lets a bank write what it likes under its own name. It may not call itself by another's.
  if ((instance.meta['bank'] ?? id) !== id) return { wrong: `meta: "bank" must be "${id}"` };
  const decisive = Checks.filter(({ CheckID }) => CheckID !== serverCheckId(claim));
  return {
    claim,
    instance,
    node: Node?.Node ?? '',
    createIndex: Service?.CreateIndex ?? 0,
    isAlive: decisive.every(({ Status }) => Status !== 'critical'),
    isHolding: decisive.every(({ Status }) => Status === 'passing'),
    isPassing: Checks.every(({ Status }) => Status === 'passing'),
  };
}

function isOlder(a: Entry, b: Entry): boolean {
  return a.createIndex < b.createIndex || (a.createIndex === b.createIndex && a.claim < b.claim);
}

/** The oldest living claim to a name holds it. Undefined when nobody lives who claimed it before `mine`. */
export function findRival(entries: readonly Entry[], mine: Entry, own: ReadonlySet<string>): Entry | undefined {
  return entries.find((entry) =>
    entry.instance.id === mine.instance.id && !own.has(entry.claim) && entry.isAlive && isOlder(entry, mine));
}

/**
 * Somebody who took the name from `instance`, whoever came first: as nobody takes it from a living claim, this process was taken for dead.
 * Its node may have been cut off, or its machine suspended.
 */
export function findUsurper(entries: readonly Entry[], instance: Instance, own: ReadonlySet<string>): Entry | undefined {
  return entries.find((entry) => entry.instance.id === instance.id && !own.has(entry.claim) && entry.isHolding);
}

/** Claims of dead processes to the same name, at the same agent. */
export function findRemains(entries: readonly Entry[], mine: Entry, own: ReadonlySet<string>): Entry[] {
  return entries.filter((entry) =>
    entry.instance.id === mine.instance.id && entry.node === mine.node && !own.has(entry.claim) && !entry.isAlive);
}

/** Who may be called, by id: of two who both take a name for theirs, for as long as that may be, the one who had it first. */
export function passingInstances(entries: readonly Entry[]): ReadonlyMap<string, Instance> {
  const holders = new Map<string, Entry>();
  for (const entry of entries) {
    const holder = holders.get(entry.instance.id);
    if (entry.isPassing && (holder === undefined || isOlder(entry, holder))) holders.set(entry.instance.id, entry);
  }
  return new Map([...holders].map(([id, { instance }]) => [id, instance]));
}

/**
 * What a watcher shows after it read the catalog. While Consul settles, after an outage, it has not heard from everyone yet: whoever is
 * not in the catalog is not therefore gone, and stays.
 */
export function settle({ shown, read, isSettling }: {
  readonly shown: ReadonlyMap<string, Instance>;
  readonly read: ReadonlyMap<string, Instance>;
  readonly isSettling: boolean;
}): ReadonlyMap<string, Instance> {
  return isSettling ? new Map([...shown, ...read]) : read;
}

/**
 * The index to wait for a change from, by the rules of Consul's blocking queries: what is no positive number is none, and one that
 * went back is of another log, where the wait would be for nothing.
 */
export function nextIndex(last: bigint, header: string | undefined): { readonly index: bigint; readonly wentBack: boolean } {
  const index = header !== undefined && /^\d{1,20}$/.test(header) ? BigInt(header) : 0n;
  const wentBack = index < last;
  return { index: wentBack ? 0n : index, wentBack };
}

/** Exponential back-off with full jitter: anything up to the step, so that those who failed together do not come back together. */
export function backOffMs(attempt: number, random: () => number, { baseMs, maxMs }: { readonly baseMs: number; readonly maxMs: number }): number {
  return random() * Math.min(maxMs, baseMs * 2 ** attempt);
}
