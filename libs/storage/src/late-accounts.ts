// When the rows of accounts are written: not with each payment but for many at once, in the order of their ids, so that a page that many accounts
// stand on is written once for all of them.
//
// An entry says its account's balance, and is written with its payment: an account is its row and the entries after it. How far back those may go is in
// the table accounts_shown: each row shows at least the entries up to that one. It moves only once every row that was behind it is written.

import { StoreError } from './store-error.ts';
import type { StoreFile } from './store-file.ts';

/** So many accounts may have rows that are behind; as many again while they are being written. */
const LATE_MAX = 16_384;
/** From so many entries on that not all rows show, they are written. A start after a crash goes through them, and those that came meanwhile: half a second. */
const ENTRIES_MAX = 100_000;

export interface LateAccounts {
  /** Inside a write: this account's row does not show its last entry any longer. */
  add(id: number): void;
  /**
   * Inside a write, after all that it adds: the accounts whose rows are to be written by it, in the order of their ids. Some may have been written since.
   *
   * @param lastEntry the seq of the last entry of all
   */
  due(lastEntry: number): readonly number[];
  /** Inside a write, the last one: all of them. */
  rest(lastEntry: number): readonly number[];
}

export interface LateLimits {
  /** How many accounts' rows may be behind; 16,384 by default. */
  readonly accountsLateMax?: number | undefined;
  /** From how many entries on that not all rows show these are written; 100,000 by default. There may be half as many again, and those of one write. */
  readonly entriesLateMax?: number | undefined;
}

export function openLateAccounts(store: StoreFile, { accountsLateMax = LATE_MAX, entriesLateMax = ENTRIES_MAX }: LateLimits): LateAccounts {
  const save = store.prepare('UPDATE accounts_shown SET up_to = ?');
  let shownUpTo = readShownUpTo(store);
  let late: number[] = [];
  /** Those that are being written, the next one last. */
  let taken: number[] = [];
  /** Once those are written, all rows show the entries up to here. */
  let takenAt = shownUpTo;
  /** How many there were when they began to be written. */
  let takenCount = 0;
  let added = 0;
  let lastSeen = shownUpTo;

  function take(lastEntry: number): void {
    taken = late.sort((one, other) => other - one);
    takenCount = taken.length;
    late = [];
    takenAt = lastEntry;
  }

  function finish(): void {
    shownUpTo = takenAt;
    save.get(shownUpTo);
  }

  return {
    add(id) {
      late.push(id);
      added += 1;
    },
    due(lastEntry) {
      // A quarter more than became late, and done before half as many entries as there may be have come: so an end is reached whatever is paid.
      const count = Math.ceil(Math.max(added * 1.25, (takenCount * (lastEntry - lastSeen)) / (entriesLateMax / 2), 1));
      added = 0;
      lastSeen = lastEntry;
      if (taken.length === 0) {
        if (late.length < accountsLateMax && lastEntry - shownUpTo < entriesLateMax) return NONE;
        take(lastEntry);
      }
      const due = taken.splice(-count).reverse();
      if (taken.length === 0) finish();
      return due;
    },
    rest(lastEntry) {
      late = late.concat(taken);
      take(lastEntry);
      const all = taken;
      taken = [];
      if (lastEntry > shownUpTo) finish();
      return all.reverse();
    },
  };
}

const NONE: readonly number[] = [];

/** @throws StoreError when the table does not say it */
export function readShownUpTo(store: StoreFile): number {
  const row = store.prepare('SELECT up_to FROM accounts_shown').get() as unknown as [number] | undefined;
  if (row === undefined) throw new StoreError(store.path, 'has nothing in its table accounts_shown: which entries its accounts show is not known');
  return row[0];
}
