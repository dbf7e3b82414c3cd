// Values as text for people and as JSON for programs.

import { formatAmount, type Money } from '@strife/ledger';
import type { Balance, Entry, Transfer } from '@strife/sdk';
import type { Document } from './output.ts';

/** `12.50 EUR` */
export function moneyText(money: Money): string {
  return `${formatAmount(money)} ${money.currency}`;
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
  return { ...transfer, amount: moneyDocument(transfer.amount) };
}

export function balanceDocument({ account, posted, held, available }: Balance): Document {
  return { account, posted: moneyDocument(posted), held: moneyDocument(held), available: moneyDocument(available) };
}

export function entryDocument(entry: Entry): Document {
  return { ...entry, amount: moneyDocument(entry.amount), posted: moneyDocument(entry.posted) };
}
