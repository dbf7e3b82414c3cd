// Lists are read from the books in the one thread that also votes. They take turns, so that votes come in between, however many ask at once.

import type { Clock } from '@strife/two-phase-commit';

/** For so long after the first list of a turn of the event loop others may begin in it. */
const TURN_MS = 1;

export interface PageTurns {
  /**
   * Runs the work, which is synchronous, and passes on what it returns or throws: at once, or in a later turn of the event loop when this one has
   * had its lists. First come, first served. A call that was given up meanwhile costs no work.
   *
   * @throws the signal's reason
   */
  take<Result>(signal: AbortSignal, work: () => Result): Promise<Result>;
}

export function createPageTurns({ soon, monotonicMs }: Pick<Clock, 'soon' | 'monotonicMs'>): PageTurns {
  /** Empty, unless `nextTurn` is on its way. */
  const waiting: (() => void)[] = [];
  /** When no more lists may begin in this turn; undefined before its first. */
  let endsAtMs: number | undefined;

  function mayBegin(): boolean {
    const nowMs = monotonicMs();
    if (endsAtMs !== undefined) return nowMs < endsAtMs;
    endsAtMs = nowMs + TURN_MS;
    soon(nextTurn);
    return true;
  }

  function nextTurn(): void {
    endsAtMs = undefined;
    while (waiting.length > 0 && mayBegin()) waiting.shift()!();
  }

  return {
    take(signal, work) {
      const { promise, resolve, reject } = Promise.withResolvers<ReturnType<typeof work>>();
      const begin = (): void => {
        try {
          signal.throwIfAborted();
          resolve(work());
        } catch (error) {
          reject(error);
        }
      };
      if (waiting.length === 0 && mayBegin()) begin();
      else waiting.push(begin);
      return promise;
    },
  };
}
