// A thread that runs seeds, task after task: its code is compiled once, and gets faster for some thousands of seeds.

import { Worker } from 'node:worker_threads';
import type { PlantedBug } from './planted-bugs.ts';
import type { Outcome, Progress } from './simulate.ts';
import type { WorkerNews, WorkerTask } from './simulate-worker.ts';

export interface ThreadResult extends Progress {
  readonly failures: readonly Outcome[];
  /** The planted bug was in the code that ran. */
  readonly planted: boolean;
}

export interface SeedThread {
  /** Runs one task; the one before must have ended. Rejects when the thread breaks. */
  run(task: WorkerTask, onProgress?: (progress: Progress) => void): Promise<ThreadResult>;
  /** Resolves when the thread has ended. */
  close(): Promise<void>;
}

/** Room for what dies young, in MB: three spaces, of which one is filled. Larger ones are collected more rarely but do not stay in a cache. */
const YOUNG_GENERATION_MB = 96;

/** Starts a thread, with the bug in its code if there is one. */
export function startThread(bug?: PlantedBug): SeedThread {
  const worker = new Worker(new URL('./simulate-worker.ts', import.meta.url), {
    workerData: { bug },
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  });
  return {
    run: (task, onProgress) =>
      new Promise((resolve, reject) => {
        const failures: Outcome[] = [];
        const broke = (error: unknown): void => reject(error);
        const ended = (code: number): void => reject(new Error(`a thread ended with ${code}`));
        function hear(news: WorkerNews): void {
          if (news.kind === 'failure') failures.push(news.outcome);
          else if (news.kind === 'progress') onProgress?.(news.progress);
          else {
            worker.off('message', hear).off('error', broke).off('exit', ended);
            resolve({ ...news.progress, planted: news.planted, failures });
          }
        }
        worker.on('message', hear).on('error', broke).on('exit', ended);
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
        worker.postMessage(task);
      }),
    async close() {
      await worker.terminate();
    },
  };
}
