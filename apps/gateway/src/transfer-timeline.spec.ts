// How a timeline is put together: order, words, what is missing, and which starts belong into it.

import { describe, expect, it } from '@jest/globals';
import { declineReasonToWire } from '@strife/service';
import { LegEnd } from '@strife/stubs/bank';
import type { LegAttempt, ProcessStart as WireStart } from '@strife/stubs/bank';
import { TransferEventKind } from '@strife/stubs/gateway';
import type { ExplainTransferResponse } from '@strife/stubs/gateway';
import { DeclineReason, TransferState } from '@strife/stubs/type';
import type { DecisionRow, Verdict } from '@strife/two-phase-commit';
import { timelineOf } from './transfer-timeline.ts';
import type { BankStory, TimelineSources } from './transfer-timeline.ts';

const LOG = 'g1.6f1c1c9e';
const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1250n, memo: '' };
const request = { id: 'an id', fingerprint: 'f', body, createdAtMs: 1000 };
const row = (attempt: number, verdict: Verdict, decidedAtMs: number): DecisionRow => ({ ...request, attempt, verdict, decidedAtMs });
const committed = { row: row(1, { outcome: 'committed' }, 1030), isDelivered: true, earlier: [] };
const leg = (attempt: number, end: LegEnd, preparedAt: number, endedAt: number, changes: Partial<LegAttempt> = {}): LegAttempt => ({
  attempt, end, preparedAtUnixMs: BigInt(preparedAt), endedAtUnixMs: BigInt(endedAt), reason: DeclineReason.UNSPECIFIED, logId: '', ...changes,
});
const told = (attempts: LegAttempt[], starts: WireStart[] = []): BankStory => ({ kind: 'told', attempts, starts });
const start = (atMs: number, stoppedAtMs = 0): WireStart => ({ startedAtUnixMs: BigInt(atMs), isFirst: false, stoppedAtUnixMs: BigInt(stoppedAtMs) });
const away: BankStory = { kind: 'missing', detail: 'bank beta cannot be reached; try again' };

function timeline({ alpha, beta, ...changes }: Partial<TimelineSources> & { alpha?: BankStory; beta?: BankStory }): ExplainTransferResponse {
  const banks = new Map([['alpha', alpha ?? told([])], ['beta', beta ?? told([])]]);
  return timelineOf({
    id: request.id, body, gateway: 'g1', logId: LOG, isForPayer: true, otherGateways: [], decided: undefined, running: undefined, startsSince: () => [], banks, nowMs: 9000, ...changes,
  });
}

const names = new Map(Object.entries(TransferEventKind).map(([name, kind]) => [kind, name.toLowerCase()]));
const linesOf = ({ events }: ExplainTransferResponse): string[] => events.map(({ atUnixMs, place, kind, attempt, detail }) => `${atUnixMs} ${place} ${names.get(kind)} ${attempt}: ${detail}`);

describe('a timeline', () => {
  it('is in the order of time, causes first within a millisecond, and what has no time last', () => {
    const settled = (preparedAt: number) => told([leg(1, LegEnd.SETTLED, preparedAt, 1030, { logId: LOG })]);
    const made = timeline({ decided: committed, alpha: settled(1010), beta: settled(1000) });
    expect(linesOf(made)).toEqual([
      '1000 gateway g1 attempt 1: asks both banks to hold their halves',
      '1000 bank beta prepared 1: keeps room for 12.50 EUR for bob, votes YES',
      '1010 bank alpha prepared 1: holds 12.50 EUR of alice, votes YES',
      '1030 gateway g1 decided 1: commits: both banks voted YES',
      '1030 bank alpha settled 1: takes 12.50 EUR from alice',
      '1030 bank beta settled 1: gives 12.50 EUR to bob',
      '0 gateway g1 acknowledged 1: both banks did as decided; when they said so is not kept',
    ]);
    expect(made).toMatchObject({ transfer: { state: TransferState.SUCCEEDED, createdAtUnixMs: 1000n, decidedAtUnixMs: 1030n }, missing: [] });
  });

  it('shows earlier attempts, one taken over, and none that a bank asked about as begun', () => {
    const decided = {
      row: row(3, { outcome: 'committed' }, 1300), isDelivered: true,
      earlier: [{ attempt: 1, why: 'timeout' as const, createdAtMs: 1000, decidedAtMs: 1050 }, { attempt: 2, why: 'inquiry' as const, createdAtMs: 1200, decidedAtMs: 1200 }],
    };
    const alpha = told([leg(1, LegEnd.TAKEN_OVER, 1010, 1060), leg(3, LegEnd.SETTLED, 1060, 1310, { logId: LOG })]);
    const lines = linesOf(timeline({ decided: { ...decided, row: { ...decided.row, createdAtMs: 1055 } }, alpha }));
    expect(lines.filter((line) => line.includes('gateway'))).toEqual([
      '1000 gateway g1 attempt 1: asks both banks to hold their halves',
      '1050 gateway g1 decided 1: gives the attempt up, nothing moved: a bank did not vote in time',
      '1055 gateway g1 attempt 3: asks both banks to hold their halves',
      '1200 gateway g1 decided 2: gives the attempt up, nothing moved: a bank asked what became of it, and it did not run any more',
      '1300 gateway g1 decided 3: commits: both banks voted YES',
      '0 gateway g1 acknowledged 3: both banks did as decided; when they said so is not kept',
    ]);
    expect(lines).toContain('1060 bank alpha prepared 3: goes on with what attempt 1 held, votes YES');
  });

  it('says that earlier attempts are known by their number only, where nothing else was kept', () => {
    expect(linesOf(timeline({ decided: { ...committed, row: row(4, { outcome: 'committed' }, 1030) } }))[0]).toContain('; of attempts up to 3 it is known only that they were given up');
  });

  it.each<[string, LegAttempt, string]>([
    ['released', leg(1, LegEnd.RELEASED, 1010, 1050), 'released 1: releases 12.50 EUR to alice'],
    ['fenced', leg(1, LegEnd.FENCED, 0, 1050), 'fenced 1: held nothing, and will hold nothing for this attempt or an earlier one'],
    ['declined', leg(0, LegEnd.DECLINED, 0, 1050, { reason: DeclineReason.PAYER_FROZEN }), 'declined 0: declined for ever: payer frozen'],
    ['declined after a hold', leg(1, LegEnd.DECLINED, 1010, 1050, { reason: DeclineReason.EXPIRED }), 'declined 1: releases 12.50 EUR to alice; declined for ever: expired'],
  ])('words what a bank did: %s', (_what, attempt, words) => {
    expect(linesOf(timeline({ alpha: told([attempt]) })).at(-1)).toBe(`1050 bank alpha ${words}`);
  });

  it('names the bank that cannot be reached, and the gateway that the banks did it for', () => {
    const alpha = told([leg(1, LegEnd.UNSPECIFIED, 1010, 0, { logId: 'g2.abc' })]);
    const made = timeline({ alpha, beta: away });
    expect(linesOf(made)).toEqual(['1010 bank alpha prepared 1: holds 12.50 EUR of alice, votes YES, bound until gateway g2 decides']);
    expect(made.missing).toEqual([{ place: 'bank beta', detail: 'bank beta cannot be reached; try again' }, { place: 'gateway g2', detail: 'what it did is in its own log: ask that gateway' }]);
    expect(made.transfer?.state).toBe(TransferState.PENDING);
  });

  it.each<[string, Parameters<typeof timeline>[0], TransferState]>([
    ['committed here', { decided: committed, beta: away }, TransferState.SUCCEEDED],
    ['settled at one bank, for another gateway', { alpha: told([leg(1, LegEnd.SETTLED, 1, 2)]), beta: away }, TransferState.SUCCEEDED],
    ['declined here', { decided: { ...committed, row: row(1, { outcome: 'declined', reason: 'expired' }, 1030) } }, TransferState.DECLINED],
    ['closed by a bank', { beta: told([leg(0, LegEnd.DECLINED, 0, 2, { reason: DeclineReason.EXPIRED })]) }, TransferState.DECLINED],
    ['under way here', { running: request }, TransferState.PENDING],
    ['held by a bank', { beta: told([leg(1, LegEnd.UNSPECIFIED, 1, 0)]) }, TransferState.PENDING],
    ["aborted here while the payer's bank is away", { decided: { ...committed, row: row(1, { outcome: 'aborted', why: 'timeout' }, 1030) }, alpha: away }, TransferState.PENDING],
    ["aborted here and released by the payer's bank", { alpha: told([leg(1, LegEnd.RELEASED, 1, 2)]), beta: away }, TransferState.NOT_APPLIED],
  ])('says of a transfer that is %s what is certain', (_what, sources, state) => {
    expect(timeline(sources).transfer?.state).toBe(state);
  });

  it.each<[string, readonly string[] | undefined, string[]]>([
    ['may lie unread at another gateway', ['g2', 'g3'], ['gateway g2', 'gateway g3']],
    ['may lie unread anywhere, as the registry has not told who is there', undefined, ['other gateways']],
  ])('calls a transfer pending, not given up, while a repeat of it %s', (_what, otherGateways, places) => {
    const made = timeline({ otherGateways, decided: { ...committed, row: row(1, { outcome: 'aborted', why: 'timeout' }, 1030) }, alpha: told([leg(1, LegEnd.RELEASED, 1, 2)]) });
    expect(made.transfer?.state).toBe(TransferState.PENDING);
    const detail = 'given up at gateway g1; this one was not asked and may still hold it: do not pay again under another id';
    expect(made.missing).toEqual(places.map((place) => ({ place, detail })));
  });

  it('names the other gateways once each, and none when the outcome is final', () => {
    const held = told([leg(1, LegEnd.UNSPECIFIED, 1010, 0, { logId: 'g2.abc' })]);
    expect(timeline({ alpha: held, otherGateways: ['g2', 'g3'] }).missing).toEqual([
      { place: 'gateway g2', detail: 'what it did is in its own log: ask that gateway' }, { place: 'gateway g3', detail: 'its log was not asked' },
    ]);
    expect(timeline({ decided: committed, otherGateways: ['g2'] }).missing).toEqual([]);
  });

  it('has the starts between its first and its last moment, and until now while it is not over', () => {
    const startsSince = () => [{ startedAtMs: 1005, before: { kind: 'unclean' as const } }, { startedAtMs: 5000, before: { kind: 'nothing' as const } }];
    const alpha = told([leg(1, LegEnd.SETTLED, 1010, 1040, { logId: LOG })], [start(900), start(1035, 1020), start(2000)]);
    const starts = (sources: Parameters<typeof timeline>[0]) => linesOf(timeline({ alpha, startsSince, ...sources })).filter((line) => line.includes('started'));
    const within = [
      '1005 gateway g1 started 0: starts again after it was killed or crashed',
      '1035 bank alpha started 0: starts again after a clean stop at 1970-01-01T00:00:01.020Z',
    ];
    expect(starts({ decided: committed })).toEqual(within);
    expect(starts({ decided: { ...committed, isDelivered: false } })).toEqual([...within, '2000 bank alpha started 0: starts again after it was killed or crashed', '5000 gateway g1 started 0: starts for the first time']);
  });
});

describe('a timeline for the payee', () => {
  const declinedBy = (reason: 'insufficient_funds' | 'payer_frozen' | 'expired' | 'payee_frozen' | 'limit_exceeded', isForPayer: boolean) => timeline({
    isForPayer,
    decided: { ...committed, row: row(1, { outcome: 'declined', reason }, 1030) },
    alpha: told([leg(1, LegEnd.DECLINED, 1010, 1050, { reason: declineReasonToWire(reason) })]),
    beta: told([leg(0, LegEnd.DECLINED, 0, 1051, { reason: declineReasonToWire(reason) })]),
  });

  it.each(['insufficient_funds', 'payer_frozen', 'expired'] as const)('does not say that it was %s which made the payer\'s bank decline', (reason) => {
    const made = declinedBy(reason, false);
    expect(made.transfer).toMatchObject({ state: TransferState.DECLINED, declineReason: DeclineReason.UNSPECIFIED });
    expect(made.events.map(({ detail }) => detail)).toEqual([
      'asks both banks to hold their halves', 'holds 12.50 EUR of alice, votes YES', "declined by the payer's bank",
      "releases 12.50 EUR to alice; declined by the payer's bank", "declined by the payer's bank", expect.stringContaining('both banks did'),
    ]);
    expect(declinedBy(reason, true).transfer).toMatchObject({ declineReason: declineReasonToWire(reason) });
  });

  it('nor does it where only a bank knows of the decline', () => {
    const alpha = told([leg(0, LegEnd.DECLINED, 0, 2, { reason: DeclineReason.PAYER_FROZEN })]);
    const made = timeline({ isForPayer: false, alpha });
    expect([made.transfer?.declineReason, linesOf(made)]).toEqual([DeclineReason.UNSPECIFIED, ["2 bank alpha declined 0: declined by the payer's bank"]]);
  });

  it.each(['payee_frozen', 'limit_exceeded'] as const)('says %s, which is about the payee, as to the payer', (reason) => {
    expect(declinedBy(reason, false)).toEqual(declinedBy(reason, true));
  });

  it('does not say when processes started or crashed', () => {
    const startsSince = () => [{ startedAtMs: 1005, before: { kind: 'unclean' as const } }];
    const alpha = told([leg(1, LegEnd.SETTLED, 1010, 1040, { logId: LOG })], [start(1035, 1020)]);
    const kinds = (isForPayer: boolean) => timeline({ isForPayer, decided: committed, alpha, startsSince }).events.filter(({ kind }) => kind === TransferEventKind.STARTED).length;
    expect([kinds(true), kinds(false)]).toEqual([2, 0]);
  });
});
