// The gateways of a client: which of them the next call goes to.

import { cancellation, pause, type Budget } from './budget.ts';
import { InvalidArgumentError, UnavailableError, type TlsError } from './errors.ts';
import { gatewayLink, type GatewayLink, type Secure } from './gateway-link.ts';
import type { GatewaySource } from './gateway-source.ts';
import { gatewayCredentials } from './gateway-tls.ts';
import type { TlsSource } from './tls-source.ts';

/** After this time without a connection the next gateway is tried too. */
const STAGGER_MS = 250;
/** The longest look for a gateway before the list of gateways is looked at anew. */
const CONNECT_WAIT_MS = 5_000;
const DIAGNOSIS_WAIT_MS = 2_000;
/** How long a gateway that has others beside it may take over an answer. More than a payment needs at the slowest. */
const ANSWER_WAIT_MS = 5_000;
/** A gateway that failed is not called again for this time, doubled with each failure, while another one is there. */
const REST_MS = 1_000;
const REST_MS_MAX = 30_000;

/** What a call would rather have. `host:port` each. */
export interface Preference {
  /** The gateway that knows the payment already. */
  readonly prefer?: string | undefined;
  /** The gateway that has just refused. */
  readonly avoid?: string | undefined;
}

/** Gateways that are equally good. Calls are balanced over those that are connected, and leave one that fails. */
export interface GatewayPool {
  /** A connected gateway, of two random ones that with fewer calls; undefined if none is connected and good at the moment. */
  pick(preference?: Preference): GatewayLink | undefined;
  /**
   * As `pick`, and connects if need be.
   *
   * @throws TlsError if every gateway fails for a reason of trust; UnavailableError if none can be reached now, or no time
   *   is left; StrifeError `CANCELLED`. Nothing was sent then.
   */
  connected(budget: Budget, preference?: Preference): Promise<GatewayLink>;
  /** Resolves when the list of gateways changes, at the end of `ms`, or when the budget's signal aborts. */
  changed(budget: Budget, ms: number): Promise<void>;
  /** Call after a call that failed by the gateway's fault: others are called first for a while. */
  failed(link: GatewayLink): void;
  worked(link: GatewayLink): void;
  /** Whether this gateway is connected and good at the moment. */
  isHealthy(address: string): boolean;
  /** `host:port` of every gateway of a fixed list. Undefined where gateways come and go: one that is away now may have been there before. */
  readonly everyAddress: readonly string[] | undefined;
  /** How long to wait for an answer before another gateway is asked; Infinity where there is none. */
  answerWaitMs(): number;
  /** How many gateways can be called now, at least 1. */
  readonly connectedCount: number;
  close(): void;
}

interface Member {
  readonly link: GatewayLink;
  restUntilMs: number;
  failures: number;
}

export interface GatewayPoolOptions {
  readonly source: GatewaySource;
  /** There will never be more than one gateway. */
  readonly isAlone: boolean;
  /** There will never be others than those that the source names at once. */
  readonly isFixed: boolean;
  readonly tls: TlsSource;
  readonly nowMs: () => number;
}

/** @throws InvalidArgumentError for a bad address in a fixed list; TlsError for certificates that cannot be used */
export function gatewayPool({ source, isAlone, isFixed, tls, nowMs }: GatewayPoolOptions): GatewayPool {
  let secure = secureBy(tls);
  const members = new Map<string, Member>();
  const listeners = new Set<() => void>();
  let isClosed = false;
  let isStarting = true;

  const unfollow = source.watch((addresses) => {
    if (isClosed) return;
    for (const [address, { link }] of members) {
      if (addresses.includes(address)) continue;
      members.delete(address);
      link.close();
    }
    for (const address of addresses) if (!members.has(address)) add(address);
    for (const listener of listeners) listener();
  });
  isStarting = false;
  const unwatchTls = tls.onChange(() => {
    try {
      secure = secureBy(tls);
    } catch {
      return; // Not usable: what is there stays.
    }
    for (const { link } of members.values()) link.renew(secure);
  });

  function add(address: string): void {
    try {
      const link = gatewayLink({ address, secure, hasOthers: !isAlone, onBusy: wakeAll });
      members.set(address, { link, restUntilMs: 0, failures: 0 });
    } catch (error) {
      // A bad argument is the caller's; a bad entry of a registry keeps nobody from the good ones.
      if (isStarting || !(error instanceof InvalidArgumentError)) throw error;
    }
  }

  const isGood = (member: Member): boolean => member.restUntilMs <= nowMs() && member.link.isConnected();

  function pick({ prefer, avoid }: Preference = {}): GatewayLink | undefined {
    const preferred = prefer === undefined ? undefined : members.get(prefer);
    if (preferred && isGood(preferred)) return preferred.link;
    const good = [...members.values()].filter((member) => isGood(member) && (member.link.address !== avoid || members.size === 1));
    const [one, other] = twoOf(good);
    if (!one) return undefined;
    return other && other.link.inFlight < one.link.inFlight ? other.link : one.link;
  }

  /** A gateway is busy: now the others are worth a connection. */
  function wakeAll(): void {
    for (const member of members.values()) if (!member.link.isConnected()) member.link.wake();
  }

  /** All gateways: good ones in any order, then those that rest, then the one to avoid. */
  function candidates({ avoid }: Preference): GatewayLink[] {
    const badness = (member: Member): number =>
      (member.link.address === avoid ? 2 : 0) + (member.restUntilMs > nowMs() ? 1 : 0) + Math.random() / 2;
    return [...members.values()].map((member) => ({ member, badness: badness(member) })).sort((a, b) => a.badness - b.badness).map(({ member }) => member.link);
  }

  async function changed(budget: Budget, ms: number): Promise<void> {
    const told = new AbortController();
    const tell = (): void => told.abort();
    listeners.add(tell);
    await pause({ ...budget, signal: AbortSignal.any([budget.signal, told.signal]) }, Math.min(ms, budget.remainingMs() - 1));
    listeners.delete(tell);
  }

  return {
    pick,
    changed,
    async connected(budget, preference = {}) {
      const ready = pick(preference);
      if (ready && !budget.signal.aborted) return ready;
      if (members.size === 0) await changed(budget, CONNECT_WAIT_MS);
      const links = candidates(preference);
      const waitMs = Math.min(CONNECT_WAIT_MS, budget.remainingMs());
      const first = waitMs > 0 ? await firstConnected(links, waitMs, budget.signal) : undefined;
      if (budget.signal.aborted) throw cancellation(budget.signal);
      if (first) return first;
      const diagnosisMs = Math.min(DIAGNOSIS_WAIT_MS, budget.remainingMs());
      const refusals = diagnosisMs > 0 ? await Promise.all(links.map((link) => link.diagnose(diagnosisMs, budget.signal))) : [];
      throw unreachable(links, refusals.filter((refusal) => refusal !== undefined));
    },
    failed(link) {
      const member = members.get(link.address);
      if (!member || member.link !== link) return;
      member.restUntilMs = nowMs() + Math.min(REST_MS_MAX, REST_MS * 2 ** member.failures);
      member.failures += 1;
    },
    worked(link) {
      const member = members.get(link.address);
      if (member) member.failures = 0;
    },
    isHealthy(address) {
      const member = members.get(address);
      return member !== undefined && isGood(member);
    },
    everyAddress: isFixed ? [...members.keys()] : undefined,
    answerWaitMs: () => (members.size > 1 ? ANSWER_WAIT_MS : Infinity),
    get connectedCount() {
      let count = 0;
      for (const member of members.values()) if (isGood(member)) count += 1;
      return Math.max(1, count);
    },
    close() {
      isClosed = true;
      unfollow();
      unwatchTls();
      for (const { link } of members.values()) link.close();
    },
  };
}

function secureBy(source: TlsSource): Secure {
  const tls = source.current();
  return { tls, credentials: gatewayCredentials(tls) };
}

function twoOf<T>(items: readonly T[]): readonly [T | undefined, T | undefined] {
  if (items.length < 2) return [items[0], undefined];
  const first = Math.floor(Math.random() * items.length);
  const second = (first + 1 + Math.floor(Math.random() * (items.length - 1))) % items.length;
  return [items[first], items[second]];
}

/** Tries one after the other, the next as soon as one fails or hesitates, and gives the first that stands. */
function firstConnected(links: readonly GatewayLink[], waitMs: number, signal: AbortSignal): Promise<GatewayLink | undefined> {
  return new Promise((resolve) => {
    const untried = [...links];
    let underWay = 0;
    let timer: NodeJS.Timeout | undefined;
    const tryNext = (): void => {
      clearTimeout(timer);
      const link = untried.shift();
      if (!link) {
        if (underWay === 0) resolve(undefined);
        return;
      }
      underWay += 1;
      if (untried.length > 0) timer = setTimeout(tryNext, STAGGER_MS);
      void link.connect(waitMs, signal).then((isConnected) => {
        underWay -= 1;
        if (!isConnected) return tryNext();
        clearTimeout(timer);
        resolve(link);
      });
    };
    tryNext();
  });
}

function unreachable(links: readonly GatewayLink[], refusals: readonly TlsError[]): TlsError | UnavailableError {
  const [refusal] = refusals;
  if (refusal && refusals.length === links.length) return refusal;
  const message = links.length === 0 ? 'no gateway is known' : `no gateway can be reached: ${links.map((link) => link.address).join(', ')}`;
  return new UnavailableError(message, { code: 'UNAVAILABLE', retryable: true, cause: refusal });
}
