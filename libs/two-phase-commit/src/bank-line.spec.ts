// A bank's line over a port that the test answers: what flies together, what is retried, and what never is.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { createBankLine } from './bank-line.ts';
import type { BankLine, BankPort, DecisionToDeliver } from './bank-line.ts';
import { fingerprintOf } from './fingerprint.ts';
import { OverloadedError } from './participant.ts';
import type { DecideAnswer } from './participant.ts';
import type { Clock, PrepareLeg } from './ports.ts';
import type { Silence, Vote } from './protocol/vocabulary.ts';

interface Call<Item, Answer> {
  readonly items: readonly Item[];
  readonly timeoutMs: number;
  reply(answers: readonly Answer[]): void;
  fail(error?: Error): void;
}

let prepares: Call<{ readonly leg: PrepareLeg }, Vote | Silence>[];
let decides: Call<DecisionToDeliver, DecideAnswer | undefined>[];
let timers: (() => void)[];
let nowMs: number;
let trouble: number;
let refused: number;
let line: BankLine;

const clock: Clock = {
  nowMs: () => nowMs,
  monotonicMs: () => nowMs,
  after(_delayMs, callback) {
    timers.push(callback);
    return () => void (timers = timers.filter((other) => other !== callback));
  },
  soon: (callback) => void setImmediate(callback),
};

beforeEach(() => {
  [prepares, decides, timers, nowMs, trouble, refused] = [[], [], [], 1000, 0, 0];
  line = createBankLine({
    clock, prepareTimeoutMs: 2000, random: () => 1,
    onTrouble: () => (trouble += 1), onRecovery: () => undefined, onRefused: () => (refused += 1),
  });
  line.connect(port());
});

function port(): BankPort {
  const answered = <Item, Answer>(calls: Call<Item, Answer>[]) => (items: readonly Item[], timeoutMs: number) =>
    new Promise<readonly Answer[]>((resolve, reject) => {
      calls.push({ items: [...items], timeoutMs, reply: resolve, fail: (error = new Error('told to')) => reject(error) });
    });
  return { prepare: answered(prepares), decide: answered(decides) };
}

function leg(index: number): PrepareLeg {
  const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1n, memo: '' };
  const id = `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`;
  return { request: { id, body, fingerprint: fingerprintOf(body), createdAtMs: 0 }, attempt: 1, side: 'debit', deadlineMs: nowMs + 2000, grant: 'grant' };
}

const yes: Vote = { kind: 'yes' };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function prepareMany(from: number, count: number, votes: (Vote | Silence)[] = []): (Vote | Silence)[] {
  for (let index = from; index < from + count; index += 1) line.prepare(leg(index), (vote) => votes.push(vote));
  return votes;
}

describe('flights', () => {
  it('sends what comes up in one turn as one call, at once', async () => {
    prepareMany(0, 100);
    await turn();
    expect(prepares.map(({ items }) => items.length)).toEqual([100]);
  });

  it('keeps two calls in flight and gathers the rest until one returns', async () => {
    for (let wave = 0; wave < 5; wave += 1) {
      prepareMany(wave * 10, 10);
      await turn();
    }
    expect(prepares.map(({ items }) => items.length)).toEqual([10, 10]);
    prepares[0]!.reply(new Array(10).fill(yes));
    await turn();
    expect(prepares.map(({ items }) => items.length)).toEqual([10, 10, 30]);
  });

  it('lets legs and decisions fly together, each with a deadline of its own', async () => {
    prepareMany(1, 3);
    line.decide(leg(4).request, { outcome: 'committed', attempt: 1, fingerprint: leg(4).request.fingerprint }, () => undefined);
    await turn();
    expect([prepares.map(({ items, timeoutMs }) => [items.length, timeoutMs]), decides.map(({ items, timeoutMs }) => [items.length, timeoutMs])]).toEqual([
      [[3, 2100]], [[1, 5000]],
    ]);
  });
});

describe('failures', () => {
  it('never sends a leg twice: a failed call leaves its votes unknown', async () => {
    const votes = prepareMany(0, 2);
    await turn();
    prepares[0]!.fail();
    await turn();
    for (const timer of timers.splice(0)) timer();
    await turn();
    expect(votes).toEqual([{ kind: 'unreachable' }, { kind: 'unreachable' }]);
    expect([prepares.length, trouble]).toEqual([1, 1]);
  });

  it('calls what an overloaded bank did not look at unsent', async () => {
    const votes = prepareMany(0, 1);
    await turn();
    prepares[0]!.fail(new OverloadedError('full'));
    await turn();
    expect(votes).toEqual([{ kind: 'unsent' }]);
  });

  it('does not send a leg whose time is up', async () => {
    for (let wave = 0; wave < 2; wave += 1) {
      prepareMany(wave, 1);
      await turn();
    }
    const votes = prepareMany(9, 1);
    nowMs += 2000;
    prepares[0]!.reply([yes]);
    await turn();
    expect(votes).toEqual([{ kind: 'unsent' }]);
    expect(prepares).toHaveLength(2);
  });

  it('repeats a decision until the bank acknowledges it, in order, and calls back once', async () => {
    let acknowledged = 0;
    const { request } = leg(1);
    line.decide(request, { outcome: 'committed', attempt: 1, fingerprint: request.fingerprint }, () => (acknowledged += 1));
    await turn();
    decides[0]!.fail();
    await turn();
    expect(decides.length).toBe(1);
    for (const timer of timers.splice(0)) timer();
    await turn();
    decides[1]!.reply([]);
    await turn();
    for (const timer of timers.splice(0)) timer();
    await turn();
    decides[2]!.reply(['acknowledged']);
    await turn();
    expect([acknowledged, refused]).toEqual([1, 0]);
  });

  it('sets a decision that the bank refuses aside, with one alarm, and does not let it hold up the others', async () => {
    let acknowledged = 0;
    const decideOne = (index: number): void => {
      const { request } = leg(index);
      line.decide(request, { outcome: 'committed', attempt: 1, fingerprint: request.fingerprint }, () => (acknowledged += 1));
    };
    decideOne(1);
    await turn();
    decides[0]!.reply(['refused']);
    await turn();
    for (const index of [2, 3]) {
      decideOne(index);
      await turn();
      decides.at(-1)!.reply(['acknowledged']);
      await turn();
    }
    expect([decides.length, acknowledged, refused]).toEqual([3, 2, 1]);
    for (const timer of timers.splice(0)) timer();
    await turn();
    decides[3]!.reply(['refused']);
    await turn();
    expect([decides.length, refused]).toEqual([4, 1]);
  });

  it('keeps decisions for a bank that is gone, and delivers them when it is back', async () => {
    line.connect(undefined);
    const { request } = leg(1);
    line.decide(request, { outcome: 'aborted', attempt: 1, fingerprint: request.fingerprint }, () => undefined);
    const votes = prepareMany(2, 1);
    await turn();
    expect([line.admit(), decides.length, votes]).toEqual(['unreachable', 0, [{ kind: 'unsent' }]]);
    line.connect(port());
    await turn();
    expect([line.admit(), decides.length]).toEqual(['ready', 1]);
  });
});
