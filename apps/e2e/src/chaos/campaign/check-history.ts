// Holds what the clients did and heard against what the banks have at the end.

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { JournalEvent, ReadEntry } from './journal.ts';

export interface HistoryCounts {
  readonly acknowledged: number;
  readonly declined: number;
  /** Answers that were not certain, each followed by another send. */
  readonly unknown: number;
  readonly reads: number;
}

export interface CheckedHistory {
  readonly counts: HistoryCounts;
  /** Each in one line; none when all is well. */
  readonly problems: readonly string[];
}

const PROBLEMS_MAX = 20;
const COMMITTED = 1n;
/** As accounts.kind has it for customers. */
const CUSTOMER = 0n;

interface Books {
  readonly bank: string;
  /** State, by transfer. */
  readonly legs: ReadonlyMap<string, bigint>;
  /** The customers' entries of each transfer: account and amount. */
  readonly moved: ReadonlyMap<string, readonly { readonly account: string; readonly amount: bigint }[]>;
  /** By account, oldest first. */
  readonly chains: ReadonlyMap<string, readonly ReadEntry[]>;
  /** Of all accounts, in the order in which they were written. */
  readonly line: readonly { readonly seq: bigint; readonly account: string; readonly amount: bigint }[];
}

/** @param journals the events of each client, in the order in which they happened */
export function checkHistory(journals: readonly (readonly JournalEvent[])[], banks: readonly string[], dataDirectory: string): CheckedHistory {
  const books = new Map(banks.map((bank) => [bank, readBooks(bank, join(dataDirectory, `bank-${bank}.sqlite`))]));
  const problems: string[] = [];
  const report = (problem: string): void => void (problems.length < PROBLEMS_MAX && problems.push(problem));
  const counts = { acknowledged: 0, declined: 0, unknown: 0, reads: 0 };
  const sent = new Set<string>();
  for (const events of journals) {
    const told = new Map<string, JournalEvent['op']>();
    for (const event of events) {
      if (event.op === 'unknown') counts.unknown += 1;
      if (event.op === 'ok' || event.op === 'declined' || event.op === 'failed') told.set(event.id, event.op);
    }
    for (const event of events) {
      if (event.op !== 'send') continue;
      sent.add(event.id);
      const outcome = told.get(event.id);
      if (outcome === 'ok') counts.acknowledged += 1;
      if (outcome === 'declined') counts.declined += 1;
      checkPayment(event, outcome, books, report);
    }
    counts.reads += checkReads(events, books, report);
  }
  for (const { bank, legs } of books.values()) {
    for (const id of legs.keys()) if (!sent.has(id)) report(`bank ${bank} has transfer ${id}, which nobody sent`);
  }
  for (const { chains } of books.values()) for (const [account, chain] of chains) checkChain(account, chain, report);
  for (const book of books.values()) checkLooks(journals.flat(), book, report);
  return { counts, problems };
}

/** `alpha/p1`, or `alpha/internal/beta/EUR` for one of the bank's own. @param kind as accounts.kind has it */
export function accountLabel(bank: string, kind: bigint, name: string): string {
  return kind === CUSTOMER ? `${bank}/${name}` : `${bank}/internal/${name}`;
}

/** An acknowledged payment is at both banks exactly once, with its amount; one that was declined is at none. */
function checkPayment(
  { id, from, to, minor }: Extract<JournalEvent, { op: 'send' }>,
  outcome: JournalEvent['op'] | undefined,
  books: ReadonlyMap<string, Books>,
  report: (problem: string) => void,
): void {
  if (outcome === undefined) return report(`payment ${id} never got a certain answer`);
  for (const [account, sign] of [[from, -1n], [to, 1n]] as const) {
    const book = books.get(account.split('/')[0]!)!;
    const moves = (book.moved.get(id) ?? []).filter((move) => move.account === account).map(({ amount }) => amount);
    const isCommitted = book.legs.get(id) === COMMITTED;
    const expected = outcome === 'ok' ? [sign * BigInt(minor)] : [];
    if (isCommitted !== (outcome === 'ok')) report(`payment ${id} was told ${outcome}; at ${book.bank} it is ${isCommitted ? '' : 'not '}committed`);
    if (moves.join() !== expected.join()) report(`payment ${id} was told ${outcome}; ${account} has entries [${moves.join()}], not [${expected.join()}]`);
  }
}

/** Each entry's balance follows from the one before. */
function checkChain(account: string, chain: readonly ReadEntry[], report: (problem: string) => void): void {
  let posted = 0n;
  for (const entry of chain) {
    posted += BigInt(entry.amount);
    if (posted !== BigInt(entry.posted)) return report(`${account}: the balance after ${entry.id} is ${entry.posted}, and its entries say ${posted}`);
  }
}

/**
 * An account's history is one line: every read shows a state that it has really had, and no read shows an earlier one than a read that was
 * over before it began. Of the states that a balance fits, the earliest possible is taken, which leaves later reads the most room.
 */
function checkReads(events: readonly JournalEvent[], books: ReadonlyMap<string, Books>, report: (problem: string) => void): number {
  let reads = 0;
  /** Entries that are known to be there when the next read begins. */
  let known = 0;
  for (const event of events) {
    if (event.op !== 'balance' && event.op !== 'entries') continue;
    reads += 1;
    const chain = books.get(event.account.split('/')[0]!)!.chains.get(event.account) ?? [];
    const fits = event.op === 'balance' ? balanceAt(chain, event.posted) : pageAt(chain, event.entries);
    let at = known;
    while (at <= chain.length && !fits(at)) at += 1;
    if (at > chain.length) report(`${event.account}: a read shows ${describe(event)}, which the account never was after its first ${known} entries`);
    else known = at;
  }
  return reads;
}

/**
 * A bank's history is one line: what all its accounts had when they were looked at together is what its entries up to then say, and no look
 * shows fewer entries than the one before.
 */
function checkLooks(events: readonly JournalEvent[], { bank, line }: Books, report: (problem: string) => void): void {
  const had = new Map<string, bigint>();
  let known = 0n;
  let next = 0;
  for (const event of events) {
    if (event.op !== 'balances' || event.bank !== bank) continue;
    const entries = BigInt(event.entries);
    if (entries < known) report(`${bank} at ${event.at}: a look shows ${entries} entries, after ${known}`);
    known = entries;
    for (let entry = line[next]; entry !== undefined && entry.seq <= entries; entry = line[next += 1]) {
      had.set(entry.account, (had.get(entry.account) ?? 0n) + entry.amount);
    }
    for (const account of new Set([...had.keys(), ...Object.keys(event.balances)])) {
      const seen = event.balances[account] ?? '0';
      if (BigInt(seen) !== (had.get(account) ?? 0n)) report(`${account} at ${event.at}: a look shows ${seen}, and its entries up to then say ${had.get(account) ?? 0n}`);
    }
  }
}

function balanceAt(chain: readonly ReadEntry[], posted: string): (entries: number) => boolean {
  return (entries) => (chain[entries - 1]?.posted ?? '0') === posted;
}

function pageAt(chain: readonly ReadEntry[], page: readonly ReadEntry[]): (entries: number) => boolean {
  return (entries) => page.length <= entries && page.every((entry, index) => isSame(entry, chain[entries - 1 - index]!));
}

function isSame(one: ReadEntry, other: ReadEntry): boolean {
  return one.id === other.id && one.amount === other.amount && one.posted === other.posted;
}

function describe(event: Extract<JournalEvent, { op: 'balance' | 'entries' }>): string {
  return event.op === 'balance' ? `balance ${event.posted}` : `entries from ${event.entries[0]?.id} on`;
}

function readBooks(bank: string, file: string): Books {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    const rows = (sql: string) => {
      const statement = database.prepare(sql);
      statement.setReadBigInts(true);
      return statement.iterate();
    };
    const legs = new Map<string, bigint>();
    for (const { id, state } of rows('SELECT id, state FROM all_legs')) legs.set(idOf(id as Uint8Array), state as bigint);
    const moved = new Map<string, { account: string; amount: bigint }[]>();
    const chains = new Map<string, ReadEntry[]>();
    const line: { seq: bigint; account: string; amount: bigint }[] = [];
    const entries = `SELECT e.seq, e.transfer_id AS transfer, e.amount, e.posted, a.name, a.kind FROM entries e JOIN accounts a ON a.id = e.account_id ORDER BY e.seq`;
    for (const { seq, transfer, amount, posted, name, kind } of rows(entries)) {
      const id = transfer === null ? null : idOf(transfer as Uint8Array);
      const account = accountLabel(bank, kind as bigint, String(name));
      line.push({ seq: seq as bigint, account, amount: amount as bigint });
      push(chains, account, { id, amount: String(amount), posted: String(posted) });
      if (id !== null && kind === CUSTOMER) push(moved, id, { account, amount: amount as bigint });
    }
    return { bank, legs, moved, chains, line };
  } finally {
    database.close();
  }
}

function push<Item>(lists: Map<string, Item[]>, key: string, item: Item): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

function idOf(blob: Uint8Array): string {
  return Buffer.from(blob).toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
