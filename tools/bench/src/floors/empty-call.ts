// The floor of a call: empty messages between a nice-grpc client and a bare nice-grpc server over mutual TLS.

import { createPeerChannel } from '@strife/service';
import { SessionServiceDefinition } from '@strife/stubs/gateway';
import { createClient } from 'nice-grpc';
import type { EmptyCallJob } from '../load/job.ts';
import type { Measure } from '../load/load-main.ts';
import type { LoopResult } from '../load/measure-loop.ts';

export async function emptyCalls({ address, tls, concurrency }: EmptyCallJob, measure: Measure): Promise<LoopResult> {
  const channel = createPeerChannel({ address, tls, expect: { role: 'gateway' } });
  const client = createClient(SessionServiceDefinition, channel);
  try {
    return await measure({
      workers: concurrency,
      async step() {
        await client.logout({});
        return { done: 1 };
      },
    });
  } finally {
    channel.close();
  }
}
