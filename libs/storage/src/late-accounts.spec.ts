// Rows of accounts that are behind their entries: what is asked of the books, of the file, and of what a crash left.

import { cpSync, existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { auditStores } from './audit/audit-stores.ts';
import { openLedgerStore, type LedgerStore, type LedgerStoreOptions } from './ledger-store.ts';
import { advance, idOf, payment, rules, type Payment } from './testing/bank-kit.ts';
import { temporaryDirectory, type TemporaryDirectory } from './testing/temporary-directory.ts';

let directory: TemporaryDirectory;
let file: string;
let files: number;
let store: LedgerStore;

const USERS = ['ann', 'ben', 'cat', 'dan', 'eve'];

beforeEach(() => {
  directory = temporaryDirectory();
  files = 0;
});
afterEach(() => {
  store.close();
  directory.remove();
});

function begin(options?: Partial<LedgerStoreOptions>): void {
  file = directory.file(`${(files += 1)}.sqlite`);
  store = open(options);
  store.createUsers(USERS.map((username) => ({ username, passwordHash: 'x', currency: 'EUR', openingMinor: 1_000n })));
}

function open(options?: Partial<LedgerStoreOptions>): LedgerStore {
  const onFatal = (error: Error): void => {
    throw error;
  };
  return openLedgerStore({ file, bank: 'alpha', nowMs: () => 1_000, ledger: rules, onFatal, ...options });
}

/** Goes on from what a crash at this moment would leave: the files as they are, and nothing of the memory. */
function crash(options?: Partial<LedgerStoreOptions>): void {
  const left = file;
  file = directory.file(`${(files += 1)}.sqlite`);
  for (const suffix of ['', '-wal']) if (existsSync(left + suffix)) cpSync(left + suffix, file + suffix);
  store.close();
  store = open(options);
}

/** Rows as arrays, read past the owner as other programs do. */
function ask(sql: string): unknown[][] {
  const database = new DatabaseSync(file, { readOnly: true });
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  const rows = statement.all() as unknown as unknown[][];
  database.close();
  return rows;
}

const postedIn = (table: 'accounts' | 'current_accounts') => Object.fromEntries(ask(`SELECT name, posted FROM ${table} WHERE kind < 2`) as [string, number][]);
const unshown = () => Number(ask('SELECT max(seq) - up_to FROM entries, accounts_shown')[0]![0]);
const out = (number: number, payer = 'ann', minor = 10n): Payment => payment(number, `alpha/${payer}`, 'beta/zoe', minor);
const into = (number: number, payee: string): Payment => payment(number, 'beta/zoe', `alpha/${payee}`, 10n);

function settle(...payments: Payment[]): void {
  advance(store, 'prepare', payments);
  advance(store, 'settle', payments);
}

describe('the row of an account', () => {
  it('is not written with its payments, and what is asked of the books or of the view is right', () => {
    begin();
    settle(out(1), into(2, 'ben'));
    settle(out(3));
    store.deposit(idOf(9), 'cat', { currency: 'EUR', minorUnits: 5n });
    const before = Object.fromEntries(USERS.map((name) => [name, 1_000]));
    expect(postedIn('accounts')).toEqual({ ...before, 'beta/EUR': 0 });
    expect(postedIn('current_accounts')).toEqual({ ...before, ann: 980, ben: 1_010, cat: 1_005, 'beta/EUR': 10 });
    expect(USERS.map((name) => store.account('customer', name)!.posted)).toEqual([980n, 1_010n, 1_005n, 1_000n, 1_000n]);
    expect([unshown(), auditStores({ banks: [file], gateways: [] }).ok]).toEqual([18, true]);
  });

  it('shows the account as it is after a clean stop, and once it is opened after a crash', () => {
    const shown = { ann: 980, ben: 1_010, cat: 1_000, dan: 1_000, eve: 1_000, 'beta/EUR': 10 };
    for (const again of [() => crash(), () => {
      store.close();
      store = open();
    }]) {
      begin();
      settle(out(1), into(2, 'ben'));
      settle(out(3));
      again();
      expect([postedIn('accounts'), unshown(), auditStores({ banks: [file], gateways: [] }).ok]).toEqual([shown, 0, true]);
      expect(store.listTransfers('ann', 9).items.map(({ id }) => id)).toEqual([idOf(3), idOf(1)]);
      store.close();
    }
  });

  it('is written once there are enough of them, a few with each write, until all show as much', () => {
    begin({ accountsLateMax: 4 });
    const behind = USERS.map((name, index) => {
      settle(into(index, name));
      return unshown();
    });
    // After the second, four rows are late: equity's, the clearing account's and two customers'. That write takes two along, and those after it the rest.
    expect(behind).toEqual([12, 14, 2, 4, 6]);
    expect(auditStores({ banks: [file], gateways: [] }).ok).toBe(true);
  });

  it('is written for the number of entries, too, also when no other account becomes late meanwhile', () => {
    begin({ entriesLateMax: 20 });
    for (const payer of USERS) settle(out(100 + USERS.indexOf(payer), payer, 1n));
    for (let number = 0; number < 60; number += 1) {
      settle(out(number, 'ann', 1n));
      expect(unshown()).toBeLessThanOrEqual(20 + 10 + 2);
    }
  });
});

it('is not guessed which entries the rows show, where the file does not say it', () => {
  begin();
  store.close();
  const database = new DatabaseSync(file);
  database.exec('DELETE FROM accounts_shown');
  database.close();
  expect(() => open()).toThrow('has nothing in its table accounts_shown');
  begin();
});

describe('accounts and their transfers', () => {
  it('are what was done to them, whatever is evicted, put off, closed or lost in a crash', () => {
    const step = fc.record({
      what: fc.constantFrom('prepare', 'prepare', 'settle', 'settle', 'release', 'apply', 'into', 'deposit', 'freeze', 'crash', 'reopen'), who: fc.nat(USERS.length - 1), which: fc.nat(20),
    });
    fc.assert(fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), fc.integer({ min: 1, max: 6 }), fc.integer({ min: 4, max: 30 }), (steps, accountsLateMax, entriesLateMax) => {
      const options = { accountsCachedMax: 2, preparedKeptMax: 4, accountsLateMax, entriesLateMax };
      store?.close();
      begin(options);
      const posted = new Map(USERS.map((name) => [name, 1_000n]));
      const paid = new Map(USERS.map((name) => [name, [] as string[]]));
      const held: { who: string; pay: Payment }[] = [];
      const add = (name: string, minor: bigint) => posted.set(name, posted.get(name)! + minor);
      steps.forEach(({ what, who: number, which }, index) => {
        const who = USERS[number]!;
        const other = USERS[(number + 1) % USERS.length]!;
        if (what === 'prepare') {
          advance(store, 'prepare', [out(index, who)]);
          held.push({ who, pay: out(index, who) });
          paid.get(who)!.unshift(idOf(index));
        } else if (what === 'apply') {
          advance(store, 'apply', [payment(index, `alpha/${who}`, `alpha/${other}`, 1n)]);
          paid.get(who)!.unshift(idOf(index));
          add(who, -1n);
          add(other, 1n);
        } else if (what === 'into') {
          settle(into(index, who));
          add(who, 10n);
        } else if (what === 'deposit') {
          store.deposit(idOf(index), who, { currency: 'EUR', minorUnits: 3n });
          add(who, 3n);
        } else if (what === 'freeze') {
          store.setFrozen(who, true);
          store.setFrozen(who, false);
        } else if (what === 'crash') {
          crash(options);
        } else if (what === 'reopen') {
          store.close();
          store = open(options);
        } else {
          const [leg] = held.splice(which % Math.max(held.length, 1), 1);
          if (leg === undefined) return;
          advance(store, what, [leg.pay]);
          if (what === 'settle') add(leg.who, -10n);
          else paid.set(leg.who, paid.get(leg.who)!.filter((id) => id !== idOf(leg.pay.number)));
        }
        expect(new Map(USERS.map((name) => [name, store.account('customer', name)!.posted]))).toEqual(posted);
        if (index % 5 === 0) for (const [name, ids] of paid) expect(store.listTransfers(name, 100).items.map(({ id }) => id)).toEqual(ids);
      });
      for (const [name, ids] of paid) expect(store.listTransfers(name, 100).items.map(({ id }) => id)).toEqual(ids);
      expect(auditStores({ banks: [file], gateways: [] })).toMatchObject({ ok: true, inDoubt: held.length });
      expect(postedIn('current_accounts')).toMatchObject(Object.fromEntries([...posted].map(([name, minor]) => [name, Number(minor)])));
    }), { numRuns: 40 });
  });
});
