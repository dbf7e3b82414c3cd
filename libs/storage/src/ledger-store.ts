// A bank's books in one SQLite file. Everything is synchronous; one `write` is one transaction and one sync.

import type { Account, DeclineReason, Entry, Money, deposit, mayCredit, mayDebit } from '@strife/ledger';
import type { AccountName, LegState, LegTerms, TransferId } from '@strife/two-phase-commit';
import { catchUp } from './account-heads.ts';
import { newRow, openAccountTable, type AccountRow, type AccountTable } from './account-table.ts';
import { openDeposits } from './deposits.ts';
import { openEntryTable, type EntryTable } from './entry-table.ts';
import { openHistory } from './history.ts';
import { BANK_STORE } from './ledger-schema.ts';
import type { LegAttempt } from './leg-attempts.ts';
import type { LateLimits } from './late-accounts.ts';
import { openLegTable, type KnownLeg, type LegTable } from './leg-table.ts';
import type { BookedLeg, OpenBooks } from './open-books.ts';
import { openProcessStarts, type ProcessStarts } from './process-starts.ts';
import { openSessions, type SessionStore } from './session-store.ts';
import type { StoreFailedError } from './store-error.ts';
import { openStoreFile, type StoreFile } from './store-file.ts';
import { openUsers } from './users.ts';

export interface LedgerStoreOptions extends LateLimits {
  readonly file: string;
  /** The bank's name; an existing file must be this bank's. */
  readonly bank: string;
  readonly nowMs: () => number;
  /** The accounting rules, for deposits and opening balances. */
  readonly ledger: { readonly mayDebit: typeof mayDebit; readonly mayCredit: typeof mayCredit; readonly deposit: typeof deposit };
  /** Told once, when the store has failed: log it and end the process. */
  readonly onFatal: (error: StoreFailedError) => void;
  /** How many accounts are kept in memory; 16,384 by default. */
  readonly accountsCachedMax?: number | undefined;
  /** How many legs may stand outside of their table, those of unfinished batches that have ended included; 100,000 by default. */
  readonly preparedKeptMax?: number | undefined;
}

/** A leg as the books hold it. */
export interface StoredLeg {
  readonly id: TransferId;
  /** Never absent. */
  readonly state: LegState;
  /** Absent for a fence of an id that was never prepared here. */
  readonly terms?: LegTerms | undefined;
  /** The customer whose leg it is, the payer when both are here; null when there is no such account. */
  readonly accountId: number | null;
  /** When it was last prepared, or when it was first written if it never was. */
  readonly preparedAtMs: number;
  /** When it left doubt; null while prepared. */
  readonly endedAtMs: number | null;
}

/** One line of a customer's history. */
export interface HistoryEntry {
  /** Absent for a deposit, like `counterparty`. */
  readonly transferId?: TransferId;
  readonly counterparty?: AccountName;
  readonly amount: Money;
  /** The balance after it. */
  readonly posted: Money;
  readonly memo: string;
  readonly settledAtMs: number;
}

export interface Page<Item> {
  /** Newest first. */
  readonly items: readonly Item[];
  /** Give it back for the items after these; absent on the last page. */
  readonly nextCursor?: string;
}

export interface NewUser {
  readonly username: string;
  readonly passwordHash: string;
  readonly currency: string;
  /** 0 or more. */
  readonly openingMinor: bigint;
}

export type DepositResult =
  | { readonly kind: 'deposited'; readonly account: Account; readonly replayed: boolean }
  | { readonly kind: 'declined'; readonly reason: DeclineReason }
  /** The id was used for another deposit; `field` differs. */
  | { readonly kind: 'mismatch'; readonly field: 'account' | 'amount.currency' | 'amount.minor_units' };

export interface LedgerStore {
  readonly bank: string;
  /** Where logins and their refresh tokens are kept. */
  readonly sessions: SessionStore;
  /** When the bank's process started. This start is noted. */
  readonly starts: Pick<ProcessStarts, 'since'>;

  /** Throws RangeError for a malformed id. */
  transfer(id: TransferId): StoredLeg | undefined;
  /** What each attempt at a transfer did here, oldest first, the newest `limit` at most; empty for an unknown id. */
  attempts(id: TransferId, limit: number): LegAttempt[];
  /** All legs in doubt, in no order and without a copy: to be gone through at once. Legs that have just ended may be among them. */
  legsInDoubt(): Iterable<BookedLeg>;
  /** How many legs are in doubt, and when the oldest of them was prepared. Reads these legs alone. */
  inDoubt(): { legs: number; oldestPreparedAtMs: number | undefined };

  account(kind: Account['kind'], name: string): Account | undefined;

  /** Makes durable what `work` does to the books; all of it or nothing. A failure, of `work` too, ends the store. Not inside another write. */
  write<T>(work: (books: OpenBooks) => T): T;

  /** A customer's history; empty for an unknown account. A page looks at 200 entries at most. Throws CursorError. */
  listEntries(account: string, pageSize: number, cursor?: string): Page<HistoryEntry>;
  /**
   * Transfers that a customer pays, without those that were aborted; empty for an unknown account. Throws CursorError.
   * A page looks at 200 transfers at most, so it may hold fewer than `pageSize`, or none, and still have a `nextCursor`.
   */
  listTransfers(account: string, pageSize: number, cursor?: string): Page<StoredLeg>;

  /**
   * Makes the users that do not exist, with an account of the same name, in one transaction, and returns their names. Those that
   * exist are left as they are. Throws OpeningBalanceError, and makes none, when an opening balance does not fit.
   */
  createUsers(users: readonly NewUser[]): string[];
  userHash(username: string): string | undefined;
  /** False when there is no such customer. */
  setFrozen(account: string, frozen: boolean): boolean;
  /** Brings money in, once for each id. */
  deposit(id: string, account: string, amount: Money): DepositResult;

  /** Notes the stop, and lets go of the file. Idempotent. */
  close(): void;
}

/** Opens or creates. Throws StoreLockedError, StoreSchemaError or another StoreError. */
export function openLedgerStore(options: LedgerStoreOptions): LedgerStore {
  const { file, bank, onFatal } = options;
  return openStoreFile({ file, kind: BANK_STORE, name: { required: bank }, onFatal }, (store) => buildStore(store, options));
}

function buildStore(store: StoreFile, { nowMs, ledger, accountsCachedMax, preparedKeptMax, accountsLateMax, entriesLateMax }: LedgerStoreOptions): LedgerStore {
  const legs = openLegTable(store, preparedKeptMax);
  const prepared = legs.inDoubt();
  catchUp(store, prepared);
  const entries = openEntryTable(store);
  const accounts = openAccountTable(store, { prepared, lastEntry: entries.lastSeq, cachedMax: accountsCachedMax, accountsLateMax, entriesLateMax });

  const starts = openProcessStarts(store, nowMs());
  const write = openWrites({ store, accounts, legs, entries });
  const equity = (currency: string): AccountRow => accounts.byName('equity', currency) ?? store.write(() => insertInternal(accounts, 'equity', currency, currency));
  const deposits = openDeposits({ store, accounts, entries, rules: ledger, nowMs, equity });

  return {
    bank: store.name,
    sessions: openSessions(store),
    starts,
    transfer: (id) => legs.find(id),
    attempts: (id, limit) => legs.attempts(id, limit),
    legsInDoubt: () => legs.known(),
    inDoubt: () => legs.countInDoubt(),
    account: (kind, name) => accounts.byName(kind, name)?.account,
    write: (work) => write(work, nowMs()),
    ...openHistory({ store, accounts, legs, entries }),
    ...openUsers({ store, accounts, deposits, rules: ledger, equity }),
    deposit: (id, account, amount) => deposits.deposit(id, account, amount),
    close() {
      try {
        if (!store.usable) return;
        store.write(() => accounts.saveAll());
        starts.stop(nowMs());
      } finally {
        store.close();
      }
    },
  };
}

/** Inside a write: an account that no customer owns, made when it is first needed. */
function insertInternal(accounts: AccountTable, kind: 'clearing' | 'equity', name: string, currency: string): AccountRow {
  const row = newRow({ id: accounts.nextId(), kind, name, currency, posted: 0n, held: 0n, incoming: 0n, floor: null, frozen: false });
  accounts.insert(row);
  return row;
}

/** A balance that changes without an entry would be lost with the next crash. */
function requireSameBalance({ account: before }: AccountRow, { posted }: Account): void {
  if (posted !== before.posted) throw new Error(`account ${before.id} would have ${posted} in place of ${before.posted} without an entry`);
}

interface Tables {
  readonly store: StoreFile;
  readonly accounts: AccountTable;
  readonly legs: LegTable;
  readonly entries: EntryTable;
}

/** What is done to each leg and for each movement are functions of their own, made once: so V8 optimizes them. */
function openWrites({ store, accounts, legs, entries }: Tables): <T>(work: (books: OpenBooks) => T, nowMs: number) => T {
  /** Of the write that is under way. */
  let nowMs = 0;

  /** Kept in memory from now on until the write ends, so that there is one row of it. */
  function pinned(row: AccountRow): AccountRow {
    accounts.touch(row, 'touched');
    return row;
  }

  const books: OpenBooks = {
    leg: (id) => legs.recall(id),
    account(kind, name) {
      const row = accounts.byName(kind, name);
      return row && pinned(row);
    },
    accountById(id) {
      const row = accounts.byId(id);
      return row && pinned(row);
    },
    clearing(peer, currency) {
      const name = `${peer}/${currency}`;
      return pinned(accounts.byName('clearing', name) ?? insertInternal(accounts, 'clearing', name, currency));
    },
    putLeg(leg, record, owner) {
      const known = leg as KnownLeg;
      const row = owner as AccountRow | undefined;
      const payer = known.leg?.terms === undefined && record.terms !== undefined && record.terms.side !== 'credit' ? row : undefined;
      const hasNewRow = legs.put(known, record, { accountId: row?.account.id ?? null, previous: payer?.lastTransfer ?? null, nowMs });
      if (payer !== undefined) payer.lastTransfer = leg.id;
      if (hasNewRow) pointAt(known.leg);
    },
    move(id, debited, credited, after) {
      const from = debited as AccountRow;
      const to = credited as AccountRow;
      if (after.entries === undefined) {
        requireSameBalance(from, after.debited);
        requireSameBalance(to, after.credited);
      }
      from.account = after.debited;
      to.account = after.credited;
      if (after.entries === undefined) return;
      append(from, after.entries[0], id);
      append(to, after.entries[1], id);
    },
  };

  function append(row: AccountRow, entry: Entry, id: TransferId): void {
    accounts.touch(row, 'entered');
    row.lastEntry = entries.append(entry, id, nowMs, row.lastEntry);
  }

  /**
   * What is stored of a payer may be behind legs that are in `prepared`, and behind those that its entries lead to: once any other leg has a row, its
   * account must be written, too.
   */
  function pointAt(leg: StoredLeg | undefined): void {
    if (leg?.terms === undefined || leg.terms.side === 'credit' || leg.accountId === null || leg.state.kind === 'committed') return;
    const row = accounts.byId(leg.accountId);
    if (row === undefined) throw new Error(`account ${leg.accountId} is not in the books`);
    accounts.touch(row, 'stored');
  }

  return (work, atMs) => {
    const result = store.write(() => {
      nowMs = atMs;
      const done = work(books);
      legs.flush(nowMs).forEach(pointAt);
      accounts.save();
      return done;
    });
    legs.forgetEnded();
    return result;
  };
}
