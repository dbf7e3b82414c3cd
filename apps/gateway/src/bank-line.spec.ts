// A bank's line over a client that the test answers: what flies together, what is retried, and what never is.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { Acknowledgement, VoteKind } from '@strife/stubs/bank';
import type { DecideRequest, DecideResponse, ParticipantServiceClient, PrepareRequest, PrepareResponse } from '@strife/stubs/bank';
import { DeclineReason } from '@strife/stubs/type';
import { fingerprintOf } from '@strife/two-phase-commit';
import type { Clock, PrepareLeg, Silence, Vote } from '@strife/two-phase-commit';
import { ClientError, Status } from 'nice-grpc-common';
import { createBankLine } from './bank-line.ts';
import type { BankLine } from './bank-line.ts';

interface Call<Request, Response> {
  readonly request: Request;
  reply(response: Response): void;
  fail(code: Status): void;
}

let prepares: Call<PrepareRequest, PrepareResponse>[];
let decides: Call<DecideRequest, DecideResponse>[];
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
    logId: 'log-1', clock, prepareTimeoutMs: 2000, random: () => 1,
    onTrouble: () => (trouble += 1), onRecovery: () => undefined, onRefused: () => (refused += 1),
  });
  line.connect(client());
});

function client(): ParticipantServiceClient {
  const answered = <Request, Response>(calls: Call<Request, Response>[]) => (request: Request) =>
    new Promise<Response>((resolve, reject) => {
      calls.push({ request, reply: resolve, fail: (code) => reject(new ClientError('/strife.bank.v1.ParticipantService/Prepare', code, 'told to')) });
    });
  return { prepare: answered(prepares), decide: answered(decides) };
}

function leg(index: number, grant = 'grant-a'): PrepareLeg {
  const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1n, memo: '' };
  const id = `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`;
  return { request: { id, body, fingerprint: fingerprintOf(body), createdAtMs: 0 }, attempt: 1, side: 'debit', deadlineMs: nowMs + 2000, grant };
}

const yes = { kind: VoteKind.YES, reason: DeclineReason.UNSPECIFIED, fence: 0, field: '', replayed: false, atUnixMs: 0n };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function prepareMany(from: number, count: number, votes: (Vote | Silence)[] = []): (Vote | Silence)[] {
  for (let index = from; index < from + count; index += 1) line.prepare(leg(index), (vote) => votes.push(vote));
  return votes;
}

describe('flights', () => {
  it('sends what comes up in one turn as one call, at once', async () => {
    prepareMany(0, 100);
    await turn();
    expect(prepares.map(({ request }) => request.legs.length)).toEqual([100]);
  });

  it('keeps two calls in flight and gathers the rest until one returns', async () => {
    for (let wave = 0; wave < 5; wave += 1) {
      prepareMany(wave * 10, 10);
      await turn();
    }
    expect(prepares.map(({ request }) => request.legs.length)).toEqual([10, 10]);
    prepares[0]!.reply({ votes: new Array(10).fill(yes) });
    await turn();
    expect(prepares.map(({ request }) => request.legs.length)).toEqual([10, 10, 30]);
  });

  it('lets legs and decisions fly together, and sends each grant once', async () => {
    line.prepare(leg(1, 'grant-a'), () => undefined);
    line.prepare(leg(2, 'grant-b'), () => undefined);
    line.prepare(leg(3, 'grant-a'), () => undefined);
    line.decide(leg(4).request.id, { outcome: 'committed', attempt: 1, fingerprint: leg(4).request.fingerprint }, () => undefined);
    await turn();
    expect([prepares.length, decides.length]).toEqual([1, 1]);
    expect(prepares[0]!.request.grants).toEqual(['grant-a', 'grant-b']);
    expect(prepares[0]!.request.legs.map(({ grantIndex }) => grantIndex)).toEqual([0, 1, 0]);
  });
});

describe('failures', () => {
  it('never sends a leg twice: a failed call leaves its votes unknown', async () => {
    const votes = prepareMany(0, 2);
    await turn();
    prepares[0]!.fail(Status.UNAVAILABLE);
    await turn();
    for (const timer of timers.splice(0)) timer();
    await turn();
    expect(votes).toEqual([{ kind: 'unreachable' }, { kind: 'unreachable' }]);
    expect([prepares.length, trouble]).toEqual([1, 1]);
  });

  it('does not take a bare status for the word of the bank that nothing was done', async () => {
    const votes = prepareMany(0, 1);
    await turn();
    prepares[0]!.fail(Status.RESOURCE_EXHAUSTED);
    await turn();
    expect(votes).toEqual([{ kind: 'unreachable' }]);
  });

  it('takes a missing vote for no vote', async () => {
    const votes = prepareMany(0, 2);
    await turn();
    prepares[0]!.reply({ votes: [yes] });
    await turn();
    expect(votes).toEqual([{ kind: 'yes' }, { kind: 'unreachable' }]);
  });

  it('does not send a leg whose time is up', async () => {
    for (let wave = 0; wave < 2; wave += 1) {
      prepareMany(wave, 1);
      await turn();
    }
    const votes = prepareMany(9, 1);
    nowMs += 2000;
    prepares[0]!.reply({ votes: [yes] });
    await turn();
    expect(votes).toEqual([{ kind: 'unsent' }]);
    expect(prepares).toHaveLength(2);
  });

  it('repeats a decision until the bank acknowledges it, in order, and calls back once', async () => {
    let acknowledged = 0;
    const { request } = leg(1);
    line.decide(request.id, { outcome: 'committed', attempt: 1, fingerprint: request.fingerprint }, () => (acknowledged += 1));
    await turn();
    decides[0]!.fail(Status.UNAVAILABLE);
    await turn();
    expect([decides.length, line.undelivered()]).toEqual([1, 1]);
    for (const timer of timers.splice(0)) timer();
    await turn();
    decides[1]!.reply({ acknowledgements: [] });
    await turn();
    for (const timer of timers.splice(0)) timer();
    await turn();
    decides[2]!.reply({ acknowledgements: [Acknowledgement.DONE] });
    await turn();
    expect([acknowledged, line.undelivered(), refused]).toEqual([1, 0, 0]);
  });

  it('sets a decision that the bank refuses aside, with one alarm, and does not let it hold up the others', async () => {
    let acknowledged = 0;
    const decideOne = (index: number): void => {
      const { request } = leg(index);
      line.decide(request.id, { outcome: 'committed', attempt: 1, fingerprint: request.fingerprint }, () => (acknowledged += 1));
    };
    decideOne(1);
    await turn();
    decides[0]!.reply({ acknowledgements: [Acknowledgement.REFUSED] });
    await turn();
    for (const index of [2, 3]) {
      decideOne(index);
      await turn();
      decides.at(-1)!.reply({ acknowledgements: [Acknowledgement.DONE] });
      await turn();
    }
    expect([decides.length, acknowledged, refused, line.undelivered()]).toEqual([3, 2, 1, 1]);
    for (const timer of timers.splice(0)) timer();
    await turn();
    decides[3]!.reply({ acknowledgements: [Acknowledgement.REFUSED] });
    await turn();
    expect([decides.length, refused, line.undelivered()]).toEqual([4, 1, 1]);
  });

  it('keeps decisions for a bank that is gone, and delivers them when it is back', async () => {
    line.connect(undefined);
    const { request } = leg(1);
    line.decide(request.id, { outcome: 'aborted', attempt: 1, fingerprint: request.fingerprint }, () => undefined);
    const votes = prepareMany(2, 1);
    await turn();
    expect([line.admit(), decides.length, votes]).toEqual(['unreachable', 0, [{ kind: 'unsent' }]]);
    line.connect(client());
    await turn();
    expect([line.admit(), decides.length]).toEqual(['ready', 1]);
  });
});
