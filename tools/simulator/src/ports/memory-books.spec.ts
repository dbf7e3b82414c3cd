import { deposit, mayCredit, mayDebit } from '@strife/ledger';
import { ledgerStoreContract } from '@strife/storage/testing';
import type { LedgerStore } from '@strife/storage';
import { describe, expect, it } from '@jest/globals';
import { createBooksDisk, openMemoryBooks } from './memory-books.ts';
import { DiskFailure, soundSync } from './sync.ts';

const ledger = { deposit, mayCredit, mayDebit };

ledgerStoreContract(() => {
  const disk = createBooksDisk('alpha');
  return {
    // Pages of history and sessions are not simulated, and not tried here.
    open: (nowMs) => openMemoryBooks({ disk, nowMs, ledger, sync: soundSync }) as LedgerStore,
    dispose: () => undefined,
  };
}, 'books');

describe('the simulated books', () => {
  it('keep nothing of a batch whose sync failed before it', () => {
    const disk = createBooksDisk('alpha');
    openMemoryBooks({ disk, nowMs: () => 0, ledger, sync: soundSync }).createUsers([{ username: 'ann', passwordHash: '', currency: 'EUR', openingMinor: 5n }]);
    const books = openMemoryBooks({
      disk, nowMs: () => 0, ledger,
      sync() {
        throw new DiskFailure('told to');
      },
    });
    const ann = books.account('customer', 'ann')!;
    expect(() => books.writeBatch({ legs: [], accounts: [{ ...ann, held: 5n }], entries: [] })).toThrow(DiskFailure);
    expect(books.account('customer', 'ann')).toEqual(ann);
  });
});
