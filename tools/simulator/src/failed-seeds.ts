// Seeds that once broke a promise. Each is replayed by a test. A seed is only as good as the plan that it draws: where the plan changes, a
// bug's place in `planted-bugs.ts` keeps it found.

import type { WorldSize } from './plan.ts';

export interface FailedSeed {
  readonly seed: number;
  readonly world: WorldSize;
  /** What was wrong then. */
  readonly bug: string;
  /** The planted bug that brings it back. */
  readonly planted: string;
}

export const FAILED_SEEDS: readonly FailedSeed[] = [
  {
    seed: 5555, world: 'small', planted: 'row-never-finished',
    bug: 'the row of an aborted attempt stayed undelivered for ever when a later attempt ended without a row of its own',
  },
  {
    seed: 32569, world: 'small', planted: 'row-of-another-body-not-delivered',
    bug: 'an abort that an inquiry led to was not delivered while an attempt at another body ran under the id',
  },
];
