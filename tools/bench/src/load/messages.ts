// What a load process and the one that started it tell each other.

import type { Job } from './job.ts';
import type { LoopResult } from './measure-loop.ts';

export interface RunRequest {
  readonly job: Job;
  readonly warmupMs: number;
  readonly seconds: number;
}

export type LoadMessage =
  /** The program runs and takes a request. */
  | { readonly kind: 'ready' }
  /** Counting begins. */
  | { readonly kind: 'measuring' }
  /** Counting is over. */
  | { readonly kind: 'measured' }
  | { readonly kind: 'result'; readonly result: LoopResult }
  | { readonly kind: 'failed'; readonly message: string };
