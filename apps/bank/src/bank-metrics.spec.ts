// The bank's metrics: what waits is shown while it waits, and what is in doubt with its age.

import { expect, it } from '@jest/globals';
import { Registry } from '@strife/service';
import type { DecideAnswer, Participant, Vote } from '@strife/two-phase-commit';
import { createLegMetrics } from './bank-metrics.ts';

it('shows what waits for an answer, and the sizes of calls and writes', async () => {
  const registry = new Registry();
  const metrics = createLegMetrics(registry, { inDoubt: () => ({ legs: 0, oldestPreparedAtMs: undefined }) }, { nowMs: () => 0 });
  const votes = Promise.withResolvers<Vote[]>();
  const participant: Participant = {
    prepare: () => votes.promise,
    decide: () => Promise.reject<DecideAnswer[]>(new Error('overloaded')),
    drain: async () => undefined,
  };
  const observed = metrics.observeCalls(participant);
  const prepared = observed.prepare(new Array(3));
  await expect(observed.decide(new Array(2))).rejects.toThrow('overloaded');
  expect(await registry.metrics()).toContain('strife_queue_depth 3\n');
  votes.resolve([]);
  await prepared;
  metrics.observeWrite(4);
  const text = await registry.metrics();
  for (const line of ['strife_queue_depth 0', 'strife_batch_items_sum{kind="legs"} 3', 'strife_batch_items_sum{kind="decisions"} 2', 'strife_batch_items_sum{kind="write"} 4']) {
    expect(text).toContain(`${line}\n`);
  }
});

it('shows what is in doubt and the age of the oldest, never below zero where the clock stepped back', async () => {
  const registry = new Registry();
  let nowMs = 10_000;
  createLegMetrics(registry, { inDoubt: () => ({ legs: 7, oldestPreparedAtMs: 4_000 }) }, { nowMs: () => nowMs });
  expect(await registry.metrics()).toMatch(/strife_in_doubt 7\n[\s\S]*strife_oldest_in_doubt_seconds 6\n/);
  nowMs = 1;
  expect(await registry.metrics()).toContain('strife_oldest_in_doubt_seconds 0\n');
});
