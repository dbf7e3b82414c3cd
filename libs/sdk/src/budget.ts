// The time one call may take, shared by all its attempts, and the pauses between them.

import { setTimeout as sleep } from 'node:timers/promises';
import { StrifeError, UnavailableError } from './errors.ts';

/** Time and chance, as arguments. */
export interface Clock {
  /** Milliseconds that only ever grow. */
  nowMs(): number;
  /** In [0, 1). */
  random(): number;
  /** Resolves after the time; rejects when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  random: Math.random,
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { signal });
  },
};

const BACK_OFF_FIRST_MS = 50;
const BACK_OFF_MAX_MS = 2_000;

/** One call's deadline and cancellation. */
export interface Budget {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Aborts when the caller cancels; not when the time is over. */
  readonly signal: AbortSignal;
  remainingMs(): number;
}

/** A budget that begins now. */
export function startBudget(clock: Clock, timeoutMs: number, signal: AbortSignal): Budget {
  const endsAtMs = clock.nowMs() + timeoutMs;
  return { clock, timeoutMs, signal, remainingMs: () => endsAtMs - clock.nowMs() };
}

/**
 * The pause after failed attempt number `attempt` (0, 1, ...): "full jitter", anywhere between nothing and a bound
 * that doubles, so that clients which failed together do not come back together.
 *
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backOffMs(clock: Clock, attempt: number): number {
  return clock.random() * Math.min(BACK_OFF_MAX_MS, BACK_OFF_FIRST_MS * 2 ** attempt);
}

/** Pauses before the next attempt; false if the time or the caller's patience ends first. */
export async function pause(budget: Budget, ms: number): Promise<boolean> {
  if (budget.signal.aborted || ms >= budget.remainingMs()) return false;
  try {
    await budget.clock.sleep(ms, budget.signal);
    return true;
  } catch {
    return false;
  }
}

/** What the promise brings, but waits no longer than the call may. Throws what `cancellation` says, or UnavailableError. */
export async function within<T>(budget: Budget, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const ending = async (): Promise<never> => {
    await budget.clock.sleep(Math.max(0, budget.remainingMs()), AbortSignal.any([budget.signal, over.signal])).catch(() => {});
    if (budget.signal.aborted) throw cancellation(budget.signal);
    throw new UnavailableError('no answer came in time', { code: 'DEADLINE_EXCEEDED', retryable: true });
  };
  try {
    return await Promise.race([work, ending()]);
  } finally {
    over.abort();
  }
}

/** A signal that aborts after the time, at once if there is none left. */
export function timeoutSignal(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.max(0, Math.ceil(ms)));
}

/** The errors that `clientClosed` made: known by identity, since an abort reason of a caller's own may look the same. */
const closings = new WeakSet<object>();

/** The reason with which a client that is closed ends its calls. */
export function clientClosed(): StrifeError {
  const error = new StrifeError('the client is closed', { code: 'CLOSED' });
  closings.add(error);
  return error;
}

/**
 * What to throw for a call that its caller cancelled, or that was cut off by `close`. It says nothing of any payment: a caller may abort with
 * whatever error is at hand, even with what another payment ended with, so no reason but `clientClosed` is taken at its word.
 */
export function cancellation({ reason }: AbortSignal): StrifeError {
  if (closings.has(reason as object)) return reason as StrifeError;
  return new StrifeError('the call was cancelled', { code: 'CANCELLED', retryable: true, cause: reason });
}
