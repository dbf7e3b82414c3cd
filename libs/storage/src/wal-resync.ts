// Makes what a crash left of a store durable before anybody trusts it: the write-ahead log, and the pages that were being copied out of it.
//
// After a failed sync (see write-back.ts) a log that looks whole may not be on the disk, and everything committed after it would be lost with it.
// So may pages of the main file that a failed checkpoint wrote: SQLite would copy them again, hear that they are synced, and begin the log anew.

import { loggedPages, type LoggedPages } from './logged-pages.ts';
import { writeBack, type Stretch, type WrittenBack } from './write-back.ts';

/** SQLite never writes the page that begins here: it takes its locks there. */
const LOCK_BYTE = 2 ** 30;

/**
 * Writes `<path>-wal` and then the pages of `path` that it holds back to the disk. Does nothing where there is no log, which is so after every clean stop.
 * Call as the owner of the store, before SQLite opens it in this process. What it returns and throws: see `writeBack`.
 */
export function resyncAfterCrash(path: string): { readonly log: WrittenBack; readonly main: WrittenBack } {
  const log = resyncWriteAheadLog(path);
  return { log, main: log === 'nothing' ? log : resyncMainFile(path) };
}

/** All of the log: its file may have grown at any frame. */
export function resyncWriteAheadLog(path: string): WrittenBack {
  return writeBack(`${path}-wal`, (size) => (size === 0 ? [] : [{ from: 0, to: size }]));
}

/**
 * Only the pages that the log holds. A log begins anew only when all its pages are in the main file and synced, so those that are not on the disk are all in
 * the log that stands there now, and with them all by which the main file grew since. Most of them SQLite would write again; but it counts pages as copied
 * before it has synced them, and while a reader holds the log's index it believes that after a restart.
 *
 * As the log has each of these pages, and is safe by now, whatever a power cut leaves of them is restored from it.
 */
function resyncMainFile(path: string): WrittenBack {
  const logged = loggedPages(`${path}-wal`);
  return logged.pages.length === 0 ? 'nothing' : writeBack(path, (size) => stretchesOf(logged, size));
}

/** Where these pages lie in a main file of `size` bytes: ascending, apart from each other, up to its end. */
export function* stretchesOf({ pageBytes, pages }: LoggedPages, size: number): Generator<Stretch> {
  let from = 0;
  let to = 0;
  for (const page of pages) {
    const start = (page - 1) * pageBytes;
    if (start >= size) break;
    // The page of the locks is a hole in what the file grew by.
    const withHole = start === LOCK_BYTE + pageBytes ? LOCK_BYTE : start;
    if (withHole > to) {
      if (from < to) yield { from, to };
      from = withHole;
    }
    to = Math.min(start + pageBytes, size);
  }
  if (from < to) yield { from, to };
}
