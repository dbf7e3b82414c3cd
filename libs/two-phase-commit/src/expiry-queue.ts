// Things that all expire after the same delay, with one timer for all of them.

import type { Clock } from './ports.ts';

/** An item's place in its queue; given once. */
export type ExpiryTicket = number;

export interface ExpiryQueue<T> {
  /** Starts the item's delay. */
  add(item: T): ExpiryTicket;
  /** The item no longer needs to expire; harmless when it has. */
  delete(ticket: ExpiryTicket): void;
}

/** So many places of items that have left, at least, are given up at once. */
const PLACES_AT_ONCE = 1024;

/**
 * Calls `onExpired` once for each item that stays in the queue for `delayMs`, in the order in which they were added.
 *
 * Items stand in a row, by their tickets: what is waited for and left every some microseconds should cost no search.
 */
export function createExpiryQueue<T>(clock: Clock, delayMs: number, onExpired: (item: T) => void): ExpiryQueue<T> {
  let row: (T | undefined)[] = [];
  /** When each of the row is due. */
  let dueAtMs: number[] = [];
  /** The ticket of the first place in the row. */
  let first = 0;
  /** Before this place nobody waits. */
  let head = 0;
  let armed = false;

  function sweep(): void {
    const nowMs = clock.monotonicMs();
    for (let item = row[head]; item !== undefined; item = row[head]) {
      const leftMs = dueAtMs[head]! - nowMs;
      if (leftMs > 0) {
        clock.after(leftMs, sweep);
        return;
      }
      leave(head);
      onExpired(item);
    }
    armed = false;
  }

  /** If the row is not empty, somebody waits at its head afterwards. */
  function leave(place: number): void {
    row[place] = undefined;
    if (place === head) giveUpPlaces();
  }

  function giveUpPlaces(): void {
    while (head < row.length && row[head] === undefined) head += 1;
    if (head < row.length && (head < PLACES_AT_ONCE || head < row.length / 2)) return;
    row = row.slice(head);
    dueAtMs = dueAtMs.slice(head);
    first += head;
    head = 0;
  }

  return {
    add(item) {
      row.push(item);
      dueAtMs.push(clock.monotonicMs() + delayMs);
      if (!armed) clock.after(delayMs, sweep);
      armed = true;
      return first + row.length - 1;
    },
    delete(ticket) {
      if (ticket >= first + head) leave(ticket - first);
    },
  };
}
