// Things that all expire after the same delay, with one timer for all of them.

import type { Clock } from './ports.ts';

export interface ExpiryQueue<T> {
  add(item: T): void;
  /** Removes an item that no longer needs to expire; harmless when it is not there. */
  delete(item: T): void;
}

/** Calls `onExpired` once for each item that stays in the queue for `delayMs`, in the order in which they were added. */
export function createExpiryQueue<T>(clock: Clock, delayMs: number, onExpired: (item: T) => void): ExpiryQueue<T> {
  const dueAtMs = new Map<T, number>();
  let armed = false;

  function arm(delay: number): void {
    armed = true;
    clock.after(delay, sweep);
  }

  function sweep(): void {
    armed = false;
    const nowMs = clock.nowMs();
    for (const [item, due] of dueAtMs) {
      if (due > nowMs) {
        arm(due - nowMs);
        return;
      }
      dueAtMs.delete(item);
      onExpired(item);
    }
  }

  return {
    add(item) {
      dueAtMs.set(item, clock.nowMs() + delayMs);
      if (!armed) arm(delayMs);
    },
    delete: (item) => void dueAtMs.delete(item),
  };
}
