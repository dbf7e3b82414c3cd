// The participant's runtime and the inquirer over books in memory.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { createInquirer } from './inquirer.ts';
import { createParticipant, OverloadedError } from './participant.ts';
import type { DecideCommand, Participant, PrepareCommand } from './participant.ts';
import type { InquiryAnswer } from './protocol/decision-rules.ts';
import type { Vote } from './protocol/vocabulary.ts';
import { alphaToBeta, createManualClock, createMemoryBooks, requestOf, settled } from './testing/fake-ports.ts';
import type { ManualClock, MemoryBooks } from './testing/fake-ports.ts';

let clock: ManualClock;
let books: MemoryBooks;
let participant: Participant;
let alarms: { id: string; rule: string }[];
let ended: [legs: number, waitedMs: number][];

beforeEach(() => {
  clock = createManualClock();
  books = createMemoryBooks();
  alarms = [];
  books.nowMs = () => clock.nowMs();
  ended = [];
  participant = createParticipant({
    bank: 'alpha', resource: books, clock,
    onEnded: (legs, waitedMs) => ended.push([legs, waitedMs]),
    onAlarm: (alarm) => alarms.push(alarm),
  });
});

function leg(id: string, attempt = 1, body = alphaToBeta, log = 'log-1'): PrepareCommand {
  return { id, log, attempt, fingerprint: requestOf(id, body).fingerprint, terms: { body, side: 'debit', deadlineMs: 5 } };
}

function commit(id: string, attempt = 1): DecideCommand {
  return { id, log: 'log-1', decision: { outcome: 'committed', attempt, fingerprint: requestOf(id).fingerprint } };
}

describe('participant', () => {
  it('answers only after the write', async () => {
    let release = (): void => undefined;
    books.beforeCommit = () => new Promise((resolve) => (release = resolve));
    let votes: readonly Vote[] | undefined;
    void participant.prepare([leg('t1')]).then((answered) => (votes = answered));
    await settled();
    expect([votes, books.legs.size]).toEqual([undefined, 0]);
    release();
    await settled();
    expect(votes).toEqual([{ kind: 'yes' }]);
    expect(books.legs.get('t1')?.state.kind).toBe('prepared');
  });

  it('writes everything that is queued at once, from all callers, in order', async () => {
    const votes = participant.prepare([leg('t1'), leg('t2')]);
    const more = participant.prepare([leg('t3')]);
    const decided = participant.decide([commit('t1')]);
    expect([await votes, await more, await decided]).toEqual([[{ kind: 'yes' }, { kind: 'yes' }], [{ kind: 'yes' }], ['acknowledged']]);
    expect(books.commits).toBe(1);
    expect(books.effects).toEqual([{ id: 't1', effect: 'hold' }, { id: 't2', effect: 'hold' }, { id: 't3', effect: 'hold' }, { id: 't1', effect: 'settle' }]);
    expect(ended).toEqual([[1, 0]]);
  });

  it('says when a decline was, also when it is repeated', async () => {
    books.refuse = () => 'insufficient_funds';
    const atMs = clock.nowMs();
    expect(await participant.prepare([leg('t1')])).toEqual([{ kind: 'no', reason: 'insufficient_funds', replayed: false, atMs }]);
    books.refuse = () => undefined;
    await clock.advance(50);
    expect(await participant.prepare([leg('t1', 2)])).toEqual([{ kind: 'no', reason: 'insufficient_funds', replayed: true, atMs }]);
  });

  describe('of a leg that expires', () => {
    const expiring = (id: string, attempt: number, afterMs: number, terms: Partial<PrepareCommand['terms']> = {}): PrepareCommand => {
      const command = leg(id, attempt);
      return { ...command, terms: { ...command.terms, ...terms }, expiresAtMs: clock.nowMs() + afterMs };
    };
    const abort = (attempt: number): DecideCommand => ({ id: 't1', log: 'log-1', decision: { outcome: 'aborted', attempt, fingerprint: requestOf('t1').fingerprint } });
    const kindOf = (id = 't1') => books.legs.get(id)?.state.kind;

    it('declines it from that moment on, for ever, also when it is sent without an expiry', async () => {
      expect(await participant.prepare([expiring('t1', 1, 0), expiring('t2', 1, 1)])).toMatchObject([{ kind: 'no', reason: 'expired', replayed: false }, { kind: 'yes' }]);
      expect(await participant.prepare([leg('t1', 2), leg('t1', 1, alphaToBeta, 'log-2')])).toMatchObject([
        { kind: 'no', reason: 'expired', replayed: true }, { kind: 'no', reason: 'expired', replayed: true },
      ]);
      expect(books.effects).toEqual([{ id: 't1', effect: 'none' }, { id: 't2', effect: 'hold' }]);
    });

    it('does not ask the ledger, which might see nothing wrong or something else', async () => {
      books.refuse = () => 'insufficient_funds';
      expect(await participant.prepare([expiring('t1', 1, 0)])).toMatchObject([{ reason: 'expired' }]);
    });

    it('declines a later attempt after an abort', async () => {
      await participant.prepare([expiring('t1', 1, 10)]);
      await participant.decide([abort(1)]);
      await clock.advance(10);
      expect(await participant.prepare([expiring('t1', 2, 0)])).toMatchObject([{ kind: 'no', reason: 'expired' }]);
      expect(await participant.decide([abort(2)])).toEqual(['acknowledged']);
      expect(kindOf()).toBe('declined');
    });

    it('keeps what an attempt holds, and settles it, however late the decision', async () => {
      const command = expiring('t1', 1, 10);
      await participant.prepare([command]);
      await clock.advance(10_000);
      expect(await participant.prepare([command])).toEqual([{ kind: 'yes' }]);
      expect(await participant.decide([commit('t1')])).toEqual(['acknowledged']);
      expect(await participant.prepare([{ ...command, attempt: 2 }])).toMatchObject([{ kind: 'committed', replayed: true }]);
    });

    it('releases the hold when a later attempt comes too late to take it over', async () => {
      await participant.prepare([expiring('t1', 1, 10)]);
      expect(await participant.prepare([expiring('t1', 2, 10)])).toEqual([{ kind: 'yes' }]);
      await clock.advance(10);
      expect(await participant.prepare([expiring('t1', 3, 0)])).toMatchObject([{ kind: 'no', reason: 'expired', replayed: false }]);
      expect([kindOf(), books.effects.at(-1)]).toEqual(['declined', { id: 't1', effect: 'release' }]);
      expect(await participant.decide([abort(1), abort(2)])).toEqual(['acknowledged', 'acknowledged']);
    });

    it('takes no notice at the bank of the payee', async () => {
      expect(await participant.prepare([expiring('t1', 1, 0, { side: 'credit' }), expiring('t2', 1, 0, { side: 'both' })])).toMatchObject([{ kind: 'yes' }, { kind: 'no', reason: 'expired' }]);
    });
  });

  it('names the field that differs to the payer, and nothing to anyone else', async () => {
    await participant.prepare([leg('t1')]);
    const stranger = { ...alphaToBeta, from: { bank: 'alpha', account: 'mallory' } };
    expect(await participant.prepare([leg('t1', 1, { ...alphaToBeta, memo: 'dinner' }), leg('t1', 1, stranger)])).toEqual([
      { kind: 'mismatch', field: 'memo' },
      { kind: 'mismatch', field: '' },
    ]);
  });

  it('refuses a decision against its log, raises the alarm, and goes on', async () => {
    await participant.prepare([leg('t2')]);
    expect(await participant.decide([commit('t1'), commit('t2')])).toEqual(['refused', 'acknowledged']);
    expect(alarms).toMatchObject([{ id: 't1', rule: 'commit of a transfer that was never prepared here' }]);
  });

  it('refuses more than it may keep waiting, before it does anything', async () => {
    const many = Array.from({ length: 100_001 }, () => leg('t1'));
    await expect(participant.prepare(many)).rejects.toThrow(OverloadedError);
    expect(books.commits).toBe(0);
  });
});

describe('inquirer', () => {
  const legs = () => [...books.legs].map(([id, leg]) => ({ id, leg }));

  it('asks after 200 ms, then less and less often, and obeys the answer', async () => {
    const asked: number[] = [];
    let answer: InquiryAnswer = { kind: 'pending' };
    const startMs = clock.nowMs();
    const inquirer = createInquirer({
      clock, legs,
      ask: (_log, inquiries) => {
        asked.push(clock.nowMs() - startMs);
        return Promise.resolve(inquiries.map(() => answer));
      },
      decide: (commands) => participant.decide(commands),
      onFailure: () => undefined,
    });
    await participant.prepare([leg('t1')]);
    for (let step = 0; step < 16; step += 1) await clock.advance(100);
    expect(asked).toEqual([200, 400, 800, 1600]);
    answer = { kind: 'committed', attempt: 1 };
    inquirer.wake('log-1');
    await clock.advance(100);
    expect(books.legs.get('t1')?.state.kind).toBe('committed');
    inquirer.stop();
  });

  it('keeps the leg in doubt when nobody answers', async () => {
    const failures: unknown[] = [];
    const inquirer = createInquirer({
      clock, legs,
      ask: () => Promise.reject(new Error('no gateway serves log log-1')),
      decide: (commands) => participant.decide(commands),
      onFailure: (_log, error) => failures.push(error),
    });
    await participant.prepare([leg('t1')]);
    await clock.advance(200);
    expect(failures).toHaveLength(1);
    expect(books.legs.get('t1')?.state.kind).toBe('prepared');
    inquirer.stop();
  });
});
