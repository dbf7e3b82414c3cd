// A load process: does one job at a time for the process that started it, and ends with it.

import { emptyCalls } from '../floors/empty-call.ts';
import { syncs } from '../floors/fdatasync.ts';
import { sqliteLegs } from '../floors/sqlite-legs.ts';
import { postgresPayments } from '../peers/postgres-payments.ts';
import type { Job } from './job.ts';
import { leanBatches, unaryPayments } from './lean-payments.ts';
import { reads } from './lean-reads.ts';
import { measureLoop } from './measure-loop.ts';
import type { LoopResult, Steps } from './measure-loop.ts';
import type { LoadMessage, RunRequest } from './messages.ts';
import { sdkBatches, sdkCreates, sdkLogins } from './sdk-load.ts';

/** Opens what it needs, hands its steps to `measure`, and closes again. */
export type Measure = (steps: Steps) => Promise<LoopResult>;

function tell(message: LoadMessage): void {
  process.send?.(message);
}

function perform(job: Job, measure: Measure): Promise<LoopResult> {
  switch (job.kind) {
    case 'sdk-create':
      return sdkCreates(job, measure);
    case 'sdk-batch':
      return sdkBatches(job, measure);
    case 'lean-batch':
      return leanBatches(job, measure);
    case 'unary':
      return unaryPayments(job, measure);
    case 'read':
      return reads(job, measure);
    case 'login':
      return sdkLogins(job, measure);
    case 'fdatasync':
      return syncs(job, measure);
    case 'empty-call':
      return emptyCalls(job, measure);
    case 'sqlite-legs':
      return sqliteLegs(job, measure);
    case 'postgres':
      return postgresPayments(job, measure);
  }
}

async function run({ job, warmupMs, seconds }: RunRequest): Promise<void> {
  const window = { warmupMs, seconds, onMeasuring: () => tell({ kind: 'measuring' }), onMeasured: () => tell({ kind: 'measured' }) };
  try {
    tell({ kind: 'result', result: await perform(job, (steps) => measureLoop(window, steps)) });
  } catch (error) {
    tell({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

// Ctrl-C reaches the whole process group; the process that started this one decides when it ends.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));
process.on('message', (request: RunRequest) => void run(request));
tell({ kind: 'ready' });
