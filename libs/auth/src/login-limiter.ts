// Slows down whoever guesses passwords, and whoever logs in or refreshes without need: what comes too often is not tried again for a while.

import RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js';

/** Failed logins that a user name has in one window; also how many of its logins may be under way at once, since each may fail. */
const FAILURES_MAX = 10;
/**
 * Logins of a user name that succeed in one window. Each begins a session whose logout every gateway remembers for up to two hours
 * (REVOCATIONS_MAX). Far more than anybody needs who keeps a session.
 */
const SUCCESSES_MAX = 60;
const WINDOW_MS = 60_000;

/** The user name failed too often, or logged in too often. It is not said which, whether it exists, or whether this password was right. */
export class TooManyLoginsError extends Error {
  override readonly name = 'TooManyLoginsError';
  readonly code = 'TOO_MANY_LOGINS';
  constructor() {
    super('too many logins for this user; wait a minute and try again');
  }
}

export interface LoginLimiter {
  /**
   * Runs one login, unless the user name has used up its failures or its successes of this window. Logins under way count as failures
   * until they have ended, so that no more can fail than may. A login that succeeds clears the failures; one that could not be tried
   * counts for nothing.
   *
   * @throws TooManyLoginsError before `verify` is called
   */
  attempt(username: string, verify: () => Promise<boolean>): Promise<boolean>;
}

/** Counts in memory: a restart forgives. Unknown names count like known ones, so that nobody learns which are which. */
export function createLoginLimiter({ failuresMax = FAILURES_MAX, successesMax = SUCCESSES_MAX, windowMs = WINDOW_MS }: {
  failuresMax?: number;
  successesMax?: number;
  windowMs?: number;
} = {}): LoginLimiter {
  const failures = new RateLimiterMemory({ points: failuresMax, duration: windowMs / 1000 });
  const successes = new RateLimiterMemory({ points: successesMax, duration: windowMs / 1000 });
  /** Logins that have begun and not ended, by user name. */
  const underWay = new Map<string, number>();

  async function counted(username: string, ahead: number, verify: () => Promise<boolean>): Promise<boolean> {
    const [failed, succeeded] = await Promise.all([failures.get(username), successes.get(username)]);
    if ((failed?.consumedPoints ?? 0) + ahead >= failuresMax || (succeeded?.consumedPoints ?? 0) + ahead >= successesMax) throw new TooManyLoginsError();
    const isRight = await verify();
    if (isRight) await Promise.all([failures.delete(username), successes.penalty(username)]);
    else await failures.penalty(username);
    return isRight;
  }

  return {
    async attempt(username, verify) {
      const ahead = underWay.get(username) ?? 0;
      // Before anything is waited for, and taken back after the failure is counted: there is no moment in which it is neither.
      underWay.set(username, ahead + 1);
      try {
        return await counted(username, ahead, verify);
      } finally {
        const left = underWay.get(username)! - 1;
        if (left === 0) underWay.delete(username);
        else underWay.set(username, left);
      }
    },
  };
}

/** Refreshes of one session in one window: far more than sessions need that last an hour, with all answers lost. */
const REFRESHES_MAX = 20;

/** The session was refreshed too often; the refresh token was not used up. */
export class TooManyRefreshesError extends Error {
  override readonly name = 'TooManyRefreshesError';
  readonly code = 'TOO_MANY_REFRESHES';
  constructor() {
    super('refreshed too often; wait a minute and try again');
  }
}

export interface RefreshLimiter {
  /** Counts one refresh of the session. @throws TooManyRefreshesError */
  count(sessionId: string): Promise<void>;
}

/** Counts in memory: a restart forgives. Only sessions of genuine tokens are to be counted, so that nobody can use up another's. */
export function createRefreshLimiter({ refreshesMax = REFRESHES_MAX, windowMs = WINDOW_MS }: { refreshesMax?: number; windowMs?: number } = {}): RefreshLimiter {
  const refreshes = new RateLimiterMemory({ points: refreshesMax, duration: windowMs / 1000 });
  return {
    async count(sessionId) {
      const { consumedPoints } = await refreshes.penalty(sessionId);
      if (consumedPoints > refreshesMax) throw new TooManyRefreshesError();
    },
  };
}
