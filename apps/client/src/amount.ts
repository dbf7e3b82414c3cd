// Amounts as people type them.

import { MoneyError, parseAmount, type Money } from '@strife/ledger';
import { UsageError } from './failure.ts';

/** `12.50` in a currency. Throws UsageError naming `amount` or `currency`. */
export function readAmount(text: string, currency: string): Money {
  try {
    const amount = parseAmount(text.trim(), currency.trim().toUpperCase());
    if (amount.minorUnits > 0n) return amount;
  } catch (error) {
    if (!(error instanceof MoneyError)) throw error;
    throw new UsageError(`${error.field}: ${error.message}`, { field: error.field, cause: error });
  }
  throw new UsageError('amount: the amount must be above zero', { field: 'amount' });
}
