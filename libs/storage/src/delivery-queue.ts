// The queue of deliveries in a gateway's store: the decisions that not every bank is known to have acknowledged, oldest first.

import type { FinishedDelivery } from '@strife/two-phase-commit';
import { idToBlob } from './ids.ts';
import type { StoreFile } from './store-file.ts';

/** So many finished deliveries wait, at most, for a batch to ride with. Losing them in a crash only repeats deliveries. */
export const FINISHED_BUFFERED_MAX = 10_000;

export interface DeliveryQueue {
  /** The place of a decision about a new id. An id keeps its place through all its attempts, so that paging by id misses nothing. */
  nextPlace(): number;
  /** Inside a write. The decision is to be delivered; also one that was finished already. */
  add(key: Uint8Array, place: number): void;
  /** As `add`, for an id whose decision of an earlier attempt has this place: from now on the end of another attempt's delivery is none. */
  addAgain(key: Uint8Array, place: number, attempt: number): void;
  /**
   * In memory, until `forgetFinished`, which must come before any later attempt is added. What is finished of another attempt than the
   * row's stays in the queue. Throws RangeError for a malformed id.
   */
  finish(deliveries: readonly FinishedDelivery[]): void;
  /** Finished deliveries that are still in the file. */
  readonly finished: number;
  isFinished(key: Uint8Array, place: number, attempt: number): boolean;
  /** Inside a read. When the oldest decision that is not finished was made, in ms; undefined when there is none. Writes nothing. */
  oldestAtMs(): number | undefined;
  /** Inside a write. */
  forgetFinished(): void;
  /** Inside a write, after all that took places. */
  savePlaces(): void;
}

export function openDeliveryQueue(store: StoreFile): DeliveryQueue {
  const insert = store.prepare('INSERT OR REPLACE INTO undelivered (seq, id) VALUES (?, ?)');
  const removeRange = store.prepare('DELETE FROM undelivered WHERE seq BETWEEN ? AND ?');
  const removeById = store.prepare('DELETE FROM undelivered WHERE seq = (SELECT seq FROM decisions WHERE id = ? AND attempt = ?)');
  const oldestFirst = store.prepare(`
    SELECT u.seq, u.id, d.attempt, d.decided_at_ms FROM undelivered u CROSS JOIN decisions d ON d.id = u.id ORDER BY u.seq LIMIT ?`);
  const saveNext = store.prepare('UPDATE sequence SET next = ?');
  let [next] = store.prepare('SELECT next FROM sequence').get() as unknown as [number];
  let savedNext = next;
  /** By place, the last attempt of each id that went on to a later one since the start and is not finished. */
  const attemptAt = new Map<number, number>();
  let finishedPlaces: number[] = [];
  /** Of rows that came without their place. */
  let finishedKeys: { key: Uint8Array; attempt: number }[] = [];

  return {
    nextPlace: () => next++,
    add: (key, place) => void insert.run(place, key),
    addAgain(key, place, attempt) {
      insert.run(place, key);
      attemptAt.set(place, attempt);
    },
    finish(deliveries) {
      for (const { id, attempt, place } of deliveries) {
        if (place === undefined) {
          finishedKeys.push({ key: idToBlob(id), attempt });
        } else if ((attemptAt.get(place) ?? attempt) === attempt) {
          attemptAt.delete(place);
          finishedPlaces.push(place);
        }
      }
    },
    get finished() {
      return finishedPlaces.length + finishedKeys.length;
    },
    isFinished: (key, place, attempt) =>
      finishedPlaces.includes(place) || finishedKeys.some((finished) => finished.attempt === attempt && Buffer.compare(finished.key, key) === 0),
    oldestAtMs() {
      // Of one row more than are finished, one is not, if there is any such.
      const rows = oldestFirst.all(finishedPlaces.length + finishedKeys.length + 1) as unknown as [place: number, key: Uint8Array, attempt: number, decidedAtMs: number][];
      const places = new Set(finishedPlaces);
      const keys = new Set(finishedKeys.map(({ key, attempt }) => nameOf(key, attempt)));
      return rows.find(([place, key, attempt]) => !places.has(place) && !keys.has(nameOf(key, attempt)))?.[3];
    },
    forgetFinished() {
      for (const [first, last] of rangesOf(finishedPlaces)) removeRange.run(first, last);
      for (const { key, attempt } of finishedKeys) removeById.run(key, attempt);
      finishedPlaces = [];
      finishedKeys = [];
    },
    savePlaces() {
      if (next === savedNext) return;
      saveNext.run(next);
      savedNext = next;
    },
  };
}

function nameOf(key: Uint8Array, attempt: number): string {
  return `${Buffer.from(key).toString('latin1')} ${attempt}`;
}

/** The numbers as ranges without gaps: what was decided together is mostly finished together. */
function rangesOf(numbers: readonly number[]): [first: number, last: number][] {
  const ranges: [number, number][] = [];
  for (const number of numbers.toSorted((one, other) => one - other)) {
    const range = ranges.at(-1);
    if (range !== undefined && number <= range[1] + 1) range[1] = number;
    else ranges.push([number, number]);
  }
  return ranges;
}
