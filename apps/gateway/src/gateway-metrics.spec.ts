// The gateway's metrics: payments by outcome, writes of the log, and what is not delivered with its age.

import { expect, it } from '@jest/globals';
import { Registry } from '@strife/service';
import type { DecisionRow } from '@strife/two-phase-commit';
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
  const unfinished = async (): Promise<DecisionRow[]> => {
    asked += 1;
    return [{ decidedAtMs: 4_000 } as DecisionRow];
  };
  createPaymentMetrics(registry).watch({ load: () => ({ undecided: 3, undelivered }) }, { unfinished }, { nowMs: () => 10_000 });
  expect(await registry.metrics()).toMatch(/strife_queue_depth 3\n[^]*strife_in_doubt 0\n[^]*strife_oldest_in_doubt_seconds 0\n/);
  undelivered = 2;
  expect(await registry.metrics()).toMatch(/strife_in_doubt 2\n[^]*strife_oldest_in_doubt_seconds 6\n/);
  expect(asked).toBe(1);
});
