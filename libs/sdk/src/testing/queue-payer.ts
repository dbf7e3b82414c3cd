// A program for tests to kill: queues payments, whose memos are numbers, and delivers them. Run by queue-payer-process.ts.

import { appendFileSync, readFileSync } from 'node:fs';
import { connect, eur } from '../index.ts';
import { openSqliteQueueStore } from '../queue/sqlite-queue-store.ts';
import type { QueueStore } from '../queue/queue-store.ts';
import type { QueuePayerOrder } from './queue-payer-process.ts';

const order = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as QueuePayerOrder;
const say = (line: string): void => appendFileSync(order.results, `${line}\n`);

/** Dies before or after the store's n-th change: an enqueue, a send that is written down, an answer that is. */
function dying(store: QueueStore, atChange: number): QueueStore {
  let changes = 0;
  const count = async <T>(work: () => Promise<T>): Promise<T> => {
    changes += 0.5;
    if (changes === atChange) process.kill(process.pid, 'SIGKILL');
    const result = await work();
    changes += 0.5;
    if (changes === atChange) process.kill(process.pid, 'SIGKILL');
    return result;
  };
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const method = (value as (...given: unknown[]) => unknown).bind(target);
      if (name !== 'add' && name !== 'change' && name !== 'acknowledge') return method;
      return (...given: unknown[]) => count(async () => method(...given));
    },
  });
}

const store = await openSqliteQueueStore(order.file);
const strife = await connect({
  gateways: [order.gateway],
  tls: order.tls,
  session: order.session,
  queue: { store: order.dieAtChange === undefined ? store : dying(store, order.dieAtChange) },
});
const { queue } = strife;
process.stdout.write('up\n');

async function enqueueAll(): Promise<void> {
  const known = new Set((await queue.list()).map(({ memo }) => memo));
  for (let number = order.from; number < order.to; number++) {
    if (!known.has(String(number))) await queue.enqueue({ to: 'beta/bob', amount: eur('0.01'), memo: String(number) });
  }
  process.stdout.write('queued\n');
}

async function tellResults(): Promise<void> {
  // The one before it may have died, or ended, after the last result.
  if ((await store.marks()).acknowledged >= order.resultsInAll) return;
  for await (const { resultSeq, memo, state } of queue.results()) {
    say(`${memo} ${state}`);
    await queue.acknowledge(resultSeq);
    if (resultSeq === order.resultsInAll) return;
  }
}

await Promise.all([enqueueAll(), tellResults()]);
await strife.close();
process.stdout.write('ended\n');
