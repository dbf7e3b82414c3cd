// Where legs in doubt stand: outside of their table, in a row that goes with the last of them.

import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LegState } from '@strife/two-phase-commit';
import fc from 'fast-check';
import { auditStores } from './audit/audit-stores.ts';
import { openLedgerStore, type LedgerStore } from './ledger-store.ts';
import { FINGERPRINT, LOG, advance, idOf, idsInDoubt, payment, putLegs, rules, type Payment } from './testing/bank-kit.ts';
import { temporaryDirectory, type TemporaryDirectory } from './testing/temporary-directory.ts';
import { startWriter } from './testing/writer-process.ts';

let directory: TemporaryDirectory;
let file: string;
let store: LedgerStore;
let nowMs: number;

beforeEach(() => {
  directory = temporaryDirectory();
  file = directory.file('alpha.sqlite');
  nowMs = 1_000;
  store = open();
  store.createUsers(['alice', 'bob'].map((username) => ({ username, passwordHash: 'x', currency: 'EUR', openingMinor: 10_000n })));
});
afterEach(() => {
  store.close();
  directory.remove();
});

function open(preparedKeptMax?: number, accountsCachedMax?: number): LedgerStore {
  return openLedgerStore({ file, bank: 'alpha', nowMs: () => nowMs, ledger: rules, preparedKeptMax, accountsCachedMax, onFatal: failLoudly });
}

function reopen(preparedKeptMax?: number): void {
  store.close();
  store = open(preparedKeptMax);
}

function failLoudly(error: Error): void {
  throw error;
}

const out = (number: number, minor = 1n): Payment => payment(number, 'alpha/alice', 'beta/zoe', minor);
const into = (number: number, minor = 1n): Payment => payment(number, 'beta/zoe', 'alpha/bob', minor);

/** Rows as arrays, read past the owner as other programs do. */
function ask(sql: string): unknown[][] {
  const database = new DatabaseSync(file, { readOnly: true });
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  statement.setReadBigInts(true);
  const rows = statement.all() as unknown as unknown[][];
  database.close();
  return rows;
}

const hexOf = (number: number): string => idOf(number).replaceAll('-', '').toUpperCase();
const statesIn = (table: 'legs' | 'prepared_legs' | 'all_legs') => ask(`SELECT hex(id), state FROM ${table} ORDER BY id`).map(([id, state]) => [id, Number(state)]);
/** How many legs each row was written with. */
const preparedRows = () => ask('SELECT json_array_length(legs) FROM prepared ORDER BY seq').map(([length]) => Number(length));
const [PREPARED, COMMITTED, ABORTED] = [0, 1, 2];

describe('a prepared leg', () => {
  it('has no row of its own until it ends, and is one of all legs', () => {
    advance(store, 'prepare', [out(1), into(2)]);
    expect([statesIn('legs'), statesIn('all_legs'), preparedRows()]).toEqual([[], [[hexOf(1), PREPARED], [hexOf(2), PREPARED]], [2]]);
    advance(store, 'settle', [out(1)]);
    expect([statesIn('legs'), statesIn('prepared_legs'), preparedRows()]).toEqual([[[hexOf(1), COMMITTED]], [[hexOf(2), PREPARED]], [2]]);
    advance(store, 'release', [into(2)]);
    expect([statesIn('all_legs'), preparedRows()]).toEqual([[[hexOf(1), COMMITTED], [hexOf(2), ABORTED]], []]);
  });

  it('comes back from a killed process with all that is known of it', async () => {
    store.close();
    const writer = startWriter('doubt', directory.file('killed.sqlite'));
    await writer.heard('prepared');
    await writer.kill();
    file = directory.file('killed.sqlite');
    expect(auditStores({ banks: [file], gateways: [] })).toMatchObject({ ok: true, inDoubt: 3 });
    store = open();
    expect(idsInDoubt(store)).toEqual([1, 2, 3].map(idOf));
    const body = { ...out(2).body, currency: 'EUR', amountMinor: 9_007_199_254_740_993n, memo: 'a "quote", a \\, a \u0000, a \n and 😀' };
    expect(store.transfer(idOf(2))).toEqual({
      id: idOf(2), state: { kind: 'prepared', fingerprint: FINGERPRINT, attempt: 1, log: LOG }, terms: { body, side: 'debit', deadlineMs: 9_000 },
      accountId: store.account('customer', 'alice')!.id, preparedAtMs: 5_000, endedAtMs: null,
    });
    const columns = "attempt, log_id, hex(fingerprint), side, account_id, payer, payee, peer, currency, amount, memo, deadline_ms, prepared_at_ms, ended_at_ms, hex(previous)";
    expect(ask(`SELECT ${columns} FROM all_legs JOIN logs ON number = log WHERE hex(id) = '${hexOf(2)}'`)).toEqual([[
      1n, LOG, FINGERPRINT.toUpperCase(), 0n, BigInt(store.account('customer', 'alice')!.id), 'alice', 'zoe', 'beta', 'EUR', body.amountMinor, body.memo, 9_000n, 5_000n,
      null, hexOf(1),
    ]]);
    expect(store.account('customer', 'alice')).toMatchObject({ held: 9_007_199_254_740_995n });
    expect(store.listTransfers('alice', 10).items.map(({ id }) => id)).toEqual([3, 2, 1].map(idOf));
    const settled = [out(1), { number: 2, body }, out(3)];
    advance(store, 'settle', settled);
    reopen();
    expect(store.listTransfers('alice', 10).items.map(({ id, terms }) => [id, terms?.body])).toEqual(settled.toReversed().map((each) => [idOf(each.number), each.body]));
    expect([statesIn('legs').length, preparedRows()]).toEqual([3, []]);
  });

  it.each([1, 30, 900])('comes back from a list with %i others, whatever their texts are made of', (others) => {
    const memoOf = (number: number): string => ['', 'plain', 'a "quote"', '\u00fc\u20ac', '😀'.repeat(70), '\ud800'][number % 6]!;
    const legs = Array.from({ length: others + 1 }, (_, index) => index + 1).map((number): Payment => ({ number, body: { ...out(number).body, memo: memoOf(number) } }));
    advance(store, 'prepare', [legs[0]!]);
    advance(store, 'prepare', legs.slice(1));
    reopen();
    expect(preparedRows()).toEqual([1, others]);
    expect(legs.map(({ number }) => store.transfer(idOf(number))?.terms?.body)).toEqual(legs.map(({ body }) => body));
  });

  it('keeps its place in a batch of which a part has ended, over starts', () => {
    advance(store, 'prepare', [out(1), out(2), out(3)]);
    advance(store, 'settle', [out(2)]);
    reopen();
    expect(idsInDoubt(store)).toEqual([idOf(1), idOf(3)]);
    expect([store.account('customer', 'alice')!.held, store.inDoubt()]).toEqual([2n, { legs: 2, oldestPreparedAtMs: 1_000 }]);
    advance(store, 'prepare', [out(4)]);
    advance(store, 'release', [out(1)]);
    expect(preparedRows()).toEqual([3, 1]);
    advance(store, 'settle', [out(3)]);
    expect(preparedRows()).toEqual([1]);
    expect(store.listTransfers('alice', 10).items.map(({ id }) => id)).toEqual([4, 3, 2].map(idOf));
    reopen();
    expect(idsInDoubt(store)).toEqual([idOf(4)]);
    expect(auditStores({ banks: [file], gateways: [] })).toMatchObject({ ok: true, inDoubt: 1 });
  });

  it('that ends in the write that prepared it leaves nothing behind', () => {
    advance(store, 'prepare', [out(9)]);
    advance(store, 'settle', [out(9)]);
    putLegs(store, [legOf(1), { ...legOf(1), state: aborted(1) }, legOf(2)]);
    expect([statesIn('all_legs'), preparedRows()]).toEqual([[[hexOf(1), ABORTED], [hexOf(2), PREPARED], [hexOf(9), COMMITTED]], [1]]);
    reopen();
    expect(store.listTransfers('alice', 10).items.map(({ id }) => id)).toEqual([idOf(2), idOf(9)]);
  });
});

describe("a payer's transfers", () => {
  const stored = () => ask("SELECT hex(last_transfer) FROM accounts WHERE name = 'alice'")[0]![0];
  const listed = (account = 'alice') => store.listTransfers(account, 100).items.map(({ id }) => id);

  it('are known without a write of the account until one of them ends without an entry', () => {
    advance(store, 'prepare', [out(1), out(2)]);
    expect([stored(), listed()]).toEqual(['', [2, 1].map(idOf)]);
    reopen();
    expect(listed()).toEqual([2, 1].map(idOf));
    advance(store, 'apply', [payment(3, 'alpha/alice', 'alpha/bob', 1n)]);
    advance(store, 'prepare', [out(4)]);
    expect([stored(), listed()]).toEqual(['', [4, 3, 2, 1].map(idOf)]);
    reopen();
    expect([stored(), listed()]).toEqual([hexOf(4), [4, 3, 2, 1].map(idOf)]);
    advance(store, 'prepare', [out(5)]);
    advance(store, 'release', [out(1)]);
    expect([stored(), listed()]).toEqual([hexOf(5), [5, 4, 3, 2].map(idOf)]);
    reopen();
    expect(listed()).toEqual([5, 4, 3, 2].map(idOf));
  });

  it('are all listed, in their order, whatever happens to them, to the cache of accounts and to the process', () => {
    const step = fc.record({ what: fc.constantFrom('prepare', 'prepare', 'settle', 'release', 'apply', 'reopen'), payer: fc.nat(3), which: fc.nat(20) });
    fc.assert(fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), fc.integer({ min: 1, max: 6 }), (steps, preparedKeptMax) => {
      store.close();
      file = directory.file(`${(nowMs += 1)}.sqlite`);
      const again = () => open(preparedKeptMax, 2);
      store = again();
      const payers = ['ann', 'ben', 'cat', 'dan'];
      store.createUsers(['bob', ...payers].map((username) => ({ username, passwordHash: 'x', currency: 'EUR', openingMinor: 1_000n })));
      const held: { payer: string; pay: Payment }[] = [];
      const expected = new Map(payers.map((payer) => [payer, [] as string[]]));
      steps.forEach(({ what, payer: number, which }, index) => {
        const payer = payers[number]!;
        const own = expected.get(payer)!;
        if (what === 'prepare') {
          // Some of two legs, so that batches end in parts.
          const pays = [index, 100 + index].slice(0, 1 + (which % 2)).map((id) => payment(id, `alpha/${payer}`, 'beta/zoe', 1n));
          advance(store, 'prepare', pays);
          held.push(...pays.map((pay) => ({ payer, pay })));
          own.unshift(...pays.map((pay) => idOf(pay.number)).reverse());
        } else if (what === 'apply') {
          advance(store, 'apply', [payment(index, `alpha/${payer}`, 'alpha/bob', 1n)]);
          own.unshift(idOf(index));
        } else if (what === 'reopen') {
          store.close();
          store = again();
        } else {
          const [leg] = held.splice(which % Math.max(held.length, 1), 1);
          if (leg === undefined) return;
          advance(store, what, [leg.pay]);
          if (what === 'release') expected.set(leg.payer, expected.get(leg.payer)!.filter((id) => id !== idOf(leg.pay.number)));
        }
        for (const [name, ids] of expected) expect(listed(name)).toEqual(ids);
      });
      expect(auditStores({ banks: [file], gateways: [] })).toMatchObject({ ok: true, inDoubt: held.length });
    }), { numRuns: 25 });
  });
});

describe('what gets a row while it is prepared', () => {
  it('is a leg that a later attempt takes over', () => {
    advance(store, 'prepare', [out(1), out(2)]);
    nowMs = 2_000;
    putLegs(store, [legOf(1, 2)]);
    expect([statesIn('legs'), statesIn('all_legs').length, preparedRows()]).toEqual([[[hexOf(1), PREPARED]], 2, [2]]);
    reopen();
    expect(store.transfer(idOf(1))).toMatchObject({ state: { kind: 'prepared', attempt: 2 }, preparedAtMs: 1_000 });
    expect([idsInDoubt(store).length, store.account('customer', 'alice')!.held]).toEqual([2, 2n]);
    expect(store.attempts(idOf(1), 9).map(({ attempt, end }) => [attempt, end.kind])).toEqual([[1, 'taken-over'], [2, 'in-doubt']]);
    advance(store, 'settle', [out(2)]);
    expect(preparedRows()).toEqual([]);
    putLegs(store, [{ ...legOf(1), state: { kind: 'committed', fingerprint: FINGERPRINT, attempt: 2, log: LOG } }]);
    expect(statesIn('legs')).toEqual([[hexOf(1), COMMITTED], [hexOf(2), COMMITTED]]);
    expect(store.listTransfers('alice', 10).items.map(({ id }) => id)).toEqual([idOf(2), idOf(1)]);
  });

  it('is a leg whose id has a row: a fence, or an attempt that was released', () => {
    putLegs(store, [{ number: 1, state: aborted(1) }]);
    advance(store, 'prepare', [out(2)]);
    advance(store, 'release', [out(2)]);
    putLegs(store, [legOf(1, 2), legOf(2, 2)]);
    expect([statesIn('legs'), preparedRows()]).toEqual([[[hexOf(1), PREPARED], [hexOf(2), PREPARED]], []]);
    reopen();
    expect(idsInDoubt(store)).toEqual([idOf(1), idOf(2)]);
    expect(store.listTransfers('alice', 10).items.map(({ id }) => id)).toEqual([idOf(1), idOf(2)]);
  });

  it('is what is left of the oldest rows, once too many legs stand outside', () => {
    reopen(5);
    advance(store, 'prepare', [out(1), out(2), out(3)]);
    advance(store, 'settle', [out(2)]);
    advance(store, 'prepare', [out(4), out(5)]);
    expect([statesIn('legs').length, preparedRows()]).toEqual([1, [3, 2]]);
    advance(store, 'prepare', [out(6)]);
    expect(statesIn('legs')).toEqual([[hexOf(1), PREPARED], [hexOf(2), COMMITTED], [hexOf(3), PREPARED]]);
    expect(preparedRows()).toEqual([2, 1]);
    const left = [1, 3, 4, 5, 6];
    expect(idsInDoubt(store)).toEqual(left.map(idOf));
    advance(store, 'settle', [out(1)]);
    reopen();
    advance(store, 'settle', [3, 4, 5, 6].map((number) => out(number)));
    expect([statesIn('legs').map(([, state]) => state), preparedRows()]).toEqual([[1, 1, 1, 1, 1, 1], []]);
    expect(store.listTransfers('alice', 10).items.map(({ id }) => id)).toEqual([6, 5, 4, 3, 2, 1].map(idOf));
    expect(auditStores({ banks: [file], gateways: [] })).toMatchObject({ ok: true, inDoubt: 0 });
  });
});

/** Of `out`, prepared by this attempt. */
function legOf(number: number, attempt = 1): Parameters<typeof putLegs>[1][number] {
  return {
    number, state: { kind: 'prepared', fingerprint: FINGERPRINT, attempt, log: LOG }, owner: 'alice', terms: { body: out(number).body, side: 'debit', deadlineMs: 9_000 },
  };
}

function aborted(attempt: number): LegState {
  return { kind: 'aborted', fingerprint: FINGERPRINT, attempt };
}
