import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from '@jest/globals';
import { ledgerStoreContract } from './contract/ledger-store-contract.ts';
import { hexToBlob, idToBlob } from './ids.ts';
import { BANK_STORE } from './ledger-schema.ts';
import { openLedgerStore } from './ledger-store.ts';
import { openStoreFile, type StoreKind } from './store-file.ts';
import { FINGERPRINT, LOG, advance, idOf, idsInDoubt, openBank, payment, rules } from './testing/bank-kit.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

function failLoudly(error: Error): void {
  throw error;
}

ledgerStoreContract(() => {
  const directory = temporaryDirectory();
  return {
    open: (nowMs) => openLedgerStore({ file: directory.file('alpha.sqlite'), bank: 'alpha', nowMs, ledger: rules, onFatal: failLoudly }),
    dispose: () => directory.remove(),
  };
});

describe('the SQLite books', () => {
  it('end the store when a write breaks a floor, before anything of it is durable', () => {
    const directory = temporaryDirectory();
    const told: Error[] = [];
    const store = openBank(directory.file('alpha.sqlite'), 'alpha', (error) => told.push(error));
    store.createUsers([{ username: 'alice', passwordHash: 'x', currency: 'EUR', openingMinor: 100n }]);
    expect(() => store.write((books) => {
      const alice = books.account('customer', 'alice')!;
      const clearing = books.clearing('beta', 'EUR');
      books.move(idOf(1), alice, clearing, { debited: { ...alice.account, held: 101n }, credited: clearing.account });
    })).toThrow('below its floor');
    expect(told).toHaveLength(1);
    expect(() => advance(store, 'prepare', [payment(1, 'alpha/alice', 'beta/bob', 1n)])).toThrow('below its floor');
    expect(() => store.transfer(idOf(1))).toThrow('below its floor');
    // Not even what is in memory: it may show what never became durable.
    expect(() => store.account('customer', 'alice')).toThrow('below its floor');
    expect(told).toHaveLength(1);
    store.close();
    const again = openBank(directory.file('alpha.sqlite'), 'alpha');
    expect(again.account('customer', 'alice')?.held).toBe(0n);
    again.close();
    directory.remove();
  });
});

describe('a leg that is in the table behind the back of its bank', () => {
  it('ends the store rather than be written over', () => {
    const directory = temporaryDirectory();
    const file = directory.file('alpha.sqlite');
    const told: Error[] = [];
    const store = openBank(file, 'alpha', (error) => told.push(error));
    store.createUsers([{ username: 'alice', passwordHash: 'x', currency: 'EUR', openingMinor: 100n }]);
    const other = new DatabaseSync(file);
    // Greater than all that the bank knows, so that the bank does not look for it.
    other.prepare('INSERT INTO legs (id, state, attempt, fingerprint, prepared_at_ms) VALUES (?, 2, 7, ?, 1)').run(idToBlob(idOf(9)), hexToBlob(FINGERPRINT));
    expect(() => advance(store, 'prepare', [payment(9, 'alpha/alice', 'beta/bob', 1n)])).toThrow(`leg ${idOf(9)} is in the table, and was not written by this program`);
    expect(told).toHaveLength(1);
    expect(other.prepare('SELECT state, attempt FROM legs').all()).toEqual([{ state: 2, attempt: 7 }]);
    other.close();
    store.close();
    directory.remove();
  });
});

describe('the cache of accounts', () => {
  it('may be smaller than what is in doubt: what is held is neither forgotten nor counted twice', () => {
    const directory = temporaryDirectory();
    const file = directory.file('alpha.sqlite');
    const open = () => openLedgerStore({ file, bank: 'alpha', nowMs: () => 1, ledger: rules, onFatal: failLoudly, accountsCachedMax: 2 });
    let store = open();
    const names = ['ann', 'ben', 'cat', 'dan', 'eve'];
    store.createUsers(names.map((username) => ({ username, passwordHash: 'x', currency: 'EUR', openingMinor: 100n })));
    const pay = (name: string, index: number) => payment(index, `alpha/${name}`, 'beta/bob', 10n + BigInt(index));
    const balances = () => names.map((name) => {
      const account = store.account('customer', name)!;
      return [account.posted, account.held];
    });
    advance(store, 'prepare', names.map(pay));
    const held = names.map((_, index) => [100n, 10n + BigInt(index)]);
    expect([balances(), balances(), store.account('clearing', 'beta/EUR')?.incoming]).toEqual([held, held, 60n]);
    store.close();
    store = open();
    expect([balances(), store.account('clearing', 'beta/EUR')?.incoming]).toEqual([held, 60n]);
    advance(store, 'settle', names.slice(0, 3).map(pay));
    advance(store, 'release', [payment(3, 'alpha/dan', 'beta/bob', 13n)]);
    expect(balances()).toEqual([[90n, 0n], [89n, 0n], [88n, 0n], [100n, 0n], [100n, 14n]]);
    expect(store.account('clearing', 'beta/EUR')).toMatchObject({ posted: 33n, incoming: 14n });
    store.close();
    directory.remove();
  });
});

describe('the books of an older program', () => {
  it('are taken forward with what is in them, and can then keep sessions and tell timelines', () => {
    const directory = temporaryDirectory();
    const file = directory.file('alpha.sqlite');
    const schema1: StoreKind = { ...BANK_STORE, migrations: BANK_STORE.migrations.slice(0, 1) };
    const withSchema1 = () => openStoreFile({ file, kind: schema1, name: { required: 'alpha' }, onFatal: failLoudly }, (store) => {
      store.write(() => {
        store.prepare("INSERT INTO accounts VALUES (1, 0, 'alice', 'EUR', 100, 30, 0, 0, 0, NULL, NULL)").run();
        store.prepare("INSERT INTO accounts VALUES (2, 1, 'beta/EUR', 'EUR', -100, 0, 30, NULL, 0, NULL, NULL)").run();
        store.prepare("INSERT INTO users VALUES (1, 'alice', 'hash')").run();
        store.prepare('INSERT INTO logs VALUES (1, ?)').run(LOG);
        store.prepare(`
          INSERT INTO legs (id, state, attempt, log, fingerprint, side, account_id, payer, payee, peer, currency, amount, memo, deadline_ms, prepared_at_ms)
          VALUES (?, 0, 1, 1, ?, 0, 1, 'alice', 'bob', 'beta', 'EUR', 30, '', 9000, 1)`).run(idToBlob(idOf(7)), hexToBlob(FINGERPRINT));
      });
      store.close();
    });
    withSchema1();
    const store = openBank(file, 'alpha');
    expect(store.account('customer', 'alice')).toMatchObject({ posted: 100n, held: 30n, incoming: 0n });
    expect(store.account('clearing', 'beta/EUR')).toMatchObject({ id: 2, posted: -100n, held: 0n, incoming: 30n });
    expect([store.userHash('alice'), store.createUsers([{ username: 'carol', passwordHash: 'x', currency: 'EUR', openingMinor: 0n }])]).toEqual(['hash', ['carol']]);
    const session = { id: 's', account: 'alice', generation: 1, requestDigest: null, createdAtMs: 1, expiresAtMs: 2, endedAtMs: null };
    store.sessions.insert(session, 1);
    advance(store, 'prepare', [payment(1, 'alpha/alice', 'beta/bob', 1n)]);
    expect(store.attempts(idOf(1), 10)).toHaveLength(1);
    // A leg in doubt that the older program left stays where it is until it ends.
    expect(idsInDoubt(store)).toEqual([idOf(1), idOf(7)]);
    advance(store, 'settle', [payment(7, 'alpha/alice', 'beta/bob', 30n)]);
    expect([store.transfer(idOf(7)), store.account('customer', 'alice')]).toMatchObject([{ state: { kind: 'committed' } }, { posted: 70n, held: 1n }]);
    store.close();
    expect(withSchema1).toThrow('is at schema version 6, made by a newer program; expected version 1 or older');
    const again = openBank(file, 'alpha');
    expect(again.sessions.find('s')).toEqual(session);
    expect(idsInDoubt(again)).toEqual([idOf(1)]);
    again.close();
    directory.remove();
  });
});
