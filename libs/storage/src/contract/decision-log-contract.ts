// What every driver of the decision log must pass.

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DecisionRow, FinishedDelivery, Proposal, TransferId, Verdict } from '@strife/two-phase-commit';
import type { SqliteDecisionLog } from '../decision-log.ts';

/** One store that outlives the logs that are opened on it. */
export interface DecisionLogHarness {
  /** Opens the store again after the last log was closed. Its clock says `nowMs`. */
  open(nowMs: () => number): SqliteDecisionLog;
  dispose(): void;
}

const FINGERPRINT = '00112233445566778899aabbccddeeff';
const OTHER_FINGERPRINT = 'ffeeddccbbaa99887766554433221100';

/** @param parts `decisions` leaves out revocations, known banks and timelines, which a driver for simulations does not have */
export function decisionLogContract(make: () => DecisionLogHarness, parts: 'all' | 'decisions' = 'all'): void {
  describe('a decision log', () => {
    let harness: DecisionLogHarness;
    let log: SqliteDecisionLog;
    let nowMs: number;

    beforeEach(() => {
      nowMs = 1_000;
      harness = make();
      log = harness.open(() => nowMs);
    });

    afterEach(() => {
      log.close();
      harness.dispose();
    });

    function reopen(): void {
      log.close();
      log = harness.open(() => nowMs);
    }

    const ids = async (limit: number, after?: TransferId) => (await log.unfinished(limit, after)).map(({ id }) => id);

    it('keeps its name through reopening', () => {
      const { logId } = log;
      reopen();
      expect(log.logId).toBe(logId);
      expect(log.exclusive).toBe(true);
    });

    it('answers undefined for ids it never decided', async () => {
      expect(await log.find([idOf(1), idOf(2)])).toEqual([undefined, undefined]);
      expect(await log.find([])).toEqual([]);
    });

    it.each<Verdict>([{ outcome: 'committed' }, { outcome: 'declined', reason: 'insufficient_funds' }, { outcome: 'aborted', why: 'timeout' }])(
      'returns and keeps %j as it was proposed, stamped with its time',
      async (verdict) => {
        const row: DecisionRow = { ...proposal(1, 1, verdict), decidedAtMs: 1_000 };
        expect(await log.decide([proposal(1, 1, verdict)], [])).toMatchObject([row]);
        nowMs = 2_000;
        reopen();
        expect(await log.find([idOf(2), idOf(1)])).toEqual([undefined, row]);
      },
    );

    it('keeps the largest amounts, empty and long memos, and any letters exactly', async () => {
      const wide = { ...proposal(1, 1), body: { ...proposal(1, 1).body, amountMinor: 2n ** 63n - 1n, memo: 'ü\u0000\u{1F4B6}"\''.repeat(100) } };
      const bare = { ...proposal(2, 1), body: { ...proposal(2, 1).body, memo: '' } };
      await log.decide([wide, bare], []);
      reopen();
      expect((await log.find([wide.id, bare.id])).map((row) => row?.body)).toEqual([wide.body, bare.body]);
    });

    it('obeys the first row: who loses the compare-and-set gets the winner', async () => {
      await log.decide([proposal(1, 1, { outcome: 'aborted', why: 'timeout' })], []);
      nowMs = 2_000;
      const [row] = await log.decide([proposal(1, 1, { outcome: 'committed' })], []);
      expect(row).toMatchObject({ attempt: 1, verdict: { outcome: 'aborted', why: 'timeout' }, decidedAtMs: 1_000 });
    });

    it('lets the next attempt replace an abort, and nothing replace a commit', async () => {
      await log.decide([proposal(1, 1, { outcome: 'aborted', why: 'timeout' })], []);
      nowMs = 2_000;
      const [second] = await log.decide([proposal(1, 2)], []);
      expect(second).toMatchObject({ attempt: 2, verdict: { outcome: 'committed' }, decidedAtMs: 2_000 });
      const [third] = await log.decide([proposal(1, 3, { outcome: 'aborted', why: 'timeout' })], []);
      expect(third).toEqual(second);
    });

    it('does not let another body take the place of a row', async () => {
      await log.decide([proposal(1, 1, { outcome: 'aborted', why: 'timeout' })], []);
      const [row] = await log.decide([{ ...proposal(1, 2), fingerprint: OTHER_FINGERPRINT }], []);
      expect(row).toMatchObject({ attempt: 1, fingerprint: FINGERPRINT });
    });

    it('decides proposals for one id in one batch one after the other', async () => {
      const rows = await log.decide(
        [proposal(1, 1, { outcome: 'aborted', why: 'timeout' }), proposal(1, 1), proposal(1, 2), proposal(1, 2, { outcome: 'aborted', why: 'busy' })],
        [],
      );
      expect(rows.map(({ attempt, verdict }) => `${attempt} ${verdict.outcome}`)).toEqual(['1 aborted', '1 aborted', '2 committed', '2 committed']);
      expect(log.count()).toBe(1);
    });

    it('pages through what is undelivered, oldest first', async () => {
      await log.decide([proposal(3, 1), proposal(1, 1)], []);
      await log.decide([proposal(2, 1), proposal(4, 1)], []);
      expect(await ids(2)).toEqual([idOf(3), idOf(1)]);
      expect(await ids(2, idOf(1))).toEqual([idOf(2), idOf(4)]);
      expect(await ids(2, idOf(4))).toEqual([]);
      expect(await log.countUnfinished()).toBe(4);
      await log.decide([], [done(1)]);
      expect(await log.countUnfinished()).toBe(3);
    });

    it('forgets finished deliveries, at once for itself and after a close for everyone', async () => {
      await log.decide([proposal(1, 1), proposal(2, 1)], []);
      expect(await log.decide([], [done(1)])).toEqual([]);
      expect(await ids(10)).toEqual([idOf(2)]);
      await log.decide([], [done(2)]);
      reopen();
      expect(await ids(10)).toEqual([]);
      expect(log.count()).toBe(2);
    });

    it('forgets deliveries that are told with the places of their rows, but for an attempt that another one took the place of', async () => {
      const [first, second] = await log.decide([proposal(1, 1, { outcome: 'aborted', why: 'timeout' }), proposal(2, 1)], []);
      const [next] = await log.decide([proposal(1, 2, { outcome: 'aborted', why: 'timeout' })], []);
      await log.decide([], [{ id: idOf(1), attempt: 1, place: first!.place }]);
      expect(await ids(10)).toEqual([idOf(1), idOf(2)]);
      await log.decide([], [{ id: idOf(1), attempt: 2, place: next!.place }, { id: idOf(2), attempt: 1, place: second!.place }]);
      await log.decide([], [{ id: idOf(1), attempt: 1, place: first!.place }]);
      expect(await ids(10)).toEqual([]);
      await log.decide([proposal(1, 3)], [{ id: idOf(1), attempt: 2, place: next!.place }]);
      await log.decide([], [{ id: idOf(1), attempt: 1, place: first!.place }, { id: idOf(1), attempt: 2, place: next!.place }]);
      expect(await ids(10)).toEqual([idOf(1)]);
      reopen();
      expect(await ids(10)).toEqual([idOf(1)]);
    });

    it('misses nothing when the last row of a page is finished before the next', async () => {
      await log.decide([1, 2, 3].map((n) => proposal(n, 1)), []);
      await log.decide([], [done(1)]);
      expect(await ids(10, idOf(1))).toEqual([idOf(2), idOf(3)]);
    });

    it('misses nothing when the last row of a page runs its next attempt before the next page', async () => {
      await log.decide([proposal(1, 1, { outcome: 'aborted', why: 'timeout' }), proposal(2, 1), proposal(3, 1)], []);
      await log.decide([proposal(1, 2)], [done(1)]);
      expect(await ids(10, idOf(1))).toEqual([idOf(2), idOf(3)]);
    });

    it('delivers a replaced row anew, also when its delivery is finished in the same batch', async () => {
      await log.decide([proposal(1, 1, { outcome: 'aborted', why: 'timeout' })], []);
      await log.decide([proposal(1, 2)], [done(1)]);
      expect(await ids(10)).toEqual([idOf(1)]);
    });

    it.each([false, true])('keeps the delivery of a later attempt when that of an earlier one ends late (reopened: %s)', async (reopened) => {
      await log.decide([proposal(1, 1, { outcome: 'aborted', why: 'timeout' })], []);
      await log.decide([proposal(1, 2), proposal(2, 1)], []);
      if (reopened) reopen();
      await log.decide([], [done(1, 1), done(2)]);
      expect(await ids(10)).toEqual([idOf(1)]);
      await log.decide([proposal(3, 1)], [done(1, 1)]);
      reopen();
      expect(await ids(10)).toEqual([idOf(1), idOf(3)]);
      await log.decide([], [done(1, 2), done(1, 1)]);
      expect(await ids(10)).toEqual([idOf(3)]);
    });

    it('forgets deliveries that finish out of order, of this life and of the one before', async () => {
      await log.decide([1, 2, 3].map((n) => proposal(n, 1)), []);
      reopen();
      await log.decide([4, 5, 6, 7, 8, 9].map((n) => proposal(n, 1)), []);
      await log.decide([], [done(8), done(2), done(5), done(4), done(7)]);
      expect(await ids(10)).toEqual([idOf(1), idOf(3), idOf(6), idOf(9)]);
      reopen();
      expect(await ids(10)).toEqual([idOf(1), idOf(3), idOf(6), idOf(9)]);
    });

    it('shrugs at finished ids that it does not know or that are finished already', async () => {
      await log.decide([proposal(1, 1)], [done(9)]);
      await log.decide([], [done(1), done(1)]);
      await log.decide([], [done(1), done(9)]);
      expect(await ids(10)).toEqual([]);
    });

    it('never gives the place of one finished row to two others', async () => {
      await log.decide([proposal(1, 1, { outcome: 'aborted', why: 'timeout' })], []);
      await log.decide([], [done(1)]);
      reopen();
      await log.decide([proposal(2, 1)], []);
      await log.decide([proposal(1, 2)], []);
      expect((await ids(10)).sort()).toEqual([idOf(1), idOf(2)]);
    });

    it('keeps thousands of decisions of one batch', async () => {
      const many = Array.from({ length: 5_000 }, (_, n) => proposal(n, 1));
      await log.decide(many, []);
      reopen();
      expect(log.count()).toBe(5_000);
      expect(await ids(10_000)).toEqual(many.map(({ id }) => id));
    });

    it('refuses a malformed id and goes on', async () => {
      for (const id of ['', 'x', idOf(1).toUpperCase(), `${idOf(1)}0`, idOf(1).replaceAll('-', '')]) {
        await expect(log.find([id])).rejects.toThrow(RangeError);
        await expect(log.decide([{ ...proposal(1, 1), id }], [])).rejects.toThrow(RangeError);
      }
      expect(await log.find([idOf(1)])).toEqual([undefined]);
    });

    if (parts === 'decisions') return;

    it('keeps revocations until they expire', () => {
      const { revocations } = log;
      revocations.insert([{ issuer: 'gateway', jti: 'a', expiresAtMs: 2_000 }]);
      revocations.insert([{ issuer: 'gateway', jti: 'a', expiresAtMs: 2_000 }, { issuer: 'other', jti: 'a', expiresAtMs: 3_000 }]);
      reopen();
      expect(log.revocations.load(1_000)).toHaveLength(2);
      expect(log.revocations.load(2_000)).toEqual([{ issuer: 'other', jti: 'a', expiresAtMs: 3_000 }]);
      log.revocations.deleteExpired(2_000);
      expect(log.revocations.load(0)).toEqual([{ issuer: 'other', jti: 'a', expiresAtMs: 3_000 }]);
    });

    it('numbers revocations in the order in which they came, and never gives a number again', () => {
      const row = (jti: string, expiresAtMs = 2_000) => ({ issuer: 'gateway', jti, expiresAtMs });
      expect([log.revocations.lastSeq(), log.revocations.after(0, 10)]).toEqual([0, []]);
      log.revocations.insert([row('c', 9_000), row('b')]);
      log.revocations.insert([row('b'), row('a')]);
      const numbered = log.revocations.after(0, 10);
      expect(numbered.map(({ jti }) => jti)).toEqual(['c', 'b', 'a']);
      expect(log.revocations.after(numbered[0]!.seq, 1)).toEqual([numbered[1]]);
      const last = log.revocations.lastSeq();
      expect(numbered[2]!.seq).toBe(last);
      log.revocations.deleteExpired(2_000);
      reopen();
      expect([log.revocations.lastSeq(), log.revocations.after(last, 10)]).toEqual([last, []]);
      log.revocations.insert([row('d', 9_000)]);
      expect(log.revocations.after(last, 10).map(({ jti, seq }) => [jti, seq > last])).toEqual([['d', true]]);
    });

    it('keeps a revocation that now ends later for longer, under a new number, and never for less long', () => {
      const row = (expiresAtMs: number) => ({ issuer: 'bank', jti: 'a', expiresAtMs });
      for (const expiresAtMs of [2_000, 5_000, 3_000]) log.revocations.insert([row(expiresAtMs)]);
      reopen();
      expect(log.revocations.load(0)).toEqual([row(5_000)]);
      expect(log.revocations.after(1, 10)).toEqual([{ ...row(5_000), seq: 2 }]);
      log.revocations.deleteExpired(2_000);
      expect(log.revocations.load(2_000)).toEqual([row(5_000)]);
    });

    it('tells what it decided, with the attempts before it, and whether that is delivered', async () => {
      expect(log.history(idOf(1), 10)).toBeUndefined();
      await log.decide([proposal(1, 1, { outcome: 'aborted', why: 'timeout' })], []);
      nowMs = 2_000;
      await log.decide([proposal(1, 4, { outcome: 'aborted', why: 'fenced' })], [done(1)]);
      await log.decide([proposal(1, 1), proposal(1, 5)], []);
      const history = {
        row: { ...proposal(1, 5), decidedAtMs: 2_000 },
        isDelivered: false,
        earlier: [{ attempt: 1, why: 'timeout', createdAtMs: 900, decidedAtMs: 1_000 }, { attempt: 4, why: 'fenced', createdAtMs: 900, decidedAtMs: 2_000 }],
      };
      expect(log.history(idOf(1), 10)).toEqual(history);
      reopen();
      expect(log.history(idOf(1), 10)).toEqual(history);
      expect(log.history(idOf(1), 1)?.earlier.map(({ attempt }) => attempt)).toEqual([4]);
      await log.decide([], [done(1, 4)]);
      expect(log.history(idOf(1), 10)).toEqual(history);
      await log.decide([], [done(1, 5)]);
      expect(log.history(idOf(1), 10)).toEqual({ ...history, isDelivered: true });
      reopen();
      expect(log.history(idOf(1), 10)).toEqual({ ...history, isDelivered: true });
    });

    it('tells how old the oldest is that is not delivered, without those that are finished and still in the file', async () => {
      expect(log.oldestUnfinishedAtMs()).toBeUndefined();
      const [first] = await log.decide([proposal(1, 1, { outcome: 'aborted', why: 'timeout' })], []);
      for (const n of [2, 3]) {
        nowMs = n * 1_000;
        await log.decide([proposal(n, 1)], []);
      }
      expect(log.oldestUnfinishedAtMs()).toBe(1_000);
      await log.decide([], [done(2), done(9), { id: idOf(1), attempt: 1, place: first!.place }]);
      expect(log.oldestUnfinishedAtMs()).toBe(3_000);
      await log.decide([], [done(3, 2)]);
      expect(log.oldestUnfinishedAtMs()).toBe(3_000);
      await log.decide([], [done(3)]);
      expect(log.oldestUnfinishedAtMs()).toBeUndefined();
      nowMs = 4_000;
      await log.decide([proposal(1, 2)], []);
      expect(log.oldestUnfinishedAtMs()).toBe(4_000);
      reopen();
      expect(log.oldestUnfinishedAtMs()).toBe(4_000);
    });

    it('tells its starts, with how the process before had ended', () => {
      nowMs = 2_000;
      reopen();
      expect(log.starts.since(0, 10)).toEqual([{ startedAtMs: 1_000, before: { kind: 'nothing' } }, { startedAtMs: 2_000, before: { kind: 'stopped', atMs: 2_000 } }]);
    });

    it('remembers the banks that it met', () => {
      log.knownBanks.add('alpha');
      log.knownBanks.add('alpha');
      reopen();
      expect([log.knownBanks.has('alpha'), log.knownBanks.has('beta')]).toEqual([true, false]);
    });
  });
}

function idOf(number: number): TransferId {
  return `0197b2a0-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
}

function done(number: number, attempt = 1): FinishedDelivery {
  return { id: idOf(number), attempt };
}

function proposal(number: number, attempt: number, verdict: Verdict = { outcome: 'committed' }): Proposal {
  return {
    id: idOf(number),
    attempt,
    fingerprint: FINGERPRINT,
    createdAtMs: 900,
    verdict,
    body: { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1_250n, memo: 'lunch' },
  };
}
