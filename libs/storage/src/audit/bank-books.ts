// One bank's books, read by themselves: invariants 1 and 5 for accounts, entries and deposits.
//
// Accounts and entries are read side by side in the order of accounts, so memory grows with neither: what is kept is the bank's own
// accounts, one a peer and currency, and the customers from whom something is held.

import type { Account } from '@strife/ledger';
import { ACCOUNT_KINDS } from '../account-table.ts';
import type { Finding } from './audit-report.ts';
import type { Snapshot } from './snapshot.ts';

interface BookAccount {
  readonly id: number;
  readonly kind: Account['kind'];
  readonly name: string;
  readonly currency: string;
  readonly posted: bigint;
  readonly floor: bigint | null;
  /** What its row shows, at least up to the entry that all rows show. */
  readonly shown: { readonly posted: bigint; readonly lastEntry: bigint | null };
  /** For people: `alpha/alice`, `alpha/clearing/beta/EUR`. */
  readonly label: string;
}

/** An account that prepared legs take from: what they take is added while the legs are read. */
export interface Holds {
  readonly label: string;
  readonly posted: bigint;
  readonly floor: bigint | null;
  held: bigint;
}

export interface Books {
  readonly bank: string;
  readonly snapshot: Snapshot;
  readonly accounts: number;
  readonly entries: number;
  /** Clearing accounts, by name: "beta/EUR". */
  readonly clearing: ReadonlyMap<string, { readonly id: number; readonly currency: string; readonly posted: bigint; readonly label: string }>;
  readonly totals: Readonly<Record<string, string>>;
  /** By account; undefined when there is no such account. Only while the snapshot is open. */
  holdsOf(accountId: number): Holds | undefined;
  /** A customer's account by its name. Only while the snapshot is open. */
  customerId(name: string): number | undefined;
  /** Those that were asked for. */
  readonly holds: ReadonlyMap<number, Holds>;
}

type Report = (finding: Finding) => void;

/** Reads all accounts and entries and proves what does not need the legs. */
export function proveBooks(snapshot: Snapshot, report: Report): Books {
  const bank = snapshot.name;
  const holds = new Map<number, Holds>();
  const internal = new Map<number, BookAccount>();
  const totals = createTotals();
  const chains = openChains(snapshot, report);
  let accounts = 0;
  const late = lateAmounts(snapshot);
  for (const account of readAccounts(snapshot, late)) {
    accounts += 1;
    chains.prove(account);
    totals.add(account);
    if (account.kind !== 'customer') internal.set(account.id, account);
    if (account.floor !== null && account.posted < account.floor) {
      report({ invariant: 5, message: `the balance is below the floor at ${bank}`, id: account.label });
    }
  }
  const entries = chains.finish();
  const find = findAccounts(snapshot, late);
  proveDeposits(snapshot, internal, find.byId, report);
  const clearing = [...internal.values()].filter(({ kind }) => kind === 'clearing');
  return {
    bank, snapshot, accounts, entries, holds,
    totals: totals.prove(bank, report),
    clearing: new Map(clearing.map((account) => [account.name, account])),
    customerId: find.customerId,
    holdsOf(accountId) {
      const known = holds.get(accountId);
      const account = known === undefined ? find.byId(accountId) : undefined;
      if (account === undefined) return known;
      const found = holdsOf(account);
      holds.set(accountId, found);
      return found;
    },
  };
}

/** Once all legs were read: what they hold is there. */
export function proveHolds({ bank, holds }: Books, report: Report): void {
  for (const { posted, held, floor, label } of holds.values()) {
    if (floor !== null && posted >= floor && posted - held < floor) {
      report({ invariant: 5, message: `what prepared legs take from an account would bring it below its floor at ${bank}`, id: label });
    }
  }
}

function holdsOf({ label, posted, floor }: BookAccount): Holds {
  return { label, posted, floor, held: 0n };
}

const KIND_NAMES = new Map(Object.entries(ACCOUNT_KINDS).map(([kind, number]) => [BigInt(number), kind as Account['kind']]));
const ACCOUNT_COLUMNS = 'id, kind, name, currency, posted, floor, last_entry';

function* readAccounts(snapshot: Snapshot, late: LateAmounts): Generator<BookAccount> {
  for (const row of snapshot.rows(`SELECT ${ACCOUNT_COLUMNS} FROM accounts ORDER BY id`)) yield readAccount(snapshot.name, row, late);
}

/** By account, what its entries since its row add up to: as many accounts as a bank lets wait. */
type LateAmounts = ReadonlyMap<bigint, bigint>;

function lateAmounts(snapshot: Snapshot): LateAmounts {
  return new Map(snapshot.rows(`
    SELECT entries.account_id, sum(entries.amount) FROM entries JOIN accounts ON accounts.id = entries.account_id
    WHERE entries.seq > (SELECT up_to FROM accounts_shown) AND entries.seq > coalesce(accounts.last_entry, 0)
    GROUP BY entries.account_id`) as Iterable<readonly [bigint, bigint]>);
}

function readAccount(bank: string, row: readonly unknown[], late: LateAmounts): BookAccount {
  const [id, kindNumber, name, currency, posted, floor, lastEntry] = row as [bigint, bigint, string, string, bigint, bigint | null, bigint | null];
  const kind = KIND_NAMES.get(kindNumber) ?? 'customer';
  const label = kind === 'customer' ? `${bank}/${name}` : `${bank}/${kind}/${name}`;
  return { id: Number(id), kind, name, currency, posted: posted + (late.get(id) ?? 0n), floor, shown: { posted, lastEntry }, label };
}

function findAccounts(snapshot: Snapshot, late: LateAmounts): { byId(id: number): BookAccount | undefined; customerId(name: string): number | undefined } {
  const byId = snapshot.lookup(`SELECT ${ACCOUNT_COLUMNS} FROM accounts WHERE id = ?`);
  const byName = snapshot.lookup(`SELECT id FROM accounts WHERE kind = ${ACCOUNT_KINDS.customer} AND name = ?`);
  return {
    byId(id) {
      const row = byId(id);
      return row && readAccount(snapshot.name, row, late);
    },
    customerId(name) {
      const row = byName(name);
      return row && Number(row[0]);
    },
  };
}

type ChainEntry = [accountId: bigint, seq: bigint, amount: bigint, posted: bigint, previous: bigint | null];

/** How far all rows of accounts show their entries, which must be said once, and be an entry or none. */
function proveShown(snapshot: Snapshot, report: Report): bigint {
  const rows = [...snapshot.rows('SELECT up_to, (SELECT coalesce(max(seq), 0) FROM entries) FROM accounts_shown')] as unknown as [upTo: bigint, last: bigint][];
  const [[upTo, last] = [0n, 0n]] = rows;
  if (rows.length !== 1 || upTo < 0n || upTo > last) {
    report({ invariant: 1, message: `which entries the accounts show is not known at ${snapshot.name}`, id: snapshot.name });
  }
  return upTo;
}

/** Replays each account's entries in the order in which they were written. SQLite sorts outside memory. */
function openChains(snapshot: Snapshot, report: Report): { prove(account: BookAccount): void; finish(): number } {
  const bank = snapshot.name;
  const entries = snapshot.rows('SELECT account_id, seq, amount, posted, previous FROM entries ORDER BY account_id, seq')[Symbol.iterator]();
  const shownUpTo = proveShown(snapshot, report);
  let next = advance();
  let count = 0;

  function advance(): ChainEntry | undefined {
    const { done, value } = entries.next();
    return done === true ? undefined : (value as unknown as ChainEntry);
  }

  /** Entries of accounts below this one, which are none. */
  function skipTo(accountId: bigint | undefined): void {
    for (; next !== undefined && (accountId === undefined || next[0] < accountId); next = advance()) {
      count += 1;
      report({ invariant: 1, message: `entries of an account that does not exist at ${bank}`, id: `${bank}/#${next[0]}` });
    }
  }

  return {
    /** Accounts come in the order of their ids. */
    prove({ id, posted, shown, label }) {
      const accountId = BigInt(id);
      skipTo(accountId);
      let head: { readonly seq: bigint; readonly posted: bigint } | undefined;
      /** The last one that the row must show, or does. */
      let seen: typeof head;
      for (; next?.[0] === accountId; next = advance()) {
        const [, seq, amount, balance, previous] = next;
        count += 1;
        if (previous !== (head?.seq ?? null)) report({ invariant: 1, message: `the chain of entries is broken at ${bank}`, id: label });
        if (balance !== (head?.posted ?? 0n) + amount) {
          report({ invariant: 1, message: `an entry's balance is not the one before plus its amount at ${bank}`, id: label });
        }
        head = { seq, posted: balance };
        if (seq <= shownUpTo || seq === shown.lastEntry) seen = head;
      }
      if (shown.posted !== (seen?.posted ?? 0n) || posted !== (head?.posted ?? 0n)) {
        report({ invariant: 1, message: `an account's balance is not the sum of its entries at ${bank}`, id: label });
      }
      if (shown.lastEntry !== (seen?.seq ?? null)) report({ invariant: 1, message: `an account does not point at its last entry at ${bank}`, id: label });
    },
    /** How many entries there are. */
    finish() {
      skipTo(undefined);
      return count;
    },
  };
}

/** Every deposit has two entries that sum to zero, from equity to its account, and no other entry is without a transfer. */
function proveDeposits(
  snapshot: Snapshot, internal: ReadonlyMap<number, BookAccount>, byId: (id: number) => BookAccount | undefined, report: Report,
): void {
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
    const fromEquity = typeof from === 'bigint' && internal.get(Number(from))?.kind === 'equity';
    if (!fromEquity || to !== accountId || into !== amount || typeof out !== 'bigint' || -out !== amount) {
      report({ invariant: 1, message: `a deposit is not two entries that sum to zero at ${bank}`, id: byId(Number(accountId))?.label ?? `${bank}/#${accountId}` });
    }
  }
  const [[loose] = [0n]] = snapshot.rows('SELECT count(*) FROM entries WHERE transfer_id IS NULL') as Iterable<[bigint]>;
  if (loose !== 2n * deposits) {
    report({ invariant: 1, message: `${loose} entries belong to no transfer and ${deposits} deposits account for ${2n * deposits} at ${bank}`, id: bank });
  }
}

/** All accounts together sum to zero in each currency. */
function createTotals(): { add(account: BookAccount): void; prove(bank: string, report: Report): Record<string, string> } {
  const sums = new Map<string, { all: bigint; customers: bigint }>();
  return {
    add({ currency, kind, posted }) {
      const sum = sums.get(currency) ?? { all: 0n, customers: 0n };
      sum.all += posted;
      if (kind === 'customer') sum.customers += posted;
      sums.set(currency, sum);
    },
    /** Returns what the customers own. */
    prove(bank, report) {
      for (const [currency, { all }] of sums) {
        if (all !== 0n) report({ invariant: 1, message: `all ${currency} accounts of ${bank} together are ${all} and not zero`, id: `${bank}/${currency}` });
      }
      return Object.fromEntries([...sums].map(([currency, { customers }]) => [currency, String(customers)]));
    },
  };
}
