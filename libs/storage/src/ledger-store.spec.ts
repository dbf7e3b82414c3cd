import { describe, expect, it } from '@jest/globals';
import { ledgerStoreContract } from './contract/ledger-store-contract.ts';
import { openLedgerStore } from './ledger-store.ts';
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
