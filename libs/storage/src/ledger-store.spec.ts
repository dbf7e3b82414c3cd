import { describe, expect, it } from '@jest/globals';
import { ledgerStoreContract } from './contract/ledger-store-contract.ts';
import { BANK_STORE } from './ledger-schema.ts';
import { openLedgerStore } from './ledger-store.ts';
import { openStoreFile, type StoreKind } from './store-file.ts';
import { advance, idOf, openBank, payment, rules } from './testing/bank-kit.ts';
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
  it('end the store when a batch breaks a floor, before anything of it is durable', () => {
    const directory = temporaryDirectory();
    const told: Error[] = [];
    const store = openBank(directory.file('alpha.sqlite'), 'alpha', (error) => told.push(error));
    store.createUsers([{ username: 'alice', passwordHash: 'x', currency: 'EUR', openingMinor: 100n }]);
    const alice = store.account('customer', 'alice')!;
    expect(() => store.writeBatch({ legs: [], accounts: [{ ...alice, held: 101n }], entries: [] })).toThrow('CHECK constraint failed');
    expect(told).toHaveLength(1);
    expect(() => advance(store, 'prepare', [payment(1, 'alpha/alice', 'beta/bob', 1n)])).toThrow('CHECK constraint failed');
    expect(() => store.transfer(idOf(1))).toThrow('CHECK constraint failed');
    // Not even what is in memory: it may show what never became durable.
    expect(() => store.account('customer', 'alice')).toThrow('CHECK constraint failed');
    expect(told).toHaveLength(1);
    store.close();
    const again = openBank(directory.file('alpha.sqlite'), 'alpha');
    expect(again.account('customer', 'alice')?.held).toBe(0n);
    again.close();
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
        store.prepare("INSERT INTO accounts VALUES (1, 0, 'alice', 'EUR', 100, 0, 0, 0, 0, NULL, NULL)").run();
        store.prepare("INSERT INTO users VALUES (1, 'alice', 'hash')").run();
      });
      store.close();
    });
    withSchema1();
    const store = openBank(file, 'alpha');
    expect([store.account('customer', 'alice')?.posted, store.userHash('alice')]).toEqual([100n, 'hash']);
    const session = { id: 's', account: 'alice', generation: 1, requestDigest: null, createdAtMs: 1, expiresAtMs: 2, endedAtMs: null };
    store.sessions.insert(session, 1);
    advance(store, 'prepare', [payment(1, 'alpha/alice', 'beta/bob', 1n)]);
    expect(store.attempts(idOf(1), 10)).toHaveLength(1);
    store.close();
    expect(withSchema1).toThrow('is at schema version 3, made by a newer program; expected version 1 or older');
    const again = openBank(file, 'alpha');
    expect(again.sessions.find('s')).toEqual(session);
    again.close();
    directory.remove();
  });
});
