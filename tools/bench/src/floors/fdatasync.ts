// The floor of durability: an append and an fdatasync on this disk, one after the other.

import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { SyncJob } from '../load/job.ts';
import type { Measure } from '../load/load-main.ts';
import type { LoopResult } from '../load/measure-loop.ts';

const APPEND_BYTES = 4096;
/** The file is written again from its start beyond this, as a write-ahead log is. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

export async function syncs({ directory }: SyncJob, measure: Measure): Promise<LoopResult> {
  const file = join(directory, `fdatasync-${process.pid}`);
  const descriptor = openSync(file, 'w');
  const bytes = Buffer.alloc(APPEND_BYTES, 1);
  let position = 0;
  try {
    return await measure({
      workers: 1,
      async step() {
        writeSync(descriptor, bytes, 0, APPEND_BYTES, position);
        fdatasyncSync(descriptor);
        position = (position + APPEND_BYTES) % FILE_BYTES_MAX;
        await new Promise((resolve) => setImmediate(resolve));
        return { done: 1 };
      },
    });
  } finally {
    closeSync(descriptor);
    rmSync(file, { force: true });
  }
}
