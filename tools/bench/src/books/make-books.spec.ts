import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { auditStores, openLedgerStore } from '@strife/storage';
import { bookFiles, makeBooks, OPENING_MINOR } from './make-books.ts';

describe('books made by SQL', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bench-books-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  function audit(): ReturnType<typeof auditStores> {
    const { banks, gateway } = bookFiles(directory);
    return auditStores({ banks: Object.values(banks), gateways: [gateway] });
  }

  it('are what the audit expects of accounts with deposits', () => {
    makeBooks(directory, { accounts: 37, pastPayments: 0 }, 'hash');
    const report = audit();
    expect(report.violations).toEqual([]);
    expect(report.banks.map(({ accounts, entries }) => [accounts, entries])).toEqual([[38, 74], [38, 74]]);
  });

  it.each([1, 36, 37, 38, 111, 250])('are what the audit expects after %d payments of 37 customers', (pastPayments) => {
    makeBooks(directory, { accounts: 37, pastPayments }, 'hash');
    const report = audit();
    expect(report.violations).toEqual([]);
    expect(report.transfersChecked).toBe(pastPayments);
    const total = (minor: number): object => ({ EUR: String(minor) });
    expect(report.banks.map(({ totals }) => totals)).toEqual([total(37 * OPENING_MINOR - pastPayments), total(37 * OPENING_MINOR + pastPayments)]);
  });

  it('hold histories that a bank can walk, newest first', () => {
    makeBooks(directory, { accounts: 5, pastPayments: 23 }, 'hash');
    const never = (): never => {
      throw new Error('no deposit is made');
    };
    const store = openLedgerStore({
      file: bookFiles(directory).banks['alpha']!, bank: 'alpha', nowMs: Date.now, onFatal: never, ledger: { mayDebit: never, mayCredit: never, deposit: never },
    });
    try {
      const entries = store.listEntries('u3', 100).items;
      expect(entries.map(({ amount }) => amount.minorUnits)).toEqual([-1n, -1n, -1n, -1n, -1n, BigInt(OPENING_MINOR)]);
      const payments = store.listTransfers('u3', 100).items;
      expect(payments.map(({ terms }) => terms?.body.to)).toEqual(new Array(5).fill({ bank: 'beta', account: 'u3' }));
      expect(entries.slice(0, 5).map(({ transferId }) => transferId)).toEqual(payments.map(({ id }) => id));
      expect(store.userHash('u5')).toBe('hash');
    } finally {
      store.close();
    }
  });
});
