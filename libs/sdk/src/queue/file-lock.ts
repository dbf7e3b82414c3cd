// A lock between processes that ends with the process that has it, however that dies.
//
// Node has no file locks, SQLite has: a transaction on an empty database beside the queue, which is never written and never committed.
// The operating system drops its lock with the process. The lock file stays; removing it would part those who wait at it.

import { DatabaseSync } from 'node:sqlite';

const SQLITE_BUSY = 5;

/** One holder's place at a lock: shared with other sharers, or exclusive. */
export class FileLock {
  readonly #database: DatabaseSync;

  /** Makes the lock file when missing. Throws what SQLite throws if it cannot. */
  constructor(path: string) {
    this.#database = new DatabaseSync(path);
  }

  /** Takes the lock without waiting; false while somebody else's is in the way. Must not be held already. */
  tryTake(mode: 'shared' | 'exclusive'): boolean {
    try {
      if (mode === 'exclusive') {
        this.#database.exec('BEGIN EXCLUSIVE');
        return true;
      }
      this.#database.exec('BEGIN');
      this.#database.prepare('SELECT count(*) FROM sqlite_schema').get();
      return true;
    } catch (error) {
      if (mode === 'shared') this.#rollBack();
      if (((error as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY) return false;
      throw error;
    }
  }

  /** Lets go; the lock may be taken again. */
  release(): void {
    this.#rollBack();
  }

  close(): void {
    this.#database.close();
  }

  #rollBack(): void {
    try {
      this.#database.exec('ROLLBACK');
    } catch {
      // There was no transaction: SQLite had ended it.
    }
  }
}
