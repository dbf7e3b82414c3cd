// The program of the thread that copies a store's write-ahead log into its main file. Whoever started it says when, and when to end.

import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

export interface CheckpointThreadData {
  readonly path: string;
  /** Becomes 1, with a notification, when the thread has let go of the store. */
  readonly ended: Int32Array;
}

/** `copy` is answered, by an empty message, when all that could be copied is in the main file and synced. */
export type CheckpointRequest = 'copy' | 'end';

const { path, ended } = workerData as CheckpointThreadData;
const database = new DatabaseSync(path);
// A checkpoint reads the log page by page and keeps none of them.
database.exec('PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -64');
const copy = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');

parentPort?.on('message', (request: CheckpointRequest) => {
  if (request === 'copy') {
    copy.get();
    parentPort?.postMessage(undefined);
    return;
  }
  database.close();
  Atomics.store(ended, 0, 1);
  Atomics.notify(ended, 0);
  parentPort?.close();
});
