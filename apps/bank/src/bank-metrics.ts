// What the bank counts of its legs, beside its calls. Counted by batch, and read only when somebody asks.

import { Gauge, Histogram } from '@strife/service';
import type { Registry } from '@strife/service';
import type { LedgerStore } from '@strife/storage';
import type { Clock, Participant } from '@strife/two-phase-commit';

export interface LegMetrics {
  /** Told of each write of the books, with how many legs and decisions it is about. */
  observeWrite(items: number): void;
  /** The same participant, with what it is asked counted, and what waits in it shown. */
  observeCalls(participant: Participant): Participant;
}

const ITEMS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

export function createLegMetrics(registry: Registry, store: Pick<LedgerStore, 'inDoubt'>, clock: Pick<Clock, 'nowMs'>): LegMetrics {
  const registers = [registry];
  const batches = new Histogram({
    name: 'strife_batch_items', help: 'Items handled at once: legs or decisions of one call, both of one write.', labelNames: ['kind'], buckets: ITEMS, registers,
  });
  const writes = batches.labels('write');
  let waiting = 0;

  gauge('strife_queue_depth', 'Legs and decisions that are not answered.', () => waiting);
  gauge('strife_in_doubt', 'Prepared legs, whose decision is not known here.', () => store.inDoubt().legs);
  gauge('strife_oldest_in_doubt_seconds', 'Age of the oldest of them.', () => {
    const { oldestPreparedAtMs } = store.inDoubt();
    return oldestPreparedAtMs === undefined ? 0 : Math.max(0, clock.nowMs() - oldestPreparedAtMs) / 1000;
  });

  function gauge(name: string, help: string, read: () => number): Gauge {
    return new Gauge({
      name, help, registers,
      collect() {
        this.set(read());
      },
    });
  }

  function observed<Command, Answer>(kind: string, ask: (commands: readonly Command[]) => Promise<Answer>): (commands: readonly Command[]) => Promise<Answer> {
    const sizes = batches.labels(kind);
    return async (commands) => {
      sizes.observe(commands.length);
      waiting += commands.length;
      try {
        return await ask(commands);
      } finally {
        waiting -= commands.length;
      }
    };
  }

  return {
    observeWrite: (items) => writes.observe(items),
    observeCalls: (participant) => ({
      prepare: observed('legs', participant.prepare),
      decide: observed('decisions', participant.decide),
      drain: participant.drain,
    }),
  };
}
