// A thread that runs the seeds that it is told to. With a planted bug, the source that it names is changed as it is loaded, in this thread only.

import { parentPort, workerData } from 'node:worker_threads';
import type { WorldSize } from './plan.ts';
import { plant } from './planting.ts';
import type { PlantedBug } from './planted-bugs.ts';
import type { Outcome, Progress } from './simulate.ts';

export interface WorkerTask {
  readonly size: WorldSize;
  readonly from: number;
  readonly seeds: number;
  readonly failuresMax: number;
}

export type WorkerNews =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'failure'; readonly outcome: Outcome }
  | { readonly kind: 'done'; readonly progress: Progress; readonly planted: boolean };

const { bug } = workerData as { readonly bug: PlantedBug | undefined };
const planting = bug === undefined ? undefined : plant(bug);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
const tell = (news: WorkerNews): void => parentPort?.postMessage(news);

// Only now, so that everything it imports is loaded with the bug in it.
const { simulate } = await import('./simulate.ts');

async function carryOut(task: WorkerTask): Promise<void> {
  const progress = await simulate({
    ...task,
    onFailure: (outcome) => tell({ kind: 'failure', outcome }),
    onProgress: (soFar) => tell({ kind: 'progress', progress: soFar }),
  });
  tell({ kind: 'done', progress, planted: planting?.applied() ?? false });
}

parentPort?.on('message', (task: WorkerTask) => void carryOut(task));
