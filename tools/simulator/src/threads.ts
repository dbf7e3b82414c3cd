// Runs seeds in threads.

import { Worker } from 'node:worker_threads';
import type { Outcome, Progress } from './simulate.ts';
import type { WorkerNews, WorkerTask } from './simulate-worker.ts';

export interface ThreadResult extends Progress {
  readonly failures: readonly Outcome[];
  /** The planted bug was in the code that ran. */
  readonly planted: boolean;
}

/** Runs one task in a thread of its own. Rejects when the thread breaks. */
export function runInThread(task: WorkerTask, onProgress?: (progress: Progress) => void): Promise<ThreadResult> {
  return new Promise((resolve, reject) => {
    const failures: Outcome[] = [];
    let result: ThreadResult | undefined;
    const worker = new Worker(new URL('./simulate-worker.ts', import.meta.url), {
      workerData: task,
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
    });
    worker.on('message', (news: WorkerNews) => {
      if (news.kind === 'failure') failures.push(news.outcome);
      else if (news.kind === 'progress') onProgress?.(news.progress);
      else result = { ...news.progress, planted: news.planted, failures };
    });
    worker.on('error', reject);
    worker.on('exit', (code) => (result === undefined ? reject(new Error(`a thread ended with ${code}`)) : resolve(result)));
  });
}
