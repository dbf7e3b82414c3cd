// The participant's runtime and the inquirer over books in memory.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { createInquirer } from './inquirer.ts';
import { createParticipant, OverloadedError } from './participant.ts';
import type { DecideCommand, DoubtfulLeg, Participant, PrepareCommand } from './participant.ts';
import type { InquiryAnswer } from './protocol/decision-rules.ts';
import type { Vote } from './protocol/vocabulary.ts';
import { alphaToBeta, createManualClock, createMemoryBooks, requestOf, settled } from './testing/fake-ports.ts';
import type { ManualClock, MemoryBooks } from './testing/fake-ports.ts';

let clock: ManualClock;
let books: MemoryBooks;
let participant: Participant;
let alarms: { id: string; rule: string }[];
let doubtful: Map<string, DoubtfulLeg>;

beforeEach(() => {
  clock = createManualClock();
  books = createMemoryBooks();
  alarms = [];
  doubtful = new Map();
  participant = createParticipant({
    bank: 'alpha', resource: books, clock,
    onPrepared: (leg) => doubtful.set(leg.id, leg),
    onEnded: (id) => doubtful.delete(id),
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
    expect([votes, books.legs.size, doubtful.size]).toEqual([undefined, 0, 0]);
    release();
    await settled();
    expect(votes).toEqual([{ kind: 'yes' }]);
    expect(books.legs.get('t1')?.state.kind).toBe('prepared');
    expect(doubtful.has('t1')).toBe(true);
  });

  it('writes everything that is queued at once, from all callers, in order', async () => {
    const votes = participant.prepare([leg('t1'), leg('t2')]);
    const more = participant.prepare([leg('t3')]);
    const decided = participant.decide([commit('t1')]);
    expect([await votes, await more, await decided]).toEqual([[{ kind: 'yes' }, { kind: 'yes' }], [{ kind: 'yes' }], ['acknowledged']]);
    expect(books.commits).toBe(1);
    expect(books.effects).toEqual([{ id: 't1', effect: 'hold' }, { id: 't2', effect: 'hold' }, { id: 't3', effect: 'hold' }, { id: 't1', effect: 'settle' }]);
    expect([...doubtful.keys()].sort()).toEqual(['t2', 't3']);
  });

  it('says when a decline was, also when it is repeated', async () => {
    books.refuse = () => 'insufficient_funds';
    const atMs = clock.nowMs();
    expect(await participant.prepare([leg('t1')])).toEqual([{ kind: 'no', reason: 'insufficient_funds', replayed: false, atMs }]);
    books.refuse = () => undefined;
    await clock.advance(50);
    expect(await participant.prepare([leg('t1', 2)])).toEqual([{ kind: 'no', reason: 'insufficient_funds', replayed: true, atMs }]);
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
  it('asks after 200 ms, then less and less often, and obeys the answer', async () => {
    const asked: number[] = [];
    let answer: InquiryAnswer = { kind: 'pending' };
    const startMs = clock.nowMs();
    const inquirer = createInquirer({
      clock,
      ask: (_log, inquiries) => {
        asked.push(clock.nowMs() - startMs);
        return Promise.resolve(inquiries.map(() => answer));
      },
      decide: (commands) => participant.decide(commands),
      onFailure: () => undefined,
    });
    await participant.prepare([leg('t1')]);
    inquirer.track(doubtful.get('t1')!);
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
      clock,
      ask: () => Promise.reject(new Error('no gateway serves log log-1')),
      decide: (commands) => participant.decide(commands),
      onFailure: (_log, error) => failures.push(error),
    });
    await participant.prepare([leg('t1')]);
    inquirer.track(doubtful.get('t1')!, true);
    await clock.advance(100);
    expect(failures).toHaveLength(1);
    expect(inquirer.doubt().legs).toBe(1);
    expect(books.legs.get('t1')?.state.kind).toBe('prepared');
    inquirer.stop();
  });
});
