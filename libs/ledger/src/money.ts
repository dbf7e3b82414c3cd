// Money as integer minor units with a currency, and the texts that people write for it.

import { CURRENCY_DIGITS } from './currencies.ts';

/** An amount in the smallest unit of its currency: 1250 is 12.50 EUR, 1250 JPY and 1.250 KWD. */
export interface Money {
  /** ISO 4217 alphabetic code, upper case. */
  readonly currency: string;
  readonly minorUnits: bigint;
}

/** The largest amount of one transfer, in minor units. */
export const AMOUNT_MINOR_MAX = 10n ** 15n;

/** The farthest that any balance may be from zero, in minor units; with room to spare in 64 bits. */
export const BALANCE_MINOR_MAX = 9n * 10n ** 18n;

/** The longest text that is read as an amount. */
export const AMOUNT_TEXT_MAX = 32;

export type MoneyErrorCode =
  | 'unknown_currency'
  | 'empty'
  /** A thousands separator, or a decimal comma. */
  | 'grouping'
  | 'sign'
  | 'not_a_number'
  /** More digits after the point than the currency has. */
  | 'too_precise'
  | 'not_positive'
  | 'too_large';

/** What is wrong with an amount or a currency; the message is for the person who wrote it. */
export class MoneyError extends Error {
  override readonly name = 'MoneyError';
  readonly code: MoneyErrorCode;
  readonly field: 'amount' | 'currency';

  constructor(code: MoneyErrorCode, message: string) {
    super(message);
    this.code = code;
    this.field = code === 'unknown_currency' ? 'currency' : 'amount';
  }
}

/** Whether `code` is an ISO 4217 currency with a minor unit; upper case only. */
export function isCurrency(code: string): boolean {
  return CURRENCY_DIGITS.has(code);
}

/** Digits after the point: 2 for EUR, 0 for JPY. Throws MoneyError for an unknown code. */
export function currencyDigits(code: string): number {
  const digits = CURRENCY_DIGITS.get(code);
  if (digits === undefined) throw new MoneyError('unknown_currency', `${quote(code)} is not an ISO 4217 currency code such as EUR`);
  return digits;
}

/** Makes money of any sign, zero included. Throws MoneyError for an unknown currency, or past BALANCE_MINOR_MAX. */
export function money(currency: string, minorUnits: bigint): Money {
  currencyDigits(currency);
  if (minorUnits > BALANCE_MINOR_MAX || minorUnits < -BALANCE_MINOR_MAX) {
    throw new MoneyError('too_large', 'the amount is larger than any balance can be');
  }
  return { currency, minorUnits };
}

/** Throws MoneyError unless a transfer may move this much: 1 to AMOUNT_MINOR_MAX of a known currency. */
export function checkTransferAmount(amount: Money): void {
  currencyDigits(amount.currency);
  if (amount.minorUnits <= 0n) throw new MoneyError('not_positive', 'the amount must be more than zero');
  if (amount.minorUnits > AMOUNT_MINOR_MAX) throw tooLarge(amount.currency);
}

/**
 * Reads an amount as people type it: `12.50`, `12`, `0.5`; zero is an amount too. Plain ASCII digits and one point: no sign, no grouping,
 * no exponent, at most as many digits after the point as the currency has. Throws MoneyError.
 */
export function parseAmount(text: string, currency: string): Money {
  const digits = currencyDigits(currency);
  if (text === '') throw new MoneyError('empty', 'the amount is empty');
  if (text.length > AMOUNT_TEXT_MAX) throw new MoneyError('too_large', `the amount is longer than ${AMOUNT_TEXT_MAX} characters`);
  const [, whole, fraction = ''] = /^([0-9]+)(?:\.([0-9]+))?$/.exec(text) ?? [];
  if (whole === undefined) throw notAnAmount(text, digits);
  if (fraction.length > digits) {
    const limit = digits === 0 ? 'has no digits after the point' : `has at most ${digits} digits after the point`;
    throw new MoneyError('too_precise', `${currency} ${limit}`);
  }
  const minorUnits = BigInt(whole + fraction.padEnd(digits, '0'));
  if (minorUnits > AMOUNT_MINOR_MAX) throw tooLarge(currency);
  return { currency, minorUnits };
}

/** Writes the amount plainly, with all digits of its currency and without its code: `12.50`, `-3.00`, `1250` for JPY. */
export function formatAmount({ currency, minorUnits }: Money): string {
  const digits = currencyDigits(currency);
  const sign = minorUnits < 0n ? '-' : '';
  const text = (minorUnits < 0n ? -minorUnits : minorUnits).toString().padStart(digits + 1, '0');
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

function notAnAmount(text: string, digits: number): MoneyError {
  const example = (whole: string) => (digits === 0 ? whole : `${whole}.${'0'.repeat(digits)}`);
  if (/^[+\-\u2212]/.test(text)) return new MoneyError('sign', 'the amount must have no sign');
  if (/^[0-9]+(?:[.,'\u2019_\s][0-9]+)+$/.test(text)) {
    return new MoneyError('grouping', `write ${quote(text)} without grouping and with a point for decimals, such as ${example('1000')}`);
  }
  return new MoneyError('not_a_number', `${quote(text)} is not an amount such as ${example('12')}`);
}

function tooLarge(currency: string): MoneyError {
  return new MoneyError('too_large', `the amount is more than ${formatAmount({ currency, minorUnits: AMOUNT_MINOR_MAX })} ${currency}`);
}

/** People's text inside a message: printable, and short. */
function quote(text: string): string {
  const shown = text.slice(0, AMOUNT_TEXT_MAX).replace(/[\p{C}\p{Z}]/gu, ' ');
  return `"${shown}${text.length > AMOUNT_TEXT_MAX ? '…' : ''}"`;
}
