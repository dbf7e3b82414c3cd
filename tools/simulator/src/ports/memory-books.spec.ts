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
    open: (nowMs) => openMemoryBooks({ disk, nowMs, ledger, sync: soundSync }) as unknown as LedgerStore,
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
    expect(() => books.write((open) => {
      const [from, to] = [open.account('customer', 'ann')!, open.clearing('beta', 'EUR')];
      open.move('', from, to, { debited: { ...from.account, held: 5n }, credited: to.account });
    })).toThrow(DiskFailure);
    expect([books.account('customer', 'ann'), books.account('clearing', 'beta/EUR')]).toEqual([ann, undefined]);
  });
});
