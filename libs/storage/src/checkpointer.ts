// When a store's write-ahead log is copied into its main file: in a thread of its own, so that no payment waits while most of it is copied.
//
// SQLite's own automatic checkpoint runs inside the commit that makes the log long enough, which took 0.3 s where each payment had changed
// another page. A passive checkpoint of another connection holds up neither reads nor writes; what is written while it copies is left to the
// next. When little is left, the owner copies that itself: only when no page is left does the next write begin the log anew.

import type { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { ENDED, FAILED, RUNNING, type CheckpointRequest, type CheckpointThreadData } from './checkpoint-state.ts';

export interface CheckpointerOptions {
  readonly path: string;
  /** The owner's connection. Its automatic checkpoints are turned off. */
  readonly database: DatabaseSync;
  /** How many pages more the log holds before it is copied again. */
  readonly everyPages: number;
  /** So few pages are copied by the owner, while all else waits. */
  readonly shortPages: number;
  /** Told when copying failed: the disk is not to be trusted then. */
  readonly onFailure: (error: unknown) => void;
}

export interface Checkpointer {
  /** Call after each commit. Costs about 2 us. */
  afterCommit(): void;
  /**
   * Ends the thread; waits for what it is copying. Call before the owner's connection closes. False when the thread failed or did not end: then
   * nobody may copy the log again before the next start.
   */
  close(): boolean;
}

/** Each copies what was written during the one before, so it takes few, unless a reader keeps the log from being copied, or writes are faster. */
const COPIES_IN_THREAD_MAX = 4;
/** The owner copies all of a log that grew by so many times what it should: writes are faster than the thread, or leave no turn to hear of it. */
const LATE = 4;
/** Longer than a checkpoint of a large log takes. The log is whole whoever holds it, so nothing is lost after that either. */
const END_TIMEOUT_MS = 10_000;

/** What SQLite says of a checkpoint: whether another one was under way, the pages in the log, and those of them that are in the main file. */
type Checkpoint = [busy: number, written: number, copied: number];

export function openCheckpointer({ path, database, everyPages, shortPages, onFailure }: CheckpointerOptions): Checkpointer {
  database.exec('PRAGMA wal_autocheckpoint = 0');
  // Copies nothing (SQLite 3.51 and later).
  const look = database.prepare('PRAGMA wal_checkpoint(NOOP)');
  const copyHere = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  for (const statement of [look, copyHere]) statement.setReturnArrays(true);
  let thread: CheckpointThread | undefined;
  /** How often the thread was asked since the owner last copied; not 0 while it copies. */
  let copies = 0;
  /** How long the log was when it was last copied. It begins anew only after that. */
  let lastWritten = 0;

  function copyInThread(): void {
    copies += 1;
    thread ??= startThread(path, afterCopy, onFailure);
    thread.copy();
  }

  function afterCopy(): void {
    try {
      const [, written, copied] = look.get() as unknown as Checkpoint;
      if (written - copied > shortPages && copies < COPIES_IN_THREAD_MAX) return copyInThread();
      copies = 0;
      copyRest();
    } catch (error) {
      onFailure(error);
    }
  }

  /** Does nothing while the thread is at it. */
  function copyRest(): void {
    const [busy, written] = copyHere.get() as unknown as Checkpoint;
    if (busy === 0) lastWritten = written;
  }

  return {
    afterCommit() {
      const [, written] = look.get() as unknown as Checkpoint;
      if (written < lastWritten) lastWritten = 0;
      const grown = written - lastWritten;
      if (grown >= LATE * everyPages) copyRest();
      else if (grown >= everyPages && copies === 0) copyInThread();
    },
    close: () => thread?.end() ?? true,
  };
}

interface CheckpointThread {
  copy(): void;
  /** False when it failed or did not end. */
  end(): boolean;
}

/** The thread does not keep the process from ending. */
function startThread(path: string, onCopied: () => void, onFailure: (error: unknown) => void): CheckpointThread {
  const ended = new Int32Array(new SharedArrayBuffer(4));
  const workerData: CheckpointThreadData = { path, ended };
  const worker = new Worker(PROGRAM, { workerData, resourceLimits: FRUGAL });
  let isWanted = true;
  worker.unref();
  worker.on('message', () => {
    if (isWanted) onCopied();
  });
  worker.on('error', (error) => {
    // It says so itself, unless it could not begin.
    Atomics.store(ended, 0, FAILED);
    if (isWanted) onFailure(error);
  });
  const ask = (request: CheckpointRequest): void => worker.postMessage(request);
  return {
    copy: () => ask('copy'),
    end() {
      isWanted = false;
      ask('end');
      Atomics.wait(ended, 0, RUNNING, END_TIMEOUT_MS);
      return Atomics.load(ended, 0) === ENDED;
    },
  };
}

const FRUGAL = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 };

/** Beside this file, from the sources or compiled. */
const PROGRAM = new URL(import.meta.url.replace(/checkpointer(\.\w+)$/, 'checkpoint-program$1'));
