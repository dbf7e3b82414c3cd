// What every driver of a bank's books must pass about timelines: what each attempt did, and when the process started.

import { describe, expect, it } from '@jest/globals';
import type { LegState } from '@strife/two-phase-commit';
import type { LedgerStore } from '../ledger-store.ts';
import { FINGERPRINT, LOG, idOf, payment, putLegs } from '../testing/bank-kit.ts';

export interface TimelineBooks {
  store(): LedgerStore;
  /** Sets the time, closes, and opens again. */
  reopenAt(nowMs: number): void;
  setTime(nowMs: number): void;
}

const prepared = (attempt: number): LegState => ({ kind: 'prepared', fingerprint: FINGERPRINT, attempt, log: LOG });
const committed = (attempt: number): LegState => ({ kind: 'committed', fingerprint: FINGERPRINT, attempt, log: LOG });
const aborted = (attempt: number): LegState => ({ kind: 'aborted', fingerprint: FINGERPRINT, attempt });
const declined: LegState = { kind: 'declined', fingerprint: FINGERPRINT, reason: 'expired' };

export function timelineClaims(books: TimelineBooks): void {
  const { body } = payment(1, 'alpha/alice', 'beta/bob', 100n);

  /** Writes the leg's states at 1000, 2000, ..., each in a write of its own; `undefined` terms are of a fence. */
  function write(states: readonly LegState[], side: 'debit' | 'both' = 'debit'): void {
    books.store().write((open) => open.clearing('beta', 'EUR'));
    states.forEach((state, index) => {
      books.setTime((index + 1) * 1000);
      const before = books.store().transfer(idOf(1));
      const hasTerms = before?.terms !== undefined || state.kind !== 'aborted';
      putLegs(books.store(), [{ number: 1, state, owner: 'alice', ...(hasTerms ? { terms: { body, side, deadlineMs: 1 } } : {}) }]);
    });
  }

  const told = (limit = 10) => books.store().attempts(idOf(1), limit).map(({ attempt, preparedAtMs, end }) => [attempt, preparedAtMs, end.kind, 'atMs' in end ? end.atMs : undefined]);

  describe('the attempts of a transfer', () => {
    it.each<[string, LegState[], ReturnType<typeof told>]>([
      ['in doubt', [prepared(1)], [[1, 1000, 'in-doubt', undefined]]],
      ['settled', [prepared(1), committed(1)], [[1, 1000, 'settled', 2000]]],
      ['released', [prepared(1), aborted(1)], [[1, 1000, 'released', 2000]]],
      ['fenced', [aborted(3)], [[3, undefined, 'fenced', 1000]]],
      ['declined at once', [declined], [[undefined, undefined, 'declined', 1000]]],
      ['declined after a hold', [prepared(2), declined], [[2, 1000, 'declined', 2000]]],
      ['released and tried again', [prepared(1), aborted(1), prepared(2), committed(2)], [[1, 1000, 'released', 2000], [2, 3000, 'settled', 4000]]],
      ['fenced and tried again', [aborted(1), prepared(2), committed(2)], [[1, undefined, 'fenced', 1000], [2, 2000, 'settled', 3000]]],
      ['released and then declined', [prepared(1), aborted(1), declined], [[1, 1000, 'released', 2000], [undefined, undefined, 'declined', 2000]]],
      ['taken over', [prepared(1), prepared(3), prepared(4), committed(4)], [[1, 1000, 'taken-over', 2000], [3, 2000, 'taken-over', 3000], [4, 3000, 'settled', 4000]]],
    ])('are told when it was %s', (_what, states, expected) => {
      write(states);
      expect(told()).toEqual(expected);
      books.reopenAt(9000);
      expect(told()).toEqual(expected);
    });

    it('inside one bank are one step without a hold', () => {
      write([committed(1)], 'both');
      expect(told()).toEqual([[1, undefined, 'settled', 1000]]);
    });

    it('are the newest ones where there are more than asked for, and none for an unknown id', () => {
      write([1, 2, 3].flatMap((attempt) => [prepared(attempt), aborted(attempt)]));
      expect(told(2)).toEqual([[2, 3000, 'released', 4000], [3, 5000, 'released', 6000]]);
      expect(books.store().attempts(idOf(2), 10)).toEqual([]);
    });
  });

  describe('the starts of the process', () => {
    it('are told with how the process before had ended', () => {
      expect(books.store().starts.since(0, 10)).toEqual([{ startedAtMs: 1000, before: { kind: 'nothing' } }]);
      books.reopenAt(2000);
      books.reopenAt(3000);
      expect(books.store().starts.since(2000, 10)).toEqual([
        { startedAtMs: 2000, before: { kind: 'stopped', atMs: 2000 } }, { startedAtMs: 3000, before: { kind: 'stopped', atMs: 3000 } },
      ]);
      expect(books.store().starts.since(0, 1).map(({ startedAtMs }) => startedAtMs)).toEqual([3000]);
      expect(books.store().starts.since(3001, 10)).toEqual([]);
    });
  });
}
