// Keeps a store's write-ahead log as it is when a connection to the store closes.
//
// The last connection that closes copies the log into the main file and removes it, which must not be after a copy that failed: the next one
// would hear that all is synced, and it is not. A connection that only reads does neither, so one is kept open longer.

import { DatabaseSync } from 'node:sqlite';

export interface LogHold {
  /** From here on the log stays, whichever connection of this process closes. Call with a store that has a log. */
  begin(): void;
  /** Idempotent. To have the log kept, call after the other connection has closed; to have it copied, before. */
  release(): void;
}

/** Call before the other connection is made: Node closes what is still open when it ends, and the newest first. */
export function openLogHold(path: string): LogHold {
  const reader = new DatabaseSync(path, { readOnly: true, open: false });
  return {
    begin() {
      reader.open();
      // SQLite opens the log with the first read.
      reader.prepare('SELECT count(*) FROM sqlite_schema').get();
    },
    release() {
      if (reader.isOpen) reader.close();
    },
  };
}
