// A database of rows whose write-ahead log is copied after every few of them.

import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { openCheckpointer } from '../checkpointer.ts';

export const PAGE_BYTES = 2048;
export const EVERY_PAGES = 64;

export interface CheckpointedRows {
  /** Adds rows on about three pages, durably; returns how many there are. */
  add(): number;
  /** Of the write-ahead log's file, which keeps its length when the log begins anew; 0 when there is none. */
  logBytes(): number;
  /** The pages that are in the log, and those of them that are not in the main file yet. */
  log(): { written: number; left: number };
  /** What the checkpointer's `close` returned. */
  close(): boolean;
}

const ROWS = 5;

export function openRows(file: string, onFailure: (error: Error) => void): CheckpointedRows {
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL`);
  database.exec('CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY, filling BLOB NOT NULL)');
  const insert = database.prepare('INSERT INTO rows (filling) VALUES (randomblob(1000))');
  const look = database.prepare('PRAGMA wal_checkpoint(NOOP)');
  const checkpointer = openCheckpointer({
    path: file, database, everyPages: EVERY_PAGES, shortPages: 4, onFailure: (error) => onFailure(error as Error),
  });
  let count = Number(database.prepare('SELECT count(*) AS count FROM rows').get()?.['count']);
  return {
    add() {
      database.exec('BEGIN');
      for (let n = 0; n < ROWS; n += 1) insert.run();
      database.exec('COMMIT');
      checkpointer.afterCommit();
      count += ROWS;
      return count;
    },
    logBytes: () => statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0,
    log() {
      const { log: written, checkpointed } = look.get() as { log: number; checkpointed: number };
      return { written, left: written - checkpointed };
    },
    close() {
      const isWhole = checkpointer.close();
      database.close();
      return isWhole;
    },
  };
}
