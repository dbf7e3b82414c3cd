// The queue of deliveries in a gateway's store: the decisions that not every bank is known to have acknowledged, oldest first.

import type { DecisionRow, FinishedDelivery, TransferId } from '@strife/two-phase-commit';
import { idToBlob } from './ids.ts';
import type { StoreFile } from './store-file.ts';

/** So many finished deliveries wait, at most, for a batch to ride with. Losing them in a crash only repeats deliveries. */
export const FINISHED_BUFFERED_MAX = 10_000;

export interface DeliveryQueue {
  /** The place of a decision about a new id. An id keeps its place through all its attempts, so that paging by id misses nothing. */
  nextPlace(): number;
  /** Inside a write. The decision is to be delivered; also one that was finished already. */
  add(row: Pick<DecisionRow, 'id' | 'attempt'>, key: Buffer, place: number): void;
  /**
   * In memory, until `forgetFinished`, which must come before any later attempt is added. What is finished of another attempt than the
   * row's stays in the queue. Throws RangeError for a malformed id.
   */
  finish(deliveries: readonly FinishedDelivery[]): void;
  /** Finished deliveries that are still in the file. */
  readonly finished: number;
  isFinished(key: Buffer, place: number, attempt: number): boolean;
  /** Inside a write. */
  forgetFinished(): void;
  /** Inside a write, after all that took places. */
  savePlaces(): void;
}

export function openDeliveryQueue(store: StoreFile): DeliveryQueue {
  const insert = store.prepare('INSERT OR REPLACE INTO undelivered (seq, id) VALUES (?, ?)');
  const removeRange = store.prepare('DELETE FROM undelivered WHERE seq BETWEEN ? AND ?');
  const removeById = store.prepare('DELETE FROM undelivered WHERE seq = (SELECT seq FROM decisions WHERE id = ? AND attempt = ?)');
  const saveNext = store.prepare('UPDATE sequence SET next = ?');
  let [next] = store.prepare('SELECT next FROM sequence').get() as unknown as [number];
  let savedNext = next;
  /** Of what was decided since the start and is not finished. */
  const queued = new Map<TransferId, { place: number; attempt: number }>();
  let finishedPlaces: number[] = [];
  /** Of what an earlier life of this log decided, or what is finished already. */
  let finishedKeys: { key: Buffer; attempt: number }[] = [];

  return {
    nextPlace: () => next++,
    add({ id, attempt }, key, place) {
      insert.run(place, key);
      queued.set(id, { place, attempt });
    },
    finish(deliveries) {
      for (const { id, attempt } of deliveries) {
        const waiting = queued.get(id);
        if (waiting === undefined) {
          finishedKeys.push({ key: idToBlob(id), attempt });
        } else if (waiting.attempt === attempt) {
          queued.delete(id);
          finishedPlaces.push(waiting.place);
        }
      }
    },
    get finished() {
      return finishedPlaces.length + finishedKeys.length;
    },
    isFinished: (key, place, attempt) =>
      finishedPlaces.includes(place) || finishedKeys.some((finished) => finished.attempt === attempt && finished.key.equals(key)),
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
