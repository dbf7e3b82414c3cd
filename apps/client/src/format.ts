// Values as text for people and as JSON for programs.

import { formatAmount, type Money } from '@strife/ledger';
import type { Balance, Entry, Transfer } from '@strife/sdk';
import type { Document } from './output.ts';

/** `1234.50 EUR`; in a person's locale, by LC_ALL, LC_MONETARY or LANG, as it is written there: `1.234,50 EUR`. */
export function moneyText(money: Money): string {
  const plain = formatAmount(money);
  const digits = plain.split('.')[1]?.length ?? 0;
  numberFormats ??= new Map();
  let format = numberFormats.get(digits);
  if (!format) numberFormats.set(digits, (format = numberFormat(digits)));
  return `${format(plain)} ${money.currency}`;
}

let numberFormats: Map<number, (plain: string) => string> | undefined;

function numberFormat(digits: number): (plain: string) => string {
  const { LC_ALL, LC_MONETARY, LANG } = process.env;
  const [name = ''] = (LC_ALL || LC_MONETARY || LANG || '').split(/[.@]/);
  if (name === '' || name === 'C' || name === 'POSIX') return (plain) => plain;
  try {
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, numberingSystem: 'latn' };
    const format = new Intl.NumberFormat(name.replaceAll('_', '-'), options);
    // Text keeps every digit; a number would not.
    return (plain) => format.format(plain as `${number}`);
  } catch {
    return (plain) => plain;
  }
}

/** As `moneyText`, with a plus where money came in: `+12.50 EUR`. */
export function signedMoneyText(money: Money): string {
  return money.minorUnits > 0n ? `+${moneyText(money)}` : moneyText(money);
}

/** `2026-11-23 09:05:07`, in the local time zone. */
export function timeText(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

/** Other people's text, such as a memo, made harmless for a terminal: control and formatting characters are replaced. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{FFFD}');
}

export function moneyDocument({ currency, minorUnits }: Money): Document {
  return { currency, amount: formatAmount({ currency, minorUnits }), minorUnits };
}

export function transferDocument(transfer: Transfer): Document {
  const { id, from, to, amount, memo, state, declineReason, replayed, createdAt, decidedAt } = transfer;
  return { id, from, to, amount: moneyDocument(amount), memo, state, declineReason, replayed, createdAt, decidedAt };
}

export function balanceDocument({ account, posted, held, available }: Balance): Document {
  return { account, posted: moneyDocument(posted), held: moneyDocument(held), available: moneyDocument(available) };
}

export function entryDocument(entry: Entry): Document {
  const { transferId, counterparty, amount, posted, memo, settledAt } = entry;
  return { transferId, counterparty, amount: moneyDocument(amount), posted: moneyDocument(posted), memo, settledAt };
}
