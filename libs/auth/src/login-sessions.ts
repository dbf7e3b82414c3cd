// A bank's login sessions: what a login began, and refresh tokens that each count once. One that comes a second time ends its session.

import { randomBytes } from 'node:crypto';
import { createRefreshTokens } from './refresh-tokens.ts';

/** A session as it is stored. */
export interface LoginSessionRow {
  readonly id: string;
  /** The user's account at this bank. */
  readonly account: string;
  /** Of the refresh token that counts now. */
  readonly generation: number;
  /** Tells the request by which that one was given out; null for the first one, which a login gave. */
  readonly requestDigest: string | null;
  readonly createdAtMs: number;
  /** When it ends by itself. Refreshing does not move it. */
  readonly expiresAtMs: number;
  /** When somebody ended it; null while it goes on. */
  readonly endedAtMs: number | null;
}

/** Where sessions are kept. What it writes is durable when the function returns. */
export interface LoginSessionStore {
  /** Adds a session. Of the account's sessions that go on then, the one behind the newest `keptMax` expires in the same write. */
  insert(row: LoginSessionRow, keptMax: number): void;
  find(id: string): LoginSessionRow | undefined;
  advance(id: string, generation: number, requestDigest: string): void;
  /** A session that has ended keeps its time. */
  end(id: string, atMs: number): void;
  /** Sessions that somebody ended after this time. */
  endedAfter(atMs: number): readonly { readonly id: string; readonly endedAtMs: number }[];
  /** Removes sessions that expired or were ended at this time or before. */
  removeOver(atMs: number): void;
}

export type RefreshTokenErrorCode = 'REFRESH_TOKEN_INVALID' | 'REFRESH_TOKEN_EXPIRED' | 'REFRESH_TOKEN_REUSED' | 'SESSION_REVOKED';

/** A refused refresh token. The message never contains a part of it. */
export class RefreshTokenError extends Error {
  override readonly name = 'RefreshTokenError';
  readonly code: RefreshTokenErrorCode;
  /** The session, where the token is a genuine one. */
  readonly sessionId: string | undefined;
  constructor(code: RefreshTokenErrorCode, sessionId?: string) {
    super(MESSAGES[code]);
    this.code = code;
    this.sessionId = sessionId;
  }
}

/** A session that goes on, and the refresh token for the next time. */
export interface GoneOnSession {
  readonly id: string;
  readonly refreshToken: string;
  readonly expiresAtMs: number;
}

export interface LoginSessions {
  /** Begins a session for a user who has just proved who they are; durable when it returns. */
  open(account: string): GoneOnSession;
  /**
   * Uses a refresh token up and gives the next one; durable when it returns. Asked again with the same token and request id, it
   * gives the same answer, until the next token was used in its turn: so a lost answer can be asked for again. A token that was
   * used up by another request ends its session, durably.
   *
   * @param admit told whose session it is, before anything is used up; what it throws is passed on, and nothing has changed.
   * @throws RefreshTokenError
   */
  refresh(refreshToken: string, requestId: string, admit: (account: string) => void): GoneOnSession;
  /** The session of a genuine refresh token, whether it still counts or not. @throws RefreshTokenError REFRESH_TOKEN_INVALID */
  idOf(refreshToken: string): string;
  /** Ends a session: durable when it returns, and harmless when it has ended. */
  end(id: string): void;
  /** Whether a session was ended that may have grants which did not expire. Cheap: asked at every debit. */
  hasEnded(id: string): boolean;
}

export interface LoginSessionsOptions {
  readonly store: LoginSessionStore;
  /** The bank's, 32 bytes. With another one, no refresh token that was given out counts. */
  readonly secret: Uint8Array;
  readonly bank: string;
  readonly lifetimeMs: number;
  /** The longest that a grant lasts: for so long it is known that a session was ended, and refused for that. */
  readonly grantLifetimeMs: number;
  /** The wall clock, which may step. */
  readonly nowMs: () => number;
  /** A clock that never steps. */
  readonly monotonicMs: () => number;
  readonly newId?: () => string;
}

/** Sessions of one account that can be refreshed; a further login takes this away from the oldest. */
export const SESSIONS_KEPT_MAX = 100;
const SWEEP_INTERVAL_MS = 60_000;
/** How long a session that is over is kept, at least: its last grants may live on, and can still be ended. */
const OVER_KEPT_MS = 24 * 3_600_000;
/** How far ahead the wall clock may be at a start, without it being forgotten that a session was ended. */
const CLOCK_ERROR_MAX_MS = 2 * 3_600_000;

export function openLoginSessions(options: LoginSessionsOptions): LoginSessions {
  const { store, secret, bank, lifetimeMs, grantLifetimeMs, nowMs, monotonicMs, newId = randomId } = options;
  const tokens = createRefreshTokens(secret, bank);
  /**
   * When sessions were ended, as long as a grant of theirs may live by either clock: a wall clock that steps ahead and back would
   * bring grants back to life. `heardAtMs` is on the steady clock; for what was ended before this start, it is the start.
   */
  const ended = new Map<string, { readonly endedAtMs: number; readonly heardAtMs: number }>();
  let sweptAtMs = -Infinity;
  sweep();
  for (const { id, endedAtMs } of store.endedAfter(nowMs() - grantLifetimeMs - CLOCK_ERROR_MAX_MS)) ended.set(id, { endedAtMs, heardAtMs: sweptAtMs });

  /** In open and end, which alone make rows: memory and store stay as small as what goes on. */
  function sweep(): void {
    const steadyMs = monotonicMs();
    if (steadyMs - sweptAtMs < SWEEP_INTERVAL_MS) return;
    sweptAtMs = steadyMs;
    const now = nowMs();
    for (const [id, { endedAtMs, heardAtMs }] of ended) {
      if (endedAtMs + grantLifetimeMs <= now && heardAtMs + grantLifetimeMs <= steadyMs) ended.delete(id);
    }
    store.removeOver(now - Math.max(OVER_KEPT_MS, grantLifetimeMs));
  }

  function end(id: string): void {
    sweep();
    if (ended.has(id)) return;
    const now = nowMs();
    // Refused from now on, also should the write fail: the process then stops anyway.
    ended.set(id, { endedAtMs: now, heardAtMs: monotonicMs() });
    store.end(id, now);
  }

  function goneOn({ id, expiresAtMs }: LoginSessionRow, generation: number): GoneOnSession {
    return { id, expiresAtMs, refreshToken: tokens.write({ sessionId: id, generation }) };
  }

  function claimOf(refreshToken: string): { sessionId: string; generation: number } {
    const claim = tokens.read(refreshToken);
    if (claim === undefined) throw new RefreshTokenError('REFRESH_TOKEN_INVALID');
    return claim;
  }

  return {
    open(account) {
      sweep();
      const createdAtMs = nowMs();
      const row: LoginSessionRow = {
        id: newId(), account, generation: 1, requestDigest: null, createdAtMs, expiresAtMs: createdAtMs + lifetimeMs, endedAtMs: null,
      };
      store.insert(row, SESSIONS_KEPT_MAX);
      return goneOn(row, 1);
    },

    refresh(refreshToken, requestId, admit) {
      const { sessionId, generation } = claimOf(refreshToken);
      const row = store.find(sessionId);
      // A genuine token without its row is of a session that is over.
      if (row === undefined || row.expiresAtMs <= nowMs()) throw new RefreshTokenError('REFRESH_TOKEN_EXPIRED', sessionId);
      if (row.endedAtMs !== null) throw new RefreshTokenError('SESSION_REVOKED', sessionId);
      // The store was brought back from a backup: what this token took the place of is not known here any more.
      if (generation > row.generation) throw new RefreshTokenError('REFRESH_TOKEN_INVALID', sessionId);
      const requestDigest = tokens.digest(requestId);
      const isRepeat = generation === row.generation - 1 && requestDigest === row.requestDigest;
      if (generation < row.generation && !isRepeat) {
        end(sessionId);
        throw new RefreshTokenError('REFRESH_TOKEN_REUSED', sessionId);
      }
      admit(row.account);
      if (!isRepeat) store.advance(sessionId, generation + 1, requestDigest);
      return goneOn(row, generation + 1);
    },

    idOf: (refreshToken) => claimOf(refreshToken).sessionId,
    end,
    hasEnded: (id) => ended.has(id),
  };
}

function randomId(): string {
  return randomBytes(16).toString('base64url');
}

const MESSAGES: Record<RefreshTokenErrorCode, string> = {
  REFRESH_TOKEN_INVALID: 'refresh_token: not one that this bank gave; log in again',
  REFRESH_TOKEN_EXPIRED: 'refresh_token: the session is over; log in again',
  REFRESH_TOKEN_REUSED: 'refresh_token: used before, so somebody else may have it; the session has been ended, log in again',
  SESSION_REVOKED: 'refresh_token: the session was ended; log in again',
};
