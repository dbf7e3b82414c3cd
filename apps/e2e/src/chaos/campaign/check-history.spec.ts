// The check of histories finds what it is there for: each case is a history that something went wrong in.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { checkHistory } from './check-history.ts';
import type { JournalEvent } from './journal.ts';

const ID = '01a2083d-b4b7-77b6-978b-e875114ab5c2';
const OTHER = '01a2083d-b4bb-70f8-9d2d-35c2d5cfaae0';
const SEND: Extract<JournalEvent, { op: 'send' }> = { op: 'send', id: ID, from: 'alpha/p1', to: 'beta/p3', minor: '7' };
const OK: JournalEvent = { op: 'ok', id: ID };
const look = (entries: number, posted: string, others = {}): JournalEvent =>
  ({ op: 'balances', bank: 'alpha', at: '2026-01-01T00:00:00.000Z', entries: String(entries), balances: { 'alpha/p1': posted, ...others } });
const COMMITTED = 1;
const ABORTED = 2;

/** The tables that are looked at, with one customer of 100 at each bank. */
function makeBank(folder: string, bank: string, customer: string): DatabaseSync {
  const database = new DatabaseSync(join(folder, `bank-${bank}.sqlite`));
  database.exec(`
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, kind INTEGER, name TEXT);
    CREATE TABLE all_legs (id BLOB, state INTEGER);
    CREATE TABLE entries (seq INTEGER PRIMARY KEY, account_id INTEGER, transfer_id BLOB, amount INTEGER, posted INTEGER);
    INSERT INTO accounts VALUES (1, 0, '${customer}');
    INSERT INTO entries VALUES (1, 1, NULL, 100, 100);
  `);
  return database;
}

const blob = (id: string): Buffer => Buffer.from(id.replaceAll('-', ''), 'hex');
const addLeg = (bank: DatabaseSync, state: number, id = ID): void => void bank.prepare('INSERT INTO all_legs VALUES (?, ?)').run(blob(id), state);
const addEntry = (bank: DatabaseSync, amount: number, posted: number): void =>
  void bank.prepare('INSERT INTO entries (account_id, transfer_id, amount, posted) VALUES (1, ?, ?, ?)').run(blob(ID), amount, posted);

describe('a history', () => {
  let folder: string;
  let alpha: DatabaseSync;
  let beta: DatabaseSync;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'strife-history-'));
    alpha = makeBank(folder, 'alpha', 'p1');
    beta = makeBank(folder, 'beta', 'p3');
  });
  afterEach(() => {
    alpha.close();
    beta.close();
    rmSync(folder, { recursive: true });
  });

  const problems = (...events: readonly JournalEvent[]): readonly string[] => checkHistory([events], ['alpha', 'beta'], folder).problems;

  function settle(): void {
    for (const bank of [alpha, beta]) addLeg(bank, COMMITTED);
    addEntry(alpha, -7, 93);
    addEntry(beta, 7, 107);
  }

  it('of a payment that was acknowledged and is at both banks is right, and so are reads before and after it', () => {
    settle();
    const before: JournalEvent = { op: 'balance', account: 'alpha/p1', posted: '100' };
    const after: JournalEvent = { op: 'entries', account: 'alpha/p1', entries: [{ id: ID, amount: '-7', posted: '93' }, { id: null, amount: '100', posted: '100' }] };
    expect(problems(before, SEND, OK, after, { op: 'balance', account: 'alpha/p1', posted: '93' })).toEqual([]);
    expect(checkHistory([[SEND, OK, before]], ['alpha', 'beta'], folder).counts).toEqual({ acknowledged: 1, declined: 0, unknown: 0, reads: 1 });
  });

  it('of looks at all accounts of a bank is right when each shows what the entries up to it say', () => {
    settle();
    expect(problems(SEND, OK, look(1, '100'), look(2, '93'), look(2, '93'))).toEqual([]);
  });

  it('of a payment that was declined and is aborted is right', () => {
    addLeg(alpha, ABORTED);
    expect(problems(SEND, { op: 'declined', id: ID, reason: 'insufficient_funds' })).toEqual([]);
  });

  it.each<[string, () => void, readonly JournalEvent[], RegExp]>([
    ['a payment without an answer', settle, [SEND], /never got a certain answer/],
    ['an acknowledged payment that no bank has', () => undefined, [SEND, OK], /told ok; at alpha it is not committed/],
    ['an acknowledged payment that the payee never got', () => {
      for (const bank of [alpha, beta]) addLeg(bank, COMMITTED);
      addEntry(alpha, -7, 93);
    }, [SEND, OK], /beta\/p3 has entries \[\], not \[7\]/],
    ['a payment that was made twice', () => {
      settle();
      addEntry(alpha, -7, 86);
    }, [SEND, OK], /alpha\/p1 has entries \[-7,-7\], not \[-7\]/],
    ['another amount', settle, [{ ...SEND, minor: '8' }, OK], /alpha\/p1 has entries \[-7\], not \[-8\]/],
    ['a declined payment that was made', settle, [SEND, { op: 'declined', id: ID, reason: 'payee_frozen' }], /told declined; at alpha it is committed/],
    ['a payment that nobody sent', () => addLeg(alpha, ABORTED, OTHER), [], /bank alpha has transfer 01a2083d-b4bb.*nobody sent/],
    ['an entry whose balance does not follow', () => {
      settle();
      addEntry(alpha, -1, 99);
    }, [], /the balance after .* is 99, and its entries say 92/],
    ['a balance that never was', settle, [SEND, OK, { op: 'balance', account: 'alpha/p1', posted: '50' }], /shows balance 50, which the account never was/],
    ['a balance of before a read that was over', settle, [SEND, OK, { op: 'balance', account: 'alpha/p1', posted: '93' }, { op: 'balance', account: 'alpha/p1', posted: '100' }],
      /shows balance 100, which the account never was after its first 2 entries/],
    ['entries that were different once', settle, [SEND, OK, { op: 'entries', account: 'alpha/p1', entries: [{ id: ID, amount: '-9', posted: '91' }] }], /shows entries from/],
    ['a look at all accounts that shows what never was', settle, [SEND, OK, look(1, '93')], /alpha\/p1 at 2026.*: a look shows 93, and its entries up to then say 100/],
    ['a look that shows an account that is not there later', settle, [SEND, OK, look(2, '93', { 'alpha/p9': '7' })], /alpha\/p9 at 2026.*: a look shows 7, .* say 0/],
    ['a look that shows less than the one before', settle, [SEND, OK, look(2, '93'), look(1, '100')], /alpha at 2026.*: a look shows 1 entries, after 2/],
  ])('with %s is found to be wrong', (_what, arrange, events, words) => {
    arrange();
    expect(problems(...events).join('\n')).toMatch(words);
  });
});
