// Amounts as people type them, in any country's way of writing, as long as it can be read in one way only.

import { AMOUNT_TEXT_MAX, currencyDigits, MoneyError, parseAmount, type Money } from '@strife/ledger';
import { UsageError } from './failure.ts';

const SEPARATORS = /[.,'\u2019 \u00a0\u202f]/g;

/**
 * `12.50` in a currency; also `12,50`, `1,000.00`, `1.000,00`, `1 000,00` and `1'000.00`. What could be read in two ways, such as `1,000`
 * in EUR, is refused.
 *
 * @throws UsageError naming `amount` or `currency`
 */
export function readAmount(text: string, currency: string): Money {
  try {
    const code = currency.trim().toUpperCase();
    const amount = parseAmount(plainText(text.trim(), currencyDigits(code), code), code);
    if (amount.minorUnits > 0n) return amount;
  } catch (error) {
    if (!(error instanceof MoneyError)) throw error;
    throw new UsageError(`${error.field}: ${error.message}`, { field: error.field, cause: error });
  }
  throw new UsageError('amount: the amount must be above zero', { field: 'amount' });
}

/** The amount without grouping and with a point. What is no such amount is returned as it is, for `parseAmount` to say what is wrong. */
function plainText(text: string, digits: number, currency: string): string {
  if (text.length > AMOUNT_TEXT_MAX) return text;
  const separators = text.match(SEPARATORS) ?? [];
  const last = separators.at(-1);
  if (last === undefined || (last === '.' && separators.length === 1 && !isGroup(text, '.', digits))) return text;
  const readings = new Set([asDecimals(text, last, digits), asGroups(text, last)].filter((reading) => reading !== undefined));
  if (readings.size > 1) throw ambiguous(text, [...readings], currency, digits);
  return [...readings][0] ?? text;
}

/** A point with three digits behind it, where the currency has another number of digits, may be meant as grouping. */
function isGroup(text: string, separator: string, digits: number): boolean {
  return digits !== 3 && new RegExp(`^[1-9]\\d{0,2}\\${separator}\\d{3}$`).test(text);
}

/** The last separator as the decimal one, and those before it as grouping. */
function asDecimals(text: string, last: string, digits: number): string | undefined {
  const at = text.lastIndexOf(last);
  const fraction = text.slice(at + 1);
  if (!'.,'.includes(last) || !/^\d+$/.test(fraction) || digits === 0) return undefined;
  const whole = asGroups(text.slice(0, at)) ?? text.slice(0, at);
  if (!/^\d+$/.test(whole) || text.slice(0, at).includes(last)) return undefined;
  return `${whole}.${fraction}`;
}

/** All separators as grouping: one kind of them, with three digits behind each. */
function asGroups(text: string, separator: string | undefined = text.match(SEPARATORS)?.[0]): string | undefined {
  if (separator === undefined || !new RegExp(`^[1-9]\\d{0,2}(?:\\${separator}\\d{3})+$`).test(text)) return undefined;
  return text.replaceAll(separator, '');
}

function ambiguous(text: string, readings: readonly string[], currency: string, digits: number): UsageError {
  const [one, other] = readings;
  return new UsageError(`amount: "${text}" can be read as ${one} and as ${other} ${currency}`, {
    field: 'amount',
    hint: `Write it without grouping and with a point for decimals; ${currency} has ${digits} digits after it.`,
  });
}
