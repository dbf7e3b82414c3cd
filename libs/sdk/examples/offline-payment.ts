// A payment that is saved before it is sent, and delivered exactly once, also if this program or the gateway dies in between.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eur } from '@strife/sdk';
import { alice } from './client.ts';

// Keep the file where it survives, not in a temporary folder as here.
const folder = await mkdtemp(join(tmpdir(), 'strife-example-'));
const strife = await alice({ queue: { file: join(folder, 'queue.sqlite') } });
const queued = await strife.queue.enqueue({ to: 'beta/bob', amount: eur('0.01'), memo: 'offline', expiresInMs: 3_600_000 });
console.log(`saved as ${queued.id}: ${queued.state}`);
for await (const result of strife.queue.results()) {
  console.log(`${result.id}: ${result.state}`);
  await strife.queue.acknowledge(result.resultSeq);
  break;
}
await strife.close();
await rm(folder, { recursive: true });
