import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { answerInquiry, mayReplace } from './decision-rules.ts';
import type { Inquiry } from './decision-rules.ts';
import type { DecisionRow, Proposal, TransferBody, TransferRequest, Verdict } from './vocabulary.ts';
import { banksOf, decisionOf, differingField } from './vocabulary.ts';

const body: TransferBody = {
  from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 10n, memo: 'rent',
};
const request: TransferRequest = { id: 't1', fingerprint: 'f1', body, createdAtMs: 1 };
const commit: Verdict = { outcome: 'committed' };
const decline: Verdict = { outcome: 'declined', reason: 'frozen' };
const abort: Verdict = { outcome: 'aborted', why: 'timeout' };
const proposal = (attempt: number, verdict: Verdict, fingerprint = 'f1'): Proposal => ({ ...request, fingerprint, attempt, verdict });
const row = (attempt: number, verdict: Verdict, fingerprint = 'f1'): DecisionRow => ({ ...proposal(attempt, verdict, fingerprint), decidedAtMs: 2 });
const inquiry = (attempt: number, fingerprint = 'f1'): Inquiry => ({ ...request, fingerprint, attempt });

describe('the compare-and-set of the log', () => {
  it.each([
    ['a first commit at attempt 1', undefined, proposal(1, commit), true],
    ['a first decline at attempt 1', undefined, proposal(1, decline), true],
    ['a first abort at attempt 1', undefined, proposal(1, abort), true],
    ['a first abort that jumps', undefined, proposal(4, abort), true],
    ['a first commit that jumps', undefined, proposal(2, commit), false],
    ['a first decline that jumps', undefined, proposal(2, decline), false],
    ['the next attempt after an abort', row(1, abort), proposal(2, commit), true],
    ['a decline of the next attempt', row(1, abort), proposal(2, decline), true],
    ['an abort of the next attempt', row(1, abort), proposal(2, abort), true],
    ['an abort that jumps ahead', row(1, abort), proposal(5, abort), true],
    ['a commit of a buried attempt', row(2, abort), proposal(2, commit), false],
    ['a commit of a lower attempt', row(3, abort), proposal(1, commit), false],
    ['a commit beyond the next attempt', row(1, abort), proposal(3, commit), false],
    ['an abort of a buried attempt', row(2, abort), proposal(2, abort), false],
    ['anything over a commit', row(1, commit), proposal(2, abort), false],
    ['the same commit again', row(1, commit), proposal(1, commit), false],
    ['anything over a decline', row(1, decline), proposal(2, commit), false],
    ['an abort over a decline', row(1, decline), proposal(2, abort), false],
    ['another body', row(1, abort), proposal(2, commit, 'f2'), false],
    ["another body's abort", row(1, abort), proposal(2, abort, 'f2'), false],
  ])('%s', (_, current, next, allowed) => {
    expect(mayReplace(current, next)).toBe(allowed);
  });

  it('never takes the same proposal twice', () => {
    const verdicts = fc.constantFrom(commit, decline, abort);
    const attempts = fc.integer({ min: 1, max: 4 });
    fc.assert(fc.property(attempts, verdicts, attempts, verdicts, (attempt, verdict, next, wanted) => {
      const asked = proposal(next, wanted);
      if (!mayReplace(row(attempt, verdict), asked)) return;
      expect(mayReplace({ ...asked, decidedAtMs: 2 }, asked)).toBe(false);
    }));
  });
});

describe('the answer to an inquiry', () => {
  it.each([
    ['committed at the attempt asked about', row(2, commit), inquiry(2), { kind: 'committed', attempt: 2 }],
    ['a lower attempt than the committed one', row(2, commit), inquiry(1), { kind: 'aborted', attempt: 1 }],
    ['declined, with the reason', row(1, decline), inquiry(1), { kind: 'aborted', attempt: 1, reason: 'frozen' }],
    ['aborted', row(2, abort), inquiry(2), { kind: 'aborted', attempt: 2 }],
    ['an attempt below the aborted one', row(2, abort), inquiry(1), { kind: 'aborted', attempt: 1 }],
    ['another body than the decided one', row(1, commit, 'f2'), inquiry(1), { kind: 'aborted', attempt: 1 }],
    ['another body than the aborted one', row(1, abort, 'f2'), inquiry(3), { kind: 'aborted', attempt: 3 }],
  ])('comes from the row, whether or not the attempt may run: %s', (_, current, asked, answer) => {
    expect(answerInquiry(current, asked, false)).toEqual(answer);
    expect(answerInquiry(current, asked, true)).toEqual(answer);
  });

  it.each([['no row', undefined, 1], ['a row below the attempt', row(1, abort), 2]] as const)('is pending while the attempt may run: %s', (_, current, attempt) => {
    expect(answerInquiry(current, inquiry(attempt), true)).toEqual({ kind: 'pending' });
  });

  it.each([
    ['no row', undefined, 1], ['no row, at a later attempt', undefined, 3], ['a row below the attempt', row(1, abort), 2],
  ] as const)('is written first when nobody will decide, and the log takes it: %s', (_, current, attempt) => {
    const answer = answerInquiry(current, inquiry(attempt), false);
    expect(answer).toEqual({ kind: 'write-first', proposal: { ...request, attempt, verdict: { outcome: 'aborted', why: 'inquiry' } } });
    if (answer.kind !== 'write-first') return;
    expect(mayReplace(current, answer.proposal)).toBe(true);
    expect(answerInquiry({ ...answer.proposal, decidedAtMs: 2 }, inquiry(attempt), false)).toEqual({ kind: 'aborted', attempt });
  });
});

describe('the words of the protocol', () => {
  it.each([
    ['from', { ...body, from: { ...body.from, account: 'anna' } }],
    ['to', { ...body, to: { ...body.to, bank: 'gamma' } }],
    ['amount.currency', { ...body, currency: 'USD' }],
    ['amount.minor_units', { ...body, amountMinor: 11n }],
    ['memo', { ...body, memo: '' }],
    [undefined, { ...body }],
  ])('the first difference between two bodies is %s', (field, other) => {
    expect(differingField(body, other)).toBe(field);
  });

  it('a transfer inside a bank has one bank', () => {
    expect(banksOf(body)).toEqual(['alpha', 'beta']);
    expect(banksOf({ ...body, to: { bank: 'alpha', account: 'adam' } })).toEqual(['alpha']);
  });

  it('a decline is an abort with its reason', () => {
    expect(decisionOf(row(1, commit))).toEqual({ outcome: 'committed', attempt: 1, fingerprint: 'f1' });
    expect(decisionOf(row(2, decline))).toEqual({ outcome: 'aborted', attempt: 2, fingerprint: 'f1', reason: 'frozen' });
    expect(decisionOf(row(3, abort))).toEqual({ outcome: 'aborted', attempt: 3, fingerprint: 'f1' });
  });
});
