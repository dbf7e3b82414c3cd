// Slows down whoever guesses passwords, and whoever refreshes without need: what comes too often is not tried again for a while.

import { RateLimiterMemory } from 'rate-limiter-flexible';

/** Failed logins that a user name has in one window. */
const FAILURES_MAX = 10;
const WINDOW_MS = 60_000;

/** The user name failed too often. It is not said whether it exists, or whether this password was right. */
export class TooManyLoginsError extends Error {
  override readonly name = 'TooManyLoginsError';
  readonly code = 'TOO_MANY_LOGINS';
  constructor() {
    super('too many failed logins for this user; wait a minute and try again');
  }
}

export interface LoginLimiter {
  /**
   * Runs one login, unless the user name has used up its failures of this window. A login that succeeds clears them.
   *
   * @throws TooManyLoginsError before `verify` is called
   */
  attempt(username: string, verify: () => Promise<boolean>): Promise<boolean>;
}

/** Counts in memory: a restart forgives. Unknown names count like known ones, so that nobody learns which are which. */
export function createLoginLimiter({ failuresMax = FAILURES_MAX, windowMs = WINDOW_MS }: { failuresMax?: number; windowMs?: number } = {}): LoginLimiter {
  const failures = new RateLimiterMemory({ points: failuresMax, duration: windowMs / 1000 });
  return {
    async attempt(username, verify) {
      const before = await failures.get(username);
      if (before !== null && before.consumedPoints >= failuresMax) throw new TooManyLoginsError();
      const succeeded = await verify();
      if (succeeded) await failures.delete(username);
      else await failures.penalty(username);
      return succeeded;
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
