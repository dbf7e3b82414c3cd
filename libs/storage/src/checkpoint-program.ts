// The program of the thread that copies a store's write-ahead log into its main file. Whoever started it says when, and when to end.

import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { ENDED, FAILED, type CheckpointRequest, type CheckpointThreadData } from './checkpoint-state.ts';
import { openLogHold } from './log-hold.ts';

const { path, ended } = workerData as CheckpointThreadData;
// It copies when it is asked, never because it is the last one to close.
const hold = openLogHold(path);
const database = new DatabaseSync(path);
// A checkpoint reads the log page by page and keeps none of them.
database.exec('PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -64');
hold.begin();
const copy = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');

function end(how: typeof ENDED | typeof FAILED): void {
  database.close();
  hold.release();
  Atomics.store(ended, 0, how);
  Atomics.notify(ended, 0);
}

parentPort?.on('message', (request: CheckpointRequest) => {
  if (request === 'end') {
    end(ENDED);
    parentPort?.close();
    return;
  }
  try {
    copy.get();
  } catch (error) {
    end(FAILED);
    throw error;
  }
  parentPort?.postMessage(undefined);
});
