// The client itself: sessions, the account, and the way to its payments.

import type { Metadata } from 'nice-grpc-common';
import { parseAccountName } from './account-name.ts';
import { cancellation, startBudget, systemClock } from './budget.ts';
import { bearer, type CallContext, type CallOptions, type PageOptions } from './call-context.ts';
import { AuthenticationError, InvalidArgumentError, StrifeError } from './errors.ts';
import { gatewayPool } from './gateway-pool.ts';
import { gatewayCredentials, type TlsOptions } from './gateway-tls.ts';
import type { Balance, Entry, Session } from './model.ts';
import { pages } from './pages.ts';
import { query, type Ask } from './query.ts';
import { transfersOf, type Transfers } from './transfers.ts';
import { toBalance, toEntry, toSession } from './wire.ts';

const TIMEOUT_MS = 10_000;
const TIMEOUT_MS_MAX = 24 * 60 * 60 * 1000;

/** Where the gateways are, and who is asking. */
export interface ConnectOptions {
  /** `host:port` of each gateway, in order of preference. One that fails is left for the next. */
  gateways: readonly string[];
  /** This client's certificate, and the authority of the gateways'. */
  tls: TlsOptions;
  /** A login from before. */
  session?: Session | undefined;
  /** The time for each call with all its repetitions; default 10 seconds. */
  timeoutMs?: number | undefined;
  /** Cancels all calls of this client, now and later. */
  signal?: AbortSignal | undefined;
}

/** What a user of a bank says to log in. */
export interface Credentials {
  bank: string;
  username: string;
  password: string;
}

/** A client of Strife: one user at a time, any number of calls at once. */
export interface Strife extends AsyncDisposable {
  /** Who is logged in; undefined if nobody is. It may have expired. */
  readonly session: Session | undefined;
  readonly transfers: Transfers;
  /**
   * Logs in; the session is used from then on. A session from before is forgotten but not revoked: call `logout` first
   * for that. On failure the session stays as it was.
   *
   * @throws AuthenticationError for a wrong bank, user name or password
   */
  login(credentials: Credentials, options?: CallOptions): Promise<Session>;
  /**
   * Revokes the session and forgets it. Does nothing when nobody is logged in, and succeeds for a session that is over
   * already. If the gateway cannot be told, it throws and the session stays.
   */
  logout(options?: CallOptions): Promise<void>;
  /** What is in the account. */
  balance(options?: CallOptions): Promise<Balance>;
  /** The account's entries, newest first. */
  history(options?: PageOptions): AsyncIterableIterator<Entry>;
  /** Cuts off the calls in flight and closes the connections. The session stays valid. May be called again. */
  close(): Promise<void>;
}

/**
 * A client for these gateways. Connections are made by the first calls, so this does not tell whether a gateway is there.
 *
 * @throws InvalidArgumentError for a bad option; TlsError for certificates that cannot be used
 */
export async function connect(options: ConnectOptions): Promise<Strife> {
  return new GatewayClient(options);
}

class GatewayClient implements Strife {
  readonly transfers: Transfers;
  readonly #context: CallContext;
  readonly #closing = new AbortController();
  #session: Session | undefined;

  constructor(options: ConnectOptions) {
    const closing = this.#closing.signal;
    const defaultTimeoutMs = checkedTimeoutMs(options.timeoutMs ?? TIMEOUT_MS);
    this.#session = options.session;
    this.#context = {
      gateways: gatewayPool(options.gateways, options.tls, gatewayCredentials(options.tls)),
      budget(call = {}) {
        const signals = [closing, options.signal, call.signal].filter((signal) => signal !== undefined);
        return startBudget(systemClock, checkedTimeoutMs(call.timeoutMs ?? defaultTimeoutMs), AbortSignal.any(signals));
      },
      authorization: () => this.#authorization(),
    };
    this.transfers = transfersOf(this.#context);
  }

  get session(): Session | undefined {
    return this.#session;
  }

  async login({ bank, username, password }: Credentials, options?: CallOptions): Promise<Session> {
    parseAccountName({ bank, account: username }, 'username');
    const session = await this.#query(options, async (link, signal) =>
      toSession(await link.sessions.login({ bank, username, password }, { signal })),
    );
    this.#session = session;
    return session;
  }

  async logout(options?: CallOptions): Promise<void> {
    const ending = this.#session;
    if (!ending) return;
    const metadata = bearer(ending.token);
    try {
      await this.#query(options, (link, signal) => link.sessions.logout({}, { metadata, signal }));
    } catch (error) {
      if (!(error instanceof AuthenticationError)) throw error;
    }
    if (this.#session === ending) this.#session = undefined;
  }

  async balance(options?: CallOptions): Promise<Balance> {
    const metadata = this.#authorization();
    return this.#query(options, async (link, signal) => {
      const response = await link.accounts.getAccount({}, { metadata, signal });
      return toBalance(response.balance);
    });
  }

  history(options?: PageOptions): AsyncIterableIterator<Entry> {
    return pages(this.#context, options, async (link, request, callOptions) => {
      const response = await link.accounts.listEntries(request, callOptions);
      return { items: response.entries.map(toEntry), nextPageToken: response.nextPageToken };
    });
  }

  async close(): Promise<void> {
    this.#closing.abort(new StrifeError('the client is closed', { code: 'CLOSED' }));
    this.#context.gateways.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #query<T>(options: CallOptions | undefined, ask: Ask<T>): Promise<T> {
    return query(this.#context.gateways, this.#context.budget(options), ask);
  }

  #authorization(): Metadata {
    if (this.#closing.signal.aborted) throw cancellation(this.#closing.signal);
    if (this.#session) return bearer(this.#session.token);
    throw new AuthenticationError('nobody is logged in', { code: 'NOT_LOGGED_IN', outcome: 'not_applied' });
  }
}

function checkedTimeoutMs(timeoutMs: number): number {
  if (timeoutMs > 0 && timeoutMs <= TIMEOUT_MS_MAX) return timeoutMs;
  throw new InvalidArgumentError(`timeoutMs must be above 0 and at most ${TIMEOUT_MS_MAX}`, {
    code: 'INVALID_TIMEOUT',
    field: 'timeoutMs',
  });
}
