// The client itself: sessions, the account, and the way to its payments.

import { requireName } from './account-name.ts';
import { backOffMs, cancellation, clientClosed, startBudget, systemClock, type Budget } from './budget.ts';
import type { CallContext, CallOptions, PageOptions } from './call-context.ts';
import { AuthenticationError, InvalidArgumentError, StrifeError } from './errors.ts';
import { gatewayPool } from './gateway-pool.ts';
import { gatewaySource, type GatewaySource } from './gateway-source.ts';
import { loginStores, type LoginStore, type LoginStores, type SessionStore } from './login-store.ts';
import type { Balance, Entry, Session } from './model.ts';
import { pages } from './pages.ts';
import { query, type Ask } from './query.ts';
import type { AttachedQueue } from './queue/client-queue.ts';
import type { OfflineQueue, QueueOptions } from './queue/offline-queue.ts';
import { sessionKeeper, type SessionKeeper } from './session-keeper.ts';
import { tlsSource, type TlsOptions, type TlsSource } from './tls-source.ts';
import { transfersOf, type Transfers } from './transfers.ts';
import { toBalance, toEntry, toSession } from './wire.ts';

const TIMEOUT_MS = 10_000;
const TIMEOUT_MS_MAX = 24 * 60 * 60 * 1000;
/** A refresh serves all calls that wait for it, so it has a time of its own. */
const REFRESH_TIMEOUT_MS = 10_000;
/** Refusals of a logout that prove that the session has ended. */
const ENDED: ReadonlySet<string> = new Set(['SESSION_ENDED', 'TOKEN_REVOKED', 'SESSION_REVOKED']);
/** Passwords that cannot be meant. */
const PASSWORD_CHARACTERS_MAX = 1_024;

/** Where the gateways are, and who is asking. */
export interface ConnectOptions {
  /** `host:port` of each gateway, or a source that follows a registry. Calls are balanced over those that work. */
  gateways: readonly string[] | GatewaySource;
  /** This client's certificate, and the authority of the gateways'; a source, such as `tlsFiles`, where they are renewed. */
  tls: TlsOptions | TlsSource;
  /** A login from before; default: what `sessionStore` loads. */
  session?: Session | undefined;
  /** Where the session is kept; it is told of each change, in time for a process that may die. Default: nowhere. */
  sessionStore?: SessionStore | undefined;
  /** The time for each call with all its repetitions; default 10 seconds. */
  timeoutMs?: number | undefined;
  /** Cancels all calls of this client, now and later. */
  signal?: AbortSignal | undefined;
  /** Whether `transfers.create` calls that are made at once may travel in one message; default true. `createMany` always does. */
  coalesce?: boolean | undefined;
  /** Where payments are kept that are delivered later; default: nowhere, and there is no `queue`. */
  queue?: QueueOptions | undefined;
}

/** How to log out. */
export interface LogoutOptions extends CallOptions {
  /** Log out although payments of this account are queued: they wait for its next login. */
  keepQueue?: boolean | undefined;
}

/** What a user of a bank says to log in. */
export interface Credentials {
  bank: string;
  username: string;
  password: string;
}

/** A client of Strife: one user at a time, any number of calls at once. */
export interface Strife extends AsyncDisposable {
  /** Who is logged in; undefined if nobody is. It may have expired. Another object after each refresh. */
  readonly session: Session | undefined;
  readonly transfers: Transfers;
  /** The offline queue of `connect`'s option `queue`. Throws StrifeError NO_QUEUE if there was none. */
  readonly queue: OfflineQueue;
  /**
   * Calls the listener after each change of `session`: a login, a refresh, a logout, an end; until the function that it returns is
   * called. To keep sessions use `sessionStore`, which is asked in time.
   */
  onSession(listener: (session: Session | undefined) => void): () => void;
  /**
   * Logs in; the session is saved, under the store's lock if it has one, and used by calls from then on. A session from before is forgotten
   * but not revoked: call `logout` first for that. Payments that are under way stay with the login that they began with; what is renewed for
   * them is not saved. On failure the session stays as it was.
   *
   * @throws AuthenticationError for a wrong bank, user name or password; StrifeError SESSION_NOT_SAVED
   */
  login(credentials: Credentials, options?: CallOptions): Promise<Session>;
  /**
   * Revokes the session, its refresh token too, and forgets it. Does nothing when nobody is logged in, and succeeds for a session that is over
   * already. If the gateway cannot be told, or refuses for another reason, it throws and the session stays.
   *
   * @throws QueueNotEmptyError if payments of this account are queued here, unless `keepQueue`
   * @throws StrifeError SESSION_NOT_SAVED if the session has ended, here too, but `sessionStore` still holds it
   */
  logout(options?: LogoutOptions): Promise<void>;
  /** What is in the account. */
  balance(options?: CallOptions): Promise<Balance>;
  /** The account's entries, newest first. */
  history(options?: PageOptions): AsyncIterableIterator<Entry>;
  /**
   * Resolves once a gateway is connected: at once if one is. Unlike other calls it waits for as long as it takes, unless there is a
   * `timeoutMs` or `signal`.
   *
   * @throws TlsError if every gateway fails for a reason of trust; UnavailableError when the time is over
   */
  ready(options?: CallOptions): Promise<void>;
  /** Cuts off the calls in flight and closes the connections; what is queued stays queued. The session stays valid. May be called again. */
  close(): Promise<void>;
}

/**
 * A client for these gateways. Connections are made by the first calls, so this does not tell whether a gateway is there.
 *
 * @throws InvalidArgumentError for a bad option, which `field` names; TlsError for certificates that cannot be used; what
 *   `sessionStore.load` throws; StrifeError SESSION_NOT_SAVED for a given session that `sessionStore` did not take
 */
export async function connect(options: ConnectOptions): Promise<Strife> {
  checkOptions(options);
  const stored = options.session ? undefined : await options.sessionStore?.load?.();
  const client = new GatewayClient(options, stored);
  try {
    if (options.session) await client.begin(options.session, false);
    if (options.queue) await client.openQueue(options.queue);
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

class GatewayClient implements Strife {
  readonly transfers: Transfers;
  readonly #context: CallContext;
  readonly #stores: LoginStores;
  readonly #ending = new AbortController();
  readonly #listeners = new Set<(session: Session | undefined) => void>();
  #login: SessionKeeper | undefined;
  #queue: AttachedQueue | undefined;

  /** @param stored what `sessionStore` holds */
  constructor(options: ConnectOptions, stored: Session | undefined) {
    const closing = options.signal ? AbortSignal.any([this.#ending.signal, options.signal]) : this.#ending.signal;
    const checkedTimeoutMs = (call: CallOptions = {}): number => timeoutOf(call, options.timeoutMs ?? TIMEOUT_MS);
    this.#stores = loginStores(options.sessionStore);
    this.#context = {
      clock: systemClock,
      closing,
      gateways: gatewayPool({
        source: gatewaySource(options.gateways),
        isAlone: Array.isArray(options.gateways) && options.gateways.length === 1,
        isFixed: Array.isArray(options.gateways),
        tls: tlsSource(options.tls),
        nowMs: () => systemClock.nowMs(),
      }),
      checkedTimeoutMs,
      budget(call = {}) {
        const timeoutMs = checkedTimeoutMs(call);
        const signal = call.signal ? AbortSignal.any([closing, call.signal]) : closing;
        return startBudget(systemClock, timeoutMs, signal);
      },
      login: () => this.#currentLogin(),
    };
    if (stored) this.#login = this.#keeper(stored, false, this.#stores.loaded());
    this.transfers = transfersOf(this.#context, { coalesce: options.coalesce ?? true });
  }

  get session(): Session | undefined {
    return this.#login?.session;
  }

  get queue(): OfflineQueue {
    if (this.#queue) return this.#queue.queue;
    throw new StrifeError('connect was given no queue', { code: 'NO_QUEUE', outcome: 'not_applied' });
  }

  async openQueue(options: QueueOptions): Promise<void> {
    // Loaded only where it is used.
    const { attachQueue } = await import('./queue/client-queue.ts');
    const onSession = (listener: (session: Session | undefined) => void): (() => void) => this.onSession(listener);
    this.#queue = await attachQueue(options, { context: this.#context, login: () => this.#login, onSession });
  }

  onSession(listener: (session: Session | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async login({ bank, username, password }: Credentials, options?: CallOptions): Promise<Session> {
    requireName(bank, 'bank');
    requireName(username, 'username');
    if (typeof password !== 'string' || password.length > PASSWORD_CHARACTERS_MAX) {
      throw invalid('INVALID_PASSWORD', 'password', `the password must be text of at most ${PASSWORD_CHARACTERS_MAX} characters`);
    }
    const session = await this.#query(options, async ({ sessions }, asking) =>
      toSession(await sessions.login({ bank, username, password }, asking)),
    );
    await this.begin(session, true);
    return session;
  }

  /** Saves a session and makes it the client's login. Throws StrifeError SESSION_NOT_SAVED. */
  async begin(session: Session, isNew: boolean): Promise<void> {
    let login: SessionKeeper | undefined;
    await this.#stores.take(session, (store) => (this.#login = login = this.#keeper(session, isNew, store)));
    if (login) this.#tell(login);
  }

  async logout(options?: LogoutOptions): Promise<void> {
    const ending = this.#login;
    if (!ending?.session) return;
    const tellQueue = await this.#queue?.beforeLogout(ending.session.account, options?.keepQueue === true);
    try {
      await this.#query(options, ({ sessions }, asking) => sessions.logout({}, asking), ending);
    } catch (error) {
      if (this.#isCutOff(options) || !provesEnd(error, ending.session)) {
        tellQueue?.('still-logged-in');
        throw error;
      }
    }
    try {
      if (this.#login === ending) await ending.end();
    } finally {
      tellQueue?.('logged-out');
    }
  }

  async balance(options?: CallOptions): Promise<Balance> {
    const ask: Ask<Balance> = async ({ accounts }, asking) => toBalance((await accounts.getAccount({}, asking)).balance);
    return this.#query(options, ask, this.#currentLogin());
  }

  history(options?: PageOptions): AsyncIterableIterator<Entry> {
    return pages(this.#context, options, async ({ accounts }, request, asking) => {
      const response = await accounts.listEntries(request, asking);
      return { items: response.entries.map(toEntry), nextPageToken: response.nextPageToken };
    });
  }

  async ready(options?: CallOptions): Promise<void> {
    const { gateways } = this.#context;
    const isEndless = options?.timeoutMs === undefined;
    const start = (): Budget => this.#context.budget({ signal: options?.signal, timeoutMs: options?.timeoutMs ?? TIMEOUT_MS_MAX });
    let budget = start();
    for (let attempt = 0; ; attempt++) {
      try {
        if (isEndless) budget = start();
        await gateways.connected(budget);
        return;
      } catch (error) {
        budget.signal.throwIfAborted();
        const pauseMs = backOffMs(systemClock, attempt);
        const isOver = !isEndless && pauseMs >= budget.remainingMs();
        if (!(error instanceof StrifeError) || !error.retryable || isOver) throw error;
        await gateways.changed(budget, pauseMs);
      }
    }
  }

  async close(): Promise<void> {
    this.#ending.abort(clientClosed());
    await this.#queue?.close();
    this.#context.gateways.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #query<T>(options: CallOptions | undefined, ask: Ask<T>, login?: SessionKeeper): Promise<T> {
    return query(this.#context.gateways, this.#context.budget(options), ask, login);
  }

  #currentLogin(): SessionKeeper {
    const { closing } = this.#context;
    if (closing.aborted) throw cancellation(closing);
    if (this.#login?.session) return this.#login;
    throw new AuthenticationError('nobody is logged in', { code: 'NOT_LOGGED_IN', outcome: 'not_applied' });
  }

  /** Whether what a call threw may be the reason of whoever cancelled it, which is no gateway's word. */
  #isCutOff(options?: CallOptions): boolean {
    return this.#context.closing.aborted || options?.signal?.aborted === true;
  }

  #keeper(session: Session, isNew: boolean, store: LoginStore): SessionKeeper {
    const keeper: SessionKeeper = sessionKeeper({
      session,
      isNew,
      onChange: () => this.#tell(keeper),
      store,
      nowUnixMs: Date.now,
      refresh: async (request) => {
        try {
          return await this.#query({ timeoutMs: REFRESH_TIMEOUT_MS }, async ({ sessions }, asking) => toSession(await sessions.refresh(request, asking)));
        } catch (error) {
          throw this.#isCutOff() ? cancellation(this.#context.closing) : error;
        }
      },
    });
    return keeper;
  }

  #tell(changed: SessionKeeper): void {
    if (changed !== this.#login) return;
    for (const listener of this.#listeners) {
      try {
        listener(changed.session);
      } catch (error) {
        // Its program's trouble: it must not come in the way of a session that is about to be saved, or pass for a gateway's word.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** Whether a logout that failed so has nothing left to end. A token that is over may have a refresh token that is not. */
function provesEnd(error: unknown, session: Session | undefined): boolean {
  if (!(error instanceof AuthenticationError)) return false;
  return ENDED.has(error.code) || (error.code === 'TOKEN_EXPIRED' && session?.refreshToken === undefined);
}

function checkOptions({ session, sessionStore, timeoutMs, signal, coalesce }: ConnectOptions): void {
  timeoutOf({ timeoutMs, signal }, TIMEOUT_MS);
  if (coalesce !== undefined && typeof coalesce !== 'boolean') throw invalid('INVALID_OPTION', 'coalesce', 'coalesce must be true or false');
  if (sessionStore !== undefined && !isSessionStore(sessionStore)) {
    throw invalid('INVALID_SESSION_STORE', 'sessionStore', 'sessionStore needs at least the function save; load and lock are functions too');
  }
  const isSession = typeof session?.token === 'string' && typeof session.account === 'string' && Number.isFinite(session.expiresAtMs);
  if (session !== undefined && !isSession) throw invalid('INVALID_SESSION', 'session', 'session must be what login returned');
}

function isSessionStore(store: Partial<SessionStore> | null): boolean {
  const isFunction = (value: unknown): boolean => typeof value === 'function';
  return isFunction(store?.save) && [store?.load, store?.lock].every((each) => each === undefined || isFunction(each));
}

/** Checks what a call, or `connect`, says about its time and its end. */
function timeoutOf({ timeoutMs, signal }: CallOptions, defaultMs: number): number {
  const checked = timeoutMs ?? defaultMs;
  if (typeof checked !== 'number' || !(checked > 0 && checked <= TIMEOUT_MS_MAX)) {
    throw invalid('INVALID_TIMEOUT', 'timeoutMs', `timeoutMs must be above 0 and at most ${TIMEOUT_MS_MAX}`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid('INVALID_SIGNAL', 'signal', 'signal must be an AbortSignal');
  return checked;
}

function invalid(code: string, field: string, message: string): InvalidArgumentError {
  return new InvalidArgumentError(message, { code, field, outcome: 'not_applied' });
}
