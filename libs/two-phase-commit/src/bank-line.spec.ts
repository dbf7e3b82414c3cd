// A bank's line over a port that the test answers: what flies together, what is retried, and what never is.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { createBankLine } from './bank-line.ts';
import type { BankLine, BankPort, Flight, FlightAnswer } from './bank-line.ts';
import { fingerprintOf } from './fingerprint.ts';
import { OverloadedError } from './participant.ts';
import type { Clock, Haste, PrepareLeg } from './ports.ts';
import type { Silence, Vote } from './protocol/vocabulary.ts';

interface Call extends Flight {
  readonly timeoutMs: number;
  /** One of each list for each that the call carries, or fewer. */
  reply(votes: readonly (Vote | Silence)[], answers?: FlightAnswer['answers']): void;
  fail(error?: Error): void;
}

let calls: Call[];
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
  [calls, timers, nowMs, trouble, refused] = [[], [], 1000, 0, 0];
  line = createBankLine({
    clock, prepareTimeoutMs: 2000, random: () => 1,
    onTrouble: () => (trouble += 1), onRecovery: () => undefined, onRefused: () => (refused += 1),
  });
  line.connect(port());
});

function port(): BankPort {
  return {
    send: ({ legs, decisions }, timeoutMs) =>
      new Promise((resolve, reject) => {
        calls.push({
          legs: [...legs], decisions: [...decisions], timeoutMs,
          reply: (votes, answers = []) => resolve({ votes, answers }),
          fail: (error = new Error('told to')) => reject(error),
        });
      }),
  };
}

/** What each call carried: legs and decisions. */
function carried(): [number, number][] {
  return calls.map(({ legs, decisions }) => [legs.length, decisions.length]);
}

function decideOne(index: number, haste: Haste = 'now', onAcknowledged: () => void = () => undefined): void {
  const { request } = leg(index);
  line.decide(request, { outcome: 'committed', attempt: 1, fingerprint: request.fingerprint }, haste, onAcknowledged);
}

function timeIsUp(): Promise<void> {
  for (const timer of timers.splice(0)) timer();
  return turn();
}

function leg(index: number): PrepareLeg {
  const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1n, memo: '' };
  const id = `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`;
  return { request: { id, body, fingerprint: fingerprintOf(body), createdAtMs: 0 }, attempt: 1, side: 'debit', deadlineMs: nowMs + 2000, grant: 'grant' };
}

const yes: Vote = { kind: 'yes' };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function prepareMany(from: number, count: number, votes: (Vote | Silence)[] = []): (Vote | Silence)[] {
  for (let index = from; index < from + count; index += 1) line.prepare(leg(index), (_, vote) => votes.push(vote));
  return votes;
}

describe('flights', () => {
  it('sends what comes up in one turn as one call, at once', async () => {
    prepareMany(0, 100);
    await turn();
    expect(carried()).toEqual([[100, 0]]);
  });

  it('keeps two calls in flight and gathers the rest until one returns', async () => {
    for (let wave = 0; wave < 5; wave += 1) {
      prepareMany(wave * 10, 10);
      await turn();
    }
    expect(carried()).toEqual([[10, 0], [10, 0]]);
    calls[0]!.reply(new Array(10).fill(yes));
    await turn();
    expect(carried()).toEqual([[10, 0], [10, 0], [30, 0]]);
  });

  it('tells one function each vote with the very leg that it is about, late ones too, and each acknowledgement with its request', async () => {
    const legs = [leg(1), { ...leg(2), deadlineMs: nowMs }, leg(3)];
    const heard: unknown[] = [];
    for (const each of legs) line.prepare(each, (about, vote) => heard.push([legs.indexOf(about), vote.kind]));
    const requests = [leg(4).request, leg(5).request];
    for (const request of requests) {
      const decision = { outcome: 'committed', attempt: 7, fingerprint: request.fingerprint } as const;
      line.decide(request, decision, 'now', (about, { attempt }) => heard.push([requests.indexOf(about), attempt]));
    }
    await turn();
    expect(heard).toEqual([[1, 'unsent']]);
    calls[0]!.reply([{ kind: 'busy' }, yes], ['acknowledged', 'acknowledged']);
    await turn();
    expect(heard.slice(1)).toEqual([[0, 'busy'], [2, 'yes'], [0, 7], [1, 7]]);
  });

  it('lets legs and decisions fly together, in one call, which may take as long as legs may', async () => {
    prepareMany(1, 3);
    decideOne(4);
    await turn();
    expect([carried(), calls[0]!.timeoutMs]).toEqual([[[3, 1]], 2100]);
  });

  it('gives decisions alone longer', async () => {
    decideOne(1);
    await turn();
    expect([carried(), calls[0]!.timeoutMs]).toEqual([[[0, 1]], 5000]);
  });

  it('keeps a decision that nobody waits for until legs take it along', async () => {
    let acknowledged = 0;
    decideOne(1, 'soon', () => (acknowledged += 1));
    await turn();
    expect(carried()).toEqual([]);
    prepareMany(2, 1);
    await turn();
    calls[0]!.reply([yes], ['acknowledged']);
    await turn();
    await timeIsUp();
    expect([carried(), acknowledged]).toEqual([[[1, 1]], 1]);
  });

  it('does not send alone what came after the decision that began to wait, and was taken along', async () => {
    decideOne(1, 'soon');
    prepareMany(2, 1);
    await turn();
    decideOne(2, 'soon');
    expect(timers.length).toBe(1);
    prepareMany(3, 1);
    await turn();
    expect([carried(), timers.length]).toEqual([[[1, 1], [1, 1]], 0]);
  });

  it('sends a decision that nobody waits for by itself where no legs come', async () => {
    decideOne(1, 'soon');
    decideOne(2, 'soon');
    await turn();
    await timeIsUp();
    expect(carried()).toEqual([[0, 2]]);
  });
});

describe('closing', () => {
  it('sends what waits for the next legs, and waits for the answer', async () => {
    let [acknowledged, closed] = [0, false];
    decideOne(1, 'soon', () => (acknowledged += 1));
    const closing = line.close().then(() => (closed = true));
    await turn();
    expect([carried(), closed]).toEqual([[[0, 1]], false]);
    calls[0]!.reply([], ['acknowledged']);
    await closing;
    expect([acknowledged, timers.length]).toEqual([1, 0]);
  });

  it('waits for a silent bank no longer than a moment, and for nothing where nothing is under way', async () => {
    prepareMany(1, 1);
    await turn();
    const closing = line.close();
    await timeIsUp();
    await closing;
    calls[0]!.reply([yes]);
    await turn();
    prepareMany(2, 1);
    await turn();
    expect(calls.length).toBe(1);
    await line.close();
  });
});

describe('failures', () => {
  it('never sends a leg twice: a failed call leaves its votes unknown', async () => {
    const votes = prepareMany(0, 2);
    await turn();
    calls[0]!.fail();
    await turn();
    await timeIsUp();
    expect(votes).toEqual([{ kind: 'unreachable' }, { kind: 'unreachable' }]);
    expect([calls.length, trouble]).toEqual([1, 1]);
  });

  it('calls what an overloaded bank did not look at unsent', async () => {
    const votes = prepareMany(0, 1);
    await turn();
    calls[0]!.fail(new OverloadedError('full'));
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
    calls[0]!.reply([yes]);
    await turn();
    expect(votes).toEqual([{ kind: 'unsent' }]);
    expect(calls).toHaveLength(2);
  });

  it('repeats a decision until the bank acknowledges it, in order, and calls back once', async () => {
    let acknowledged = 0;
    decideOne(1, 'now', () => (acknowledged += 1));
    await turn();
    calls[0]!.fail();
    await turn();
    expect(calls.length).toBe(1);
    await timeIsUp();
    calls[1]!.reply([], []);
    await turn();
    await timeIsUp();
    calls[2]!.reply([], ['acknowledged']);
    await turn();
    expect([acknowledged, refused]).toEqual([1, 0]);
  });

  it('repeats the decisions of a failed call, and not its legs', async () => {
    const votes = prepareMany(1, 1);
    decideOne(2);
    await turn();
    calls[0]!.fail();
    await turn();
    await timeIsUp();
    expect([carried(), votes]).toEqual([[[1, 1], [0, 1]], [{ kind: 'unreachable' }]]);
  });

  it('tells each vote once, and repeats only the decision that the same answer does not acknowledge', async () => {
    let acknowledged = 0;
    const votes = prepareMany(1, 1);
    for (const index of [2, 3]) decideOne(index, 'now', () => (acknowledged += 1));
    await turn();
    calls[0]!.reply([yes], ['acknowledged', undefined]);
    await turn();
    await timeIsUp();
    expect([carried(), votes, acknowledged, trouble]).toEqual([[[1, 2], [0, 1]], [yes], 1, 1]);
    expect(calls[1]!.decisions.map(({ request }) => request.id)).toEqual([leg(3).request.id]);
  });

  it('sets a decision that the bank refuses aside, with one alarm, and does not let it hold up the others', async () => {
    let acknowledged = 0;
    const acknowledge = (): void => void (acknowledged += 1);
    decideOne(1, 'now', acknowledge);
    await turn();
    calls[0]!.reply([], ['refused']);
    await turn();
    for (const index of [2, 3]) {
      decideOne(index, 'now', acknowledge);
      await turn();
      calls.at(-1)!.reply([], ['acknowledged']);
      await turn();
    }
    expect([calls.length, acknowledged, refused]).toEqual([3, 2, 1]);
    await timeIsUp();
    calls[3]!.reply([], ['refused']);
    await turn();
    expect([calls.length, refused]).toEqual([4, 1]);
  });

  it('keeps decisions for a bank that is gone, and delivers them when it is back', async () => {
    line.connect(undefined);
    decideOne(1);
    const votes = prepareMany(2, 1);
    await turn();
    expect([line.admit(), calls.length, votes]).toEqual(['unreachable', 0, [{ kind: 'unsent' }]]);
    line.connect(port());
    await turn();
    expect([line.admit(), carried()]).toEqual(['ready', [[0, 1]]]);
  });
});
