// Invariant 2: two banks' clearing accounts towards each other are opposite, but for transfers that one of them has yet to settle.

import type { Finding } from './audit-report.ts';
import type { Books } from './bank-books.ts';
import { isSettled, peerOf, type AuditScope, type TransferView } from './transfer-rules.ts';

/** By how much a transfer that is settled at one bank only sets two clearing accounts apart. */
export interface HalfSettled {
  /** Names the two banks and the currency. */
  readonly pair: string;
  readonly minor: bigint;
}

/** Undefined when the transfer is settled at both of its banks or at neither, or one of them is not audited. */
export function halfSettled({ legs }: TransferView, { banks }: AuditScope): HalfSettled | undefined {
  const settled = [...legs].filter(([, leg]) => isSettled(leg) && banks.has(peerOf(leg.terms) ?? ''));
  const [only, second] = settled;
  if (only === undefined || second !== undefined || !isSettled(only[1])) return undefined;
  const [bank, { terms }] = only;
  const { currency, amountMinor } = terms.body;
  return { pair: pairOf(bank, peerOf(terms)!, currency), minor: terms.side === 'debit' ? amountMinor : -amountMinor };
}

/** @param apart what transfers in doubt, and only they, explain, by pair */
export function checkClearing(books: readonly Books[], apart: ReadonlyMap<string, bigint>): Finding[] {
  const sums = new Map<string, { sum: bigint; ids: string[] }>();
  const banks = new Set(books.map(({ bank }) => bank));
  for (const { bank, clearing } of books) {
    for (const [name, { currency, posted, label }] of clearing) {
      const peer = peerOfClearing(name);
      if (!banks.has(peer)) continue;
      const pair = pairOf(bank, peer, currency);
      const entry = sums.get(pair) ?? { sum: 0n, ids: [] };
      entry.sum += posted;
      entry.ids.push(label);
      sums.set(pair, entry);
    }
  }
  return [...sums].flatMap(([pair, { sum, ids }]) => {
    const off = sum - (apart.get(pair) ?? 0n);
    if (off === 0n) return [];
    return ids.map((id): Finding => ({ invariant: 2, message: `the clearing accounts of ${pair} are not opposite: they are ${off} apart`, id }));
  });
}

/** Banks that the books have clearing accounts towards, and that are not audited. */
export function peersNotAudited(books: readonly Books[], { banks }: AuditScope): string[] {
  const names = books.flatMap(({ clearing }) => [...clearing.keys()]);
  return [...new Set(names.map(peerOfClearing))].filter((peer) => !banks.has(peer)).sort();
}

/** `beta/EUR` is the account towards beta. */
function peerOfClearing(name: string): string {
  return name.slice(0, name.lastIndexOf('/'));
}

function pairOf(one: string, other: string, currency: string): string {
  return one < other ? `${one} and ${other} in ${currency}` : `${other} and ${one} in ${currency}`;
}
