// The queue of deliveries in a gateway's store: the decisions that not every bank is known to have acknowledged, oldest first.
//
// They are kept as runs, ids whose places follow each other without a gap: what one write decides is one run, and what is decided together
// is mostly finished together, so a run comes and goes as one row. Where only a part is finished, what is left on either side is a run.

import type { FinishedDelivery } from '@strife/two-phase-commit';
import { idToBlob } from './ids.ts';
import type { StoreFile } from './store-file.ts';

/** So many finished deliveries wait, at most, for a batch to ride with. Losing them in a crash only repeats deliveries. */
export const FINISHED_BUFFERED_MAX = 10_000;

export interface DeliveryQueue {
  /** The place that `add` gives next. An id keeps its place through all its attempts, so that paging by id misses nothing. */
  readonly nextPlace: number;
  /** Inside a write. The decision about this new id is to be delivered. */
  add(key: Uint8Array): void;
  /**
   * As `add`, for an id whose decision of an earlier attempt has this place, finished or not: from now on the end of another attempt's
   * delivery is none.
   */
  addAgain(key: Uint8Array, place: number, attempt: number): void;
  /**
   * In memory, until `forgetFinished`, which must come before any later attempt is added. What is finished of another attempt than the
   * row's stays in the queue. Throws RangeError for a malformed id.
   */
  finish(deliveries: readonly FinishedDelivery[]): void;
  /** Finished deliveries that are still in the file. */
  readonly finished: number;
  /** Inside a read. */
  isDelivered(key: Uint8Array, place: number, attempt: number): boolean;
  /** Inside a read. When the oldest decision that is not finished was made, in ms; undefined when there is none. Writes nothing. */
  oldestAtMs(): number | undefined;
  /** Inside a read, as the file has it: those that wait behind this place, oldest first. */
  behind(place: number, limit: number): Uint8Array[];
  /** Inside a read, as the file has it. */
  count(): number;
  /** Inside a write. */
  forgetFinished(): void;
  /** Inside a write, at its end: what it added is not in the file before. */
  saveAdded(): void;
}

const ID_BYTES = 16;

/** The places from `first` up to, and without, `end`. */
interface Run {
  readonly first: number;
  readonly end: number;
}

export function openDeliveryQueue(store: StoreFile): DeliveryQueue {
  const insertRun = store.prepare('INSERT INTO undelivered (seq, ids) VALUES (?, ?)');
  const removeRun = store.prepare('DELETE FROM undelivered WHERE seq = ?');
  /** The run at the second place, without its first so many bytes, as a run at the first. */
  const copyRest = store.prepare(`INSERT INTO undelivered (seq, ids) SELECT ?, substr(ids, ? + 1) FROM undelivered WHERE seq = ?`);
  const cutTo = store.prepare('UPDATE undelivered SET ids = substr(ids, 1, ?) WHERE seq = ?');
  const lastUpTo = store.prepare(`SELECT seq, seq + length(ids) / ${ID_BYTES} FROM undelivered WHERE seq <= ? ORDER BY seq DESC LIMIT 1`);
  const firstFrom = store.prepare('SELECT seq, ids FROM undelivered WHERE seq >= ? ORDER BY seq LIMIT 1');
  const sumOfRuns = store.prepare(`SELECT coalesce(sum(length(ids)), 0) / ${ID_BYTES} FROM undelivered`);
  const placeOf = store.prepare('SELECT seq FROM decisions WHERE id = ? AND attempt = ?');
  const decidedAt = store.prepare('SELECT attempt, decided_at_ms FROM decisions WHERE id = ?');
  const saveNext = store.prepare('UPDATE sequence SET next = ?');
  let [next] = store.prepare('SELECT next FROM sequence').get() as unknown as [number];
  /** The run of the write that is under way: the last places before `next`. */
  let added: Uint8Array[] = [];
  /** By place, the last attempt of each id that went on to a later one since the start and is not finished. */
  const attemptAt = new Map<number, number>();
  let finishedPlaces: number[] = [];
  /** Of rows that came without their place. */
  let finishedKeys: { key: Uint8Array; attempt: number }[] = [];

  /** The last run in the file that begins at this place or before it. */
  function runUpTo(place: number): Run | undefined {
    const found = lastUpTo.get(place) as unknown as [first: number, end: number] | undefined;
    return found && { first: found[0], end: found[1] };
  }

  function isInFile(place: number): boolean {
    const run = runUpTo(place);
    return run !== undefined && place < run.end;
  }

  function* waitingFrom(place: number): Generator<{ place: number; key: Uint8Array }> {
    const around = runUpTo(place);
    let from = around !== undefined && place < around.end ? around.first : place;
    for (;;) {
      const found = firstFrom.get(from) as unknown as [first: number, ids: Uint8Array] | undefined;
      if (found === undefined) return;
      const [first, ids] = found;
      const end = first + ids.length / ID_BYTES;
      for (let each = Math.max(first, place); each < end; each += 1) {
        const at = (each - first) * ID_BYTES;
        yield { place: each, key: ids.subarray(at, at + ID_BYTES) };
      }
      from = end;
    }
  }

  /** Takes the places from `first` to `last` out of the runs that hold them. Those that are in none are out already. */
  function remove(first: number, last: number): void {
    for (let place = last; place >= first;) {
      const run = runUpTo(place);
      if (run === undefined || run.end <= first) return;
      if (run.end > place + 1) copyRest.run(place + 1, (place + 1 - run.first) * ID_BYTES, run.first);
      if (run.first < first) cutTo.run((first - run.first) * ID_BYTES, run.first);
      else removeRun.run(run.first);
      place = run.first - 1;
    }
  }

  return {
    get nextPlace() {
      return next;
    },
    add(key) {
      added.push(key);
      next += 1;
    },
    addAgain(key, place, attempt) {
      const isNew = place >= next - added.length;
      if (!isNew && !isInFile(place)) insertRun.run(place, key);
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
    isDelivered: (key, place, attempt) =>
      !isInFile(place) || finishedPlaces.includes(place) ||
      finishedKeys.some((finished) => finished.attempt === attempt && Buffer.compare(finished.key, key) === 0),
    oldestAtMs() {
      const places = new Set(finishedPlaces);
      const keys = new Set(finishedKeys.map(({ key, attempt }) => nameOf(key, attempt)));
      for (const { place, key } of waitingFrom(0)) {
        if (places.has(place)) continue;
        const [attempt, decidedAtMs] = decidedAt.get(key) as unknown as [number, number];
        if (!keys.has(nameOf(key, attempt))) return decidedAtMs;
      }
      return undefined;
    },
    behind(place, limit) {
      const keys: Uint8Array[] = [];
      for (const { key } of waitingFrom(place + 1)) {
        if (keys.length === limit) break;
        keys.push(key);
      }
      return keys;
    },
    count: () => (sumOfRuns.get() as unknown as [number])[0],
    forgetFinished() {
      for (const { key, attempt } of finishedKeys) {
        const found = placeOf.get(key, attempt) as unknown as [number] | undefined;
        if (found !== undefined) finishedPlaces.push(found[0]);
      }
      for (const [first, last] of rangesOf(finishedPlaces)) remove(first, last);
      finishedPlaces = [];
      finishedKeys = [];
    },
    saveAdded() {
      if (added.length === 0) return;
      insertRun.run(next - added.length, Buffer.concat(added));
      saveNext.run(next);
      added = [];
    },
  };
}

function nameOf(key: Uint8Array, attempt: number): string {
  return `${Buffer.from(key).toString('latin1')} ${attempt}`;
}

/** The numbers as ranges without gaps. */
function rangesOf(numbers: readonly number[]): [first: number, last: number][] {
  const ranges: [number, number][] = [];
  for (const number of numbers.toSorted((one, other) => one - other)) {
    const range = ranges.at(-1);
    if (range !== undefined && number <= range[1] + 1) range[1] = number;
    else ranges.push([number, number]);
  }
  return ranges;
}
