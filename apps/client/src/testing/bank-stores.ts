// For tests: the stores of a stopped cluster of one gateway and two banks, with 30.00 EUR in them.

import { join } from 'node:path';
import { deposit, mayCredit, mayDebit } from '@strife/ledger';
import { openDecisionLog, openLedgerStore } from '@strife/storage';

/** In a folder that is there. */
export function makeStores(directory: string): void {
  const onFatal = (error: Error): never => {
    throw error;
  };
  for (const [bank, username, openingMinor] of [['alpha', 'alice', 1_000n], ['beta', 'bob', 2_000n]] as const) {
    const file = join(directory, `bank-${bank}.sqlite`);
    const store = openLedgerStore({ file, bank, nowMs: Date.now, ledger: { mayDebit, mayCredit, deposit }, onFatal });
    store.createUsers([{ username, passwordHash: '-', currency: 'EUR', openingMinor }]);
    store.close();
  }
  openDecisionLog({ file: join(directory, 'gateway-g1.sqlite'), nowMs: Date.now, mayReplace: () => true, onFatal }).close();
}
