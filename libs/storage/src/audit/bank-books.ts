// One bank's books, read by themselves: invariants 1 and 5 for accounts, entries and deposits.

import type { Account } from '@strife/ledger';
import { ACCOUNT_KINDS } from '../account-table.ts';
import type { Finding } from './audit-report.ts';
import type { Snapshot } from './snapshot.ts';

/** An account while its books are proved. There is one for every account of the bank: memory grows with accounts, not with transfers. */
export interface BookAccount {
  readonly id: number;
  readonly kind: Account['kind'];
  readonly name: string;
  readonly currency: string;
  readonly posted: bigint;
  readonly held: bigint;
  readonly incoming: bigint;
  readonly floor: bigint | null;
  readonly lastEntry: bigint | null;
  /** For people: `alpha/alice`, `alpha/clearing/beta/EUR`. */
  readonly label: string;
  /** What prepared legs hold and expect, filled while the legs are read. */
  expectedHeld: bigint;
  expectedIncoming: bigint;
}

export interface Books {
  readonly bank: string;
  readonly snapshot: Snapshot;
  readonly accounts: ReadonlyMap<number, BookAccount>;
  readonly byName: ReadonlyMap<string, BookAccount>;
  readonly entries: number;
  readonly totals: Readonly<Record<string, string>>;
}

type Report = (finding: Finding) => void;

/** Reads all accounts and proves what does not need the legs. */
export function proveBooks(snapshot: Snapshot, report: Report): Books {
  const bank = snapshot.name;
  const accounts = readAccounts(snapshot);
  const entries = proveChains(snapshot, accounts, report);
  proveDeposits(snapshot, accounts, report);
  const totals = proveTotals(bank, accounts, report);
  for (const account of accounts.values()) {
    if (account.floor !== null && account.posted - account.held < account.floor) {
      report({ invariant: 5, message: `available is below the floor at ${bank}`, id: account.label });
    }
  }
  const byName = new Map([...accounts.values()].map((account) => [`${account.kind} ${account.name}`, account]));
  return { bank, snapshot, accounts, byName, entries, totals };
}

/** Once all legs were read: what is held is what they hold. */
export function proveHolds({ bank, accounts }: Books, report: Report): void {
  for (const { held, incoming, expectedHeld, expectedIncoming, label } of accounts.values()) {
    if (held !== expectedHeld) report({ invariant: 5, message: `held is not the sum of the prepared legs that take at ${bank}`, id: label });
    if (incoming !== expectedIncoming) {
      report({ invariant: 5, message: `incoming is not the sum of the prepared legs that give at ${bank}`, id: label });
    }
  }
}

const KIND_NAMES = new Map(Object.entries(ACCOUNT_KINDS).map(([kind, number]) => [BigInt(number), kind as Account['kind']]));

function readAccounts(snapshot: Snapshot): Map<number, BookAccount> {
  const accounts = new Map<number, BookAccount>();
  for (const row of snapshot.rows('SELECT id, kind, name, currency, posted, held, incoming, floor, last_entry FROM accounts')) {
    const [id, kindNumber, name, currency, posted, held, incoming, floor, lastEntry] = row as [
      bigint, bigint, string, string, bigint, bigint, bigint, bigint | null, bigint | null,
    ];
    const kind = KIND_NAMES.get(kindNumber) ?? 'customer';
    const label = kind === 'customer' ? `${snapshot.name}/${name}` : `${snapshot.name}/${kind}/${name}`;
    accounts.set(Number(id), {
      id: Number(id), kind, name, currency, posted, held, incoming, floor, lastEntry, label, expectedHeld: 0n, expectedIncoming: 0n,
    });
  }
  return accounts;
}

/** Replays all entries in the order in which they were written, and counts them. */
function proveChains(snapshot: Snapshot, accounts: ReadonlyMap<number, BookAccount>, report: Report): number {
  const bank = snapshot.name;
  const heads = new Map<number, { seq: bigint; posted: bigint }>();
  let count = 0;
  for (const row of snapshot.rows('SELECT seq, account_id, amount, posted, previous FROM entries ORDER BY seq')) {
    const [seq, accountId, amount, posted, previous] = row as [bigint, bigint, bigint, bigint, bigint | null];
    const id = Number(accountId);
    const label = accounts.get(id)?.label;
    const head = heads.get(id);
    count += 1;
    if (label === undefined) {
      report({ invariant: 1, message: `entries of an account that does not exist at ${bank}`, id: `${bank}/#${id}` });
      continue;
    }
    if (previous !== (head?.seq ?? null)) report({ invariant: 1, message: `the chain of entries is broken at ${bank}`, id: label });
    if (posted !== (head?.posted ?? 0n) + amount) {
      report({ invariant: 1, message: `an entry's balance is not the one before plus its amount at ${bank}`, id: label });
    }
    if (head === undefined) heads.set(id, { seq, posted });
    else Object.assign(head, { seq, posted });
  }
  for (const { id, posted, lastEntry, label } of accounts.values()) {
    const head = heads.get(id);
    if (posted !== (head?.posted ?? 0n)) report({ invariant: 1, message: `an account's balance is not the sum of its entries at ${bank}`, id: label });
    if (lastEntry !== (head?.seq ?? null)) report({ invariant: 1, message: `an account does not point at its last entry at ${bank}`, id: label });
  }
  return count;
}

/** Every deposit has two entries that sum to zero, from equity to its account, and no other entry is without a transfer. */
function proveDeposits(snapshot: Snapshot, accounts: ReadonlyMap<number, BookAccount>, report: Report): void {
  const bank = snapshot.name;
  let deposits = 0n;
  const rows = snapshot.rows(`
    SELECT d.account_id, d.amount, one.account_id, one.amount, two.account_id, two.amount
    FROM deposits d
    LEFT JOIN entries one ON one.seq = d.entry AND one.transfer_id IS NULL
    LEFT JOIN entries two ON two.seq = d.entry + 1 AND two.transfer_id IS NULL`);
  for (const row of rows) {
    const [accountId, amount, from, out, to, into] = row as (bigint | null)[];
    deposits += 1n;
    const fromEquity = typeof from === 'bigint' && accounts.get(Number(from))?.kind === 'equity';
    if (!fromEquity || to !== accountId || into !== amount || typeof out !== 'bigint' || -out !== amount) {
      report({ invariant: 1, message: `a deposit is not two entries that sum to zero at ${bank}`, id: accounts.get(Number(accountId))?.label ?? `${bank}/#${accountId}` });
    }
  }
  const [[loose] = [0n]] = snapshot.rows('SELECT count(*) FROM entries WHERE transfer_id IS NULL') as Iterable<[bigint]>;
  if (loose !== 2n * deposits) {
    report({ invariant: 1, message: `${loose} entries belong to no transfer and ${deposits} deposits account for ${2n * deposits} at ${bank}`, id: bank });
  }
}

/** All accounts together sum to zero in each currency. Returns what the customers own. */
function proveTotals(bank: string, accounts: ReadonlyMap<number, BookAccount>, report: Report): Record<string, string> {
  const sums = new Map<string, { all: bigint; customers: bigint }>();
  for (const { currency, kind, posted } of accounts.values()) {
    const sum = sums.get(currency) ?? { all: 0n, customers: 0n };
    sum.all += posted;
    if (kind === 'customer') sum.customers += posted;
    sums.set(currency, sum);
  }
  for (const [currency, { all }] of sums) {
    if (all !== 0n) report({ invariant: 1, message: `all ${currency} accounts of ${bank} together are ${all} and not zero`, id: `${bank}/${currency}` });
  }
  return Object.fromEntries([...sums].map(([currency, { customers }]) => [currency, String(customers)]));
}
