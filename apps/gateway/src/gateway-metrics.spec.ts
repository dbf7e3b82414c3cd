// The gateway's metrics: payments by outcome, writes of the log, and what is not delivered with its age.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from '@jest/globals';
import { Registry } from '@strife/service';
import { openDecisionLog } from '@strife/storage';
import { mayReplace } from '@strife/two-phase-commit';
import { createPaymentMetrics } from './gateway-metrics.ts';

it('counts the payments of a call by outcome and reason', async () => {
  const registry = new Registry();
  const { count } = createPaymentMetrics(registry);
  const succeeded = { outcome: 'succeeded', reason: '' } as const;
  count([succeeded, { outcome: 'declined', reason: 'expired' }, succeeded, { outcome: 'not_applied', reason: 'BANK_UNREACHABLE' }]);
  count([succeeded]);
  const text = await registry.metrics();
  for (const line of [
    'strife_transfers_total{outcome="succeeded",reason=""} 3', 'strife_transfers_total{outcome="declined",reason="expired"} 1',
    'strife_transfers_total{outcome="not_applied",reason="BANK_UNREACHABLE"} 1', 'strife_batch_items_sum{kind="transfers"} 5', 'strife_batch_items_count{kind="transfers"} 2',
  ]) expect(text).toContain(`${line}\n`);
});

it('counts the decisions of a write, and leaves everything else to the log', async () => {
  const registry = new Registry();
  const asked: unknown[] = [];
  const log = createPaymentMetrics(registry).observeWrites({
    logId: 'g1.log', exclusive: true,
    find: async (ids) => ids.map(() => undefined),
    decide: async (...args) => {
      asked.push(args);
      return [];
    },
    unfinished: async () => [],
    countUnfinished: async () => 0,
  });
  await log.decide([], [{ id: 'delivered', attempt: 1 }]);
  await log.decide(new Array(4), []);
  expect([log.logId, log.exclusive, asked.length, await log.find(['a'])]).toEqual(['g1.log', true, 2, [undefined]]);
  expect(await registry.metrics()).toMatch(/strife_batch_items_sum\{kind="decisions"\} 4\n[^]*strife_batch_items_count\{kind="decisions"\} 1\n/);
});

it('shows what is under way, and asks the log for the oldest only when something is not delivered', async () => {
  const registry = new Registry();
  let undelivered = 0;
  let asked = 0;
  const oldestUnfinishedAtMs = (): number => {
    asked += 1;
    return 4_000;
  };
  createPaymentMetrics(registry).watch({ load: () => ({ undecided: 3, undelivered }) }, { oldestUnfinishedAtMs }, { nowMs: () => 10_000 });
  expect(await registry.metrics()).toMatch(/strife_queue_depth 3\n[^]*strife_in_doubt 0\n[^]*strife_oldest_in_doubt_seconds 0\n/);
  undelivered = 2;
  expect(await registry.metrics()).toMatch(/strife_in_doubt 2\n[^]*strife_oldest_in_doubt_seconds 6\n/);
  expect(asked).toBe(1);
});

it('writes nothing to the store when somebody asks, also with deliveries that are finished and still in it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'strife-metrics-'));
  const file = join(folder, 'gateway.sqlite');
  const log = openDecisionLog({ file, nowMs: () => 4_000, mayReplace, onFatal: (error) => { throw error; } });
  const other = new DatabaseSync(file, { readOnly: true });
  try {
    const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1n, memo: '' };
    const [finished] = await log.decide(['1', '2'].map((last) => ({
      id: `0197b2a0-0000-7000-8000-00000000000${last}`, attempt: 1, fingerprint: '00'.repeat(16), body, createdAtMs: 0, verdict: { outcome: 'committed' },
    })), []);
    await log.decide([], [finished!]);
    const registry = new Registry();
    createPaymentMetrics(registry).watch({ load: () => ({ undecided: 0, undelivered: 1 }) }, log, { nowMs: () => 10_000 });
    const version = () => other.prepare('PRAGMA data_version').get();
    const before = version();
    for (let time = 0; time < 3; time += 1) expect(await registry.metrics()).toContain('strife_oldest_in_doubt_seconds 6\n');
    expect(version()).toEqual(before);
  } finally {
    other.close();
    log.close();
    await rm(folder, { recursive: true });
  }
});
