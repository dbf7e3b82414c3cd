// Things that all expire after the same delay, with one timer for all of them.

import type { Clock } from './ports.ts';

export interface ExpiryQueue<T> {
  /** Starts the item's delay; harmless when it already runs. */
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
    const nowMs = clock.monotonicMs();
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
      // An item that is there already keeps its time, and with it the order of the queue.
      if (dueAtMs.has(item)) return;
      dueAtMs.set(item, clock.monotonicMs() + delayMs);
      if (!armed) arm(delayMs);
    },
    delete: (item) => void dueAtMs.delete(item),
  };
}
