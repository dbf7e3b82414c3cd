// The coordinator's runtime over ports in memory: who is told what, when, and what was durable before.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { createCoordinator } from './coordinator.ts';
import type { Coordinator } from './coordinator.ts';
import type { TransferResult } from './protocol/coordinator-machine.ts';
import { ATTEMPT_MAX } from './protocol/vocabulary.ts';
import { acknowledgeAll, follow, voteYes } from './testing/conversation.ts';
import { alphaToBeta, createManualClock, createMemoryLog, createScriptedLink, insideAlpha, requestOf, settled } from './testing/fake-ports.ts';
import type { ManualClock, MemoryLog, ScriptedLink } from './testing/fake-ports.ts';

let clock: ManualClock;
let log: MemoryLog;
let link: ScriptedLink;
let coordinator: Coordinator;

beforeEach(() => {
  clock = createManualClock();
  log = createMemoryLog(clock);
  link = createScriptedLink();
  coordinator = restart();
});

function restart(over: MemoryLog = log): Coordinator {
  return createCoordinator({ log: over, link, clock, prepareTimeoutMs: 2000, settleWaitMs: 1000 });
}

describe('replies', () => {
  it('says succeeded only after the row is durable and both banks have settled', async () => {
    const told = follow(coordinator.create(requestOf('t1'), 'grant', 'settled'));
    await settled();
    expect(link.legs.map(({ bank, leg }) => [bank, leg.side, leg.attempt])).toEqual([['alpha', 'debit', 1], ['beta', 'credit', 1]]);
    await voteYes(link);
    expect(log.rows.get('t1')?.verdict).toEqual({ outcome: 'committed' });
    expect(told.result).toBeUndefined();
    await acknowledgeAll(link);
    expect(told.result).toMatchObject({ kind: 'succeeded', replayed: false });
    expect(coordinator.load()).toEqual({ undecided: 0, undelivered: 0 });
  });

  it('says succeeded at the decision to who waits for no more', async () => {
    const told = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    await voteYes(link);
    expect(told.result).toMatchObject({ kind: 'succeeded' });
    expect(link.decisions.map(({ haste }) => haste)).toEqual(['soon', 'soon']);
  });

  it('sends decisions at once where anybody waits until they are carried out', async () => {
    for (const waitFor of ['decided', 'settled'] as const) follow(coordinator.create(requestOf('t1'), 'grant', waitFor));
    await settled();
    await voteYes(link);
    expect(link.decisions.map(({ haste }) => haste)).toEqual(['now', 'now']);
  });

  it('stops waiting for the settling after settleWaitMs', async () => {
    const told = follow(coordinator.create(requestOf('t1'), 'grant', 'settled'));
    await settled();
    await voteYes(link);
    await clock.advance(999);
    expect(told.result).toBeUndefined();
    await clock.advance(1);
    expect(told.result).toMatchObject({ kind: 'succeeded' });
    expect(coordinator.load().undelivered).toBe(1);
  });

  it('gives up an attempt after prepareTimeoutMs, with the abort durable before it says so', async () => {
    const told = follow(coordinator.create(requestOf('t1'), 'grant', 'settled'));
    await settled();
    link.legs[0]!.vote({ kind: 'yes' });
    await clock.advance(2000);
    expect(log.rows.get('t1')?.verdict).toEqual({ outcome: 'aborted', why: 'timeout' });
    expect(told.result).toEqual({ kind: 'not-applied', why: 'timeout' });
    expect(link.decisions.map(({ bank, decision }) => [bank, decision.outcome])).toEqual([['alpha', 'aborted'], ['beta', 'aborted']]);
  });

  it('sends nothing and writes nothing when a bank cannot be reached', async () => {
    link.down.add('beta');
    expect(await coordinator.create(requestOf('t1'), 'grant', 'settled')).toEqual({ kind: 'not-applied', why: 'unreachable' });
    expect(link.legs).toEqual([]);
    expect(log.rows.size).toBe(0);
  });

  it('leaves the outcome open when the bank of a one-phase transfer falls silent', async () => {
    const told = follow(coordinator.create(requestOf('t1', insideAlpha), 'grant', 'settled'));
    await settled();
    expect(link.legs.map(({ bank, leg }) => [bank, leg.side])).toEqual([['alpha', 'both']]);
    link.legs[0]!.vote({ kind: 'unreachable' });
    await settled();
    expect(told.result).toEqual({ kind: 'unknown' });
    expect(log.rows.size).toBe(0);
  });
});

describe('one id', () => {
  it('joins callers with the same body to the attempt that runs', async () => {
    const one = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    const two = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    const three = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    expect(link.legs).toHaveLength(2);
    await voteYes(link);
    for (const told of [one, two, three]) expect(told.result).toMatchObject({ kind: 'succeeded' });
  });

  it('is sent with the expiry of the caller whose attempt it is, and again with that of the next one', async () => {
    const one = follow(coordinator.create(requestOf('t1'), 'grant', 'decided', 77));
    follow(coordinator.create(requestOf('t1'), 'grant', 'decided', 5));
    await settled();
    expect(link.legs.map(({ leg }) => leg.expiresAtMs)).toEqual([77, 77]);
    await clock.advance(2000);
    expect(one.result).toEqual({ kind: 'not-applied', why: 'timeout' });
    link.legs.length = 0;
    follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    expect(link.legs.map(({ leg }) => [leg.attempt, leg.expiresAtMs])).toEqual([[2, undefined], [2, undefined]]);
  });

  it('refuses another body while the first still runs, naming the field', async () => {
    follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    expect(await coordinator.create(requestOf('t1', { ...alphaToBeta, amountMinor: 9n }), 'grant', 'decided')).toEqual({ kind: 'mismatch', field: 'amount.minor_units' });
  });

  it('tells a stranger only that the id is taken', async () => {
    follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    const stranger = { ...alphaToBeta, from: { bank: 'alpha', account: 'mallory' } };
    expect(await coordinator.create(requestOf('t1', stranger), 'grant', 'decided')).toEqual({ kind: 'mismatch', field: '' });
  });

  it('replays the stored outcome, and lets a replay wait for the settling too', async () => {
    follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    await voteYes(link);
    const replay = follow(coordinator.create(requestOf('t1'), 'grant', 'settled'));
    await settled();
    expect(replay.result).toBeUndefined();
    await acknowledgeAll(link);
    expect(replay.result).toMatchObject({ kind: 'succeeded', replayed: true });
    expect(link.legs).toHaveLength(0);
  });

  it('runs the next attempt after a transient failure, while the abort of the last is still on its way', async () => {
    const first = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    await clock.advance(2000);
    expect(first.result).toMatchObject({ kind: 'not-applied' });
    link.legs.length = 0;
    const second = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    expect(link.legs.map(({ leg }) => leg.attempt)).toEqual([2, 2]);
    await acknowledgeAll(link);
    expect(log.delivered.has('t1')).toBe(true);
    await voteYes(link);
    expect(log.delivered.has('t1')).toBe(false);
    expect(second.result).toMatchObject({ kind: 'succeeded', replayed: false });
    expect(log.rows.get('t1')).toMatchObject({ attempt: 2, verdict: { outcome: 'committed' } });
  });
});

describe('the log', () => {
  it('writes the decisions that come up together at once', async () => {
    const told = Array.from({ length: 50 }, (_, index) => follow(coordinator.create(requestOf(`t${index}`), 'grant', 'decided')));
    await settled();
    await voteYes(link);
    expect(told.every(({ result }) => result?.kind === 'succeeded')).toBe(true);
    expect(log.writes).toBe(1);
  });

  it('obeys the row that another gateway on the same log wrote first', async () => {
    const other = restart();
    const here = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    const [answer] = await other.inquire([{ ...requestOf('t1'), attempt: 1, deadlineMs: 0 }]);
    expect(answer).toEqual({ kind: 'aborted', attempt: 1 });
    await voteYes(link);
    expect(here.result).toEqual({ kind: 'not-applied', why: 'inquiry' });
    expect(link.decisions.every(({ decision }) => decision.outcome === 'aborted')).toBe(true);
  });

  it('delivers undelivered decisions after a restart, and forgets those that were acknowledged', async () => {
    follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
    await settled();
    await voteYes(link);
    link.decisions.length = 0;
    const reborn = restart();
    expect(await reborn.recover()).toBe(1);
    expect(link.decisions.map(({ bank, decision }) => [bank, decision.outcome, decision.attempt])).toEqual([['alpha', 'committed', 1], ['beta', 'committed', 1]]);
    await acknowledgeAll(link);
    expect(await restart().recover()).toBe(0);
  });
});

it('answers the orders of one call together, in order, when it knows of all', async () => {
  const order = (id: string, amountMinor = alphaToBeta.amountMinor) =>
    ({ request: requestOf(id, { ...alphaToBeta, amountMinor }), waitFor: 'decided' as const, expiresAtMs: undefined });
  expect(await coordinator.createAll([], 'grant')).toEqual([]);
  let told: readonly TransferResult[] | undefined;
  void coordinator.createAll([order('t1'), order('t2'), order('t1'), order('t1', 9n)], 'grant').then((results) => {
    told = results;
  });
  await settled();
  const votes = link.legs.splice(0);
  for (const { leg, vote } of votes) if (leg.request.id === 't2') vote({ kind: 'yes' });
  await settled();
  expect(told).toBeUndefined();
  votes.find(({ leg }) => leg.request.id === 't1')!.vote({ kind: 'no', reason: 'insufficient_funds', replayed: false });
  await settled();
  expect(told).toMatchObject([
    { kind: 'declined', reason: 'insufficient_funds' }, { kind: 'succeeded' }, { kind: 'declined', reason: 'insufficient_funds' },
    { kind: 'mismatch', field: 'amount.minor_units' },
  ]);
});

it('delivers a row about another body also while an attempt runs under its id, and finishes it', async () => {
  const other = { ...alphaToBeta, memo: 'dinner' };
  const told = follow(coordinator.create(requestOf('t1', other), 'grant', 'decided'));
  await settled();
  await log.decide([{ ...requestOf('t1'), attempt: 1, verdict: { outcome: 'aborted', why: 'inquiry' } }], []);
  await coordinator.recover();
  expect(link.decisions.map(({ bank, decision }) => [bank, decision.fingerprint])).toEqual([['alpha', requestOf('t1').fingerprint], ['beta', requestOf('t1').fingerprint]]);
  await acknowledgeAll(link);
  await voteYes(link);
  expect(told.result).toMatchObject({ kind: 'mismatch' });
  await acknowledgeAll(link);
  expect(log.rows.get('t1')?.fingerprint).toBe(requestOf('t1').fingerprint);
  expect(await restart().recover()).toBe(0);
});

it.each(['before', 'after'])('finishes the row of an earlier attempt that is delivered %s a later one ends without a row', async (when) => {
  follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
  await settled();
  await clock.advance(2000);
  link.legs.length = 0;
  const second = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
  await settled();
  if (when === 'before') await acknowledgeAll(link);
  link.legs[0]!.vote({ kind: 'committed', replayed: true });
  await settled();
  await acknowledgeAll(link);
  expect(second.result).toMatchObject({ kind: 'succeeded', replayed: true });
  expect(await restart().recover()).toBe(0);
});

it('leaves the commit of another gateway on its log to be delivered, when its own abort before it is acknowledged late', async () => {
  const other = restart();
  follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
  await settled();
  await clock.advance(2000);
  const aborts = link.decisions.splice(0);
  link.legs.length = 0;
  follow(other.create(requestOf('t1'), 'grant', 'decided'));
  await settled();
  await voteYes(link);
  link.decisions.length = 0;
  for (const { acknowledge } of aborts) acknowledge();
  await settled();
  expect(await restart().recover()).toBe(1);
  expect(link.decisions.map(({ decision }) => [decision.outcome, decision.attempt])).toEqual([['committed', 2], ['committed', 2]]);
  await acknowledgeAll(link);
  expect(await restart().recover()).toBe(0);
});

it('does not believe a fence that no coordinator can have left', async () => {
  const told = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
  await settled();
  link.legs[0]!.vote({ kind: 'fenced', fence: 2 ** 32 - 1 });
  await settled();
  expect(told.result).toEqual({ kind: 'not-applied', why: 'unreachable' });
  expect(log.rows.get('t1')?.attempt).toBe(1);
});

it('gives up an id whose attempts are used up', async () => {
  const told = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
  await settled();
  link.legs[0]!.vote({ kind: 'fenced', fence: ATTEMPT_MAX });
  await settled();
  expect(told.result).toEqual({ kind: 'not-applied', why: 'fenced' });
  link.legs.length = 0;
  expect(await coordinator.create(requestOf('t1'), 'grant', 'decided')).toEqual({ kind: 'not-applied', why: 'fenced' });
  expect(link.legs).toHaveLength(0);
});

it('drains once what was asked for is looked up, also where the log has the answer', async () => {
  const first = follow(coordinator.create(requestOf('t1'), 'grant', 'settled'));
  await settled();
  await voteYes(link);
  await acknowledgeAll(link);
  const replay = follow(coordinator.create(requestOf('t1'), 'grant', 'settled'));
  let drained = false;
  void coordinator.drain().then(() => {
    drained = true;
  });
  expect(drained).toBe(false);
  await settled();
  expect([drained, first.result?.kind, replay.result?.kind]).toEqual([true, 'succeeded', 'succeeded']);
});

it('drains once nothing is undecided', async () => {
  const told = follow(coordinator.create(requestOf('t1'), 'grant', 'decided'));
  await settled();
  let drained = false;
  void coordinator.drain().then(() => {
    drained = true;
  });
  await settled();
  expect(drained).toBe(false);
  await clock.advance(2000);
  await settled();
  expect([drained, told.result?.kind]).toEqual([true, 'not-applied']);
});
