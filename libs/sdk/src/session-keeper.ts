// One login over its life: hands out the token, renews it in time, and has every step saved before the next one depends on it.

import { randomUUID } from 'node:crypto';
import type { Metadata } from 'nice-grpc-common';
import { parseAccountName } from './account-name.ts';
import { within, type Budget } from './budget.ts';
import { bearer } from './call-context.ts';
import { AuthenticationError, InvalidArgumentError, type StrifeError } from './errors.ts';
import type { LoginStore } from './login-store.ts';
import type { Session } from './model.ts';

/** A token is renewed on use in the last quarter of its life, but no earlier than this. */
const RENEW_AHEAD_MS = 30_000;
/** After a renewal ahead of time that failed, the token that is still good is used for so long before the next try. */
const RENEW_PAUSE_MS = 5_000;
/** So long may a gateway not yet know the key of the one that signed the token. */
const ISSUER_PATIENCE_MS = 3_000;
/** Refusals that a new token mends. */
const RENEWABLE: ReadonlySet<string> = new Set(['TOKEN_EXPIRED', 'TOKEN_ISSUER', 'GRANT_EXPIRED', 'GRANT_REFUSED']);

/** Refusals of a refresh that end the session. Any other, such as ACCOUNT_FROZEN, leaves the refresh token as good as it was. */
const ENDING: ReadonlySet<string> = new Set(['REFRESH_TOKEN_INVALID', 'REFRESH_TOKEN_EXPIRED', 'REFRESH_TOKEN_REUSED', 'SESSION_REVOKED']);

/** What names the caller in one call. */
export interface Authorization {
  readonly token: string;
  readonly metadata: Metadata;
}

/** One login. Calls keep to the login that they began with, also when another user logs in meanwhile. */
export interface SessionKeeper {
  /** Undefined once it has ended. */
  readonly session: Session | undefined;
  /**
   * Renews the token first when it is about to end.
   *
   * @throws AuthenticationError SESSION_ENDED; UnavailableError when the token is over and cannot be renewed now
   */
  authorization(budget: Budget): Promise<Authorization>;
  /**
   * After a gateway refused the token: whether the call may be made again, with another token or in the hope of a
   * gateway that has heard of its signer.
   *
   * @param elapsedMs since the call's first attempt
   * @throws as `authorization` does
   */
  afterRefusal(error: StrifeError, token: string, elapsedMs: number, budget: Budget): Promise<boolean>;
  /** Forgets the session, after a logout. What a renewal under way brings is not taken. */
  end(): Promise<void>;
}

export interface SessionKeeperOptions {
  readonly session: Session;
  /** It was given by a gateway just now, so that its life by this machine's clock is known. */
  readonly isNew: boolean;
  readonly store: LoginStore;
  readonly nowUnixMs: () => number;
  /** Called after each change of `session`. */
  readonly onChange: () => void;
  /** Asks the gateways; within a time of its own, since several calls wait for it. */
  readonly refresh: (request: { bank: string; refreshToken: string; requestId: string }) => Promise<Session>;
}

export function sessionKeeper({ session: initial, isNew, store, nowUnixMs, onChange, refresh }: SessionKeeperOptions): SessionKeeper {
  let session: Session | undefined = initial;
  let renewAtMs = isNew ? renewalTime(initial) : initial.expiresAtMs - RENEW_AHEAD_MS;
  let underWay: Promise<void> | undefined;

  /** A token that is over on arrival shows a clock that is wrong: then only a refusal tells. */
  function renewalTime({ expiresAtMs }: Session): number {
    const lifeMs = expiresAtMs - nowUnixMs();
    return lifeMs > 0 ? expiresAtMs - Math.min(RENEW_AHEAD_MS, lifeMs / 4) : Infinity;
  }

  function become(next: Session | undefined): void {
    session = next;
    onChange();
  }

  function live(): Session {
    if (session) return session;
    throw ended('the session has ended; log in again');
  }

  function mayRenew({ refreshToken }: Session): boolean {
    return refreshToken !== undefined;
  }

  /** One renewal at a time; all calls that need one share it. */
  function renewed(): Promise<void> {
    underWay ??= store.exclusively(renew).finally(() => (underWay = undefined));
    return underWay;
  }

  /** The session may end, by a logout, at every `await` in here, and then nothing more is changed: `live` throws. */
  async function renew(): Promise<void> {
    if (await takeStored()) return;
    const { refreshToken = '', account, refreshRequestId: requestId } = await begun(live());
    let next: Session;
    try {
      next = await refresh({ bank: parseAccountName(account, 'account').bank, refreshToken, requestId });
    } catch (error) {
      live();
      if (!endsSession(error)) throw error;
      become(undefined);
      await store.save(undefined).catch(() => {});
      throw ended('the session could not be renewed; log in again', error);
    }
    live();
    renewAtMs = renewalTime(next);
    become(next);
    // If this fails the store holds the request, which brings the same session again.
    await store.save(next).catch(() => {});
  }

  /** Takes over what another process has saved; true if that was a renewal. */
  async function takeStored(): Promise<boolean> {
    const own = live();
    const loaded = await store.load();
    live();
    if (loaded.kind === 'unknown') return false;
    const stored = loaded.session;
    if (stored?.account !== own.account) {
      become(undefined);
      throw ended(stored ? 'another login took the place of this session' : 'the session was logged out by another process');
    }
    if (stored.token === own.token && stored.refreshToken === own.refreshToken) {
      session = stored;
      return false;
    }
    become(stored);
    renewAtMs = stored.expiresAtMs - RENEW_AHEAD_MS;
    return renewAtMs > nowUnixMs();
  }

  /** The session with the request that is about to be sent, saved. A request from before is asked again. */
  async function begun(own: Session): Promise<Session & { refreshRequestId: string }> {
    if (own.refreshRequestId !== undefined) return { ...own, refreshRequestId: own.refreshRequestId };
    const next = { ...own, refreshRequestId: randomUUID() };
    await store.save(next);
    live();
    session = next;
    return next;
  }

  return {
    get session() {
      return session;
    },
    async authorization(budget) {
      const own = live();
      if (renewAtMs <= nowUnixMs() && mayRenew(own)) {
        const isOver = own.expiresAtMs <= nowUnixMs();
        try {
          await within(budget, renewed());
        } catch (error) {
          if (isOver || session === undefined) throw error;
          renewAtMs = nowUnixMs() + RENEW_PAUSE_MS;
        }
      }
      const { token } = live();
      return { token, metadata: bearer(token) };
    },
    async afterRefusal({ code }, token, elapsedMs, budget) {
      if (code === 'TOKEN_ISSUER' && elapsedMs < ISSUER_PATIENCE_MS) return true;
      if (!RENEWABLE.has(code)) return false;
      const own = live();
      if (own.token !== token) return true;
      if (!mayRenew(own)) return false;
      await within(budget, renewed());
      return true;
    },
    async end() {
      become(undefined);
      await store.save(undefined);
    },
  };
}

function endsSession(error: unknown): boolean {
  if (error instanceof InvalidArgumentError) return error.field === 'refresh_token';
  return error instanceof AuthenticationError && ENDING.has(error.code);
}

function ended(message: string, cause?: unknown): AuthenticationError {
  return new AuthenticationError(message, { code: 'SESSION_ENDED', outcome: 'not_applied', cause });
}
