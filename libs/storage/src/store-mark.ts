// Notices that a store was put back to an older copy: a number that only grows stands in the store and, never larger, in a file beside it.
//
// The number grows at every start, at every clean stop and with every 16th write, as a part of that write; the file is written after it is
// durable. So whatever a crash leaves, the file is not ahead of the store, unless the store went back.

import { closeSync, constants, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { StoreRolledBackError } from './store-error.ts';

/** So many writes, at most, are missing in an older copy that is not noticed, if the process did not stop cleanly. */
export const WRITES_A_MARK = 16;

export interface StoreMark {
  /** Call in every transaction, last. */
  beforeCommit(): void;
  /** Call after each. */
  afterCommit(): void;
  /** Marks all that was written. Call with no transaction open, and once. */
  close(): void;
  /** Lets go without a mark: for a store that failed. */
  abandon(): void;
}

/** @throws StoreRolledBackError when there is a mark and no store: to begin anew here would be to forget everything */
export function requireUnmarked(path: string): void {
  const mark = readMark(path);
  if (mark !== undefined) throw new StoreRolledBackError(path, undefined, mark);
}

/**
 * Compares, counts this start, and marks it. Makes what it needs in a store that has no number yet. A mark that is missing, empty or cut off
 * counts as none: it is no reason to refuse.
 *
 * @throws StoreRolledBackError for a store that is older than its mark; whatever SQLite or the file system throws when they cannot write
 */
export function openStoreMark(path: string, database: DatabaseSync): StoreMark {
  database.exec('CREATE TABLE IF NOT EXISTS mark (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL) STRICT');
  const number = Number(database.prepare('SELECT number FROM mark').get()?.['number'] ?? 0);
  const seen = readMark(path);
  if (seen !== undefined && seen > number) throw new StoreRolledBackError(path, number, seen);
  const save = database.prepare('INSERT OR REPLACE INTO mark (only, number) VALUES (1, ?)');
  let current = number + 1;
  save.run(current);
  // Neither cut off nor appended to: written in place.
  const file = openSync(markPath(path), constants.O_RDWR | constants.O_CREAT, 0o600);
  let writes = 0;
  let isGrown = false;

  function mark(): void {
    writeSync(file, lineOf(current), 0);
  }

  mark();
  fsyncSync(file);
  return {
    beforeCommit() {
      writes += 1;
      if (writes < WRITES_A_MARK) return;
      writes = 0;
      isGrown = true;
      save.run(current + 1);
    },
    afterCommit() {
      if (!isGrown) return;
      isGrown = false;
      current += 1;
      mark();
    },
    close() {
      try {
        current += 1;
        save.run(current);
        mark();
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    },
    abandon: () => closeSync(file),
  };
}

function markPath(path: string): string {
  return `${path}.mark`;
}

/** Of one length, so that a shorter number never leaves a rest of a longer one; twice, so that half a line is none. */
function lineOf(number: number): string {
  const digits = String(number).padStart(16, '0');
  return `${digits} ${digits}\n`;
}

function readMark(path: string): number | undefined {
  const file = markPath(path);
  if (!existsSync(file)) return undefined;
  const [, once, again] = /^(\d{16}) (\d{16})\n$/.exec(readFileSync(file, 'latin1')) ?? [];
  return once !== undefined && once === again ? Number(once) : undefined;
}
