// A bank's books in one SQLite file. Everything is synchronous; one `writeBatch` is one transaction and one sync.

import type { Account, DeclineReason, Entry, Money, deposit, mayCredit, mayDebit } from '@strife/ledger';
import type { AccountName, LegState, LegTerms, TransferId } from '@strife/two-phase-commit';
import { newRow, openAccountTable, type AccountRow, type AccountTable } from './account-table.ts';
import { openDeposits } from './deposits.ts';
import { openEntryTable, type EntryTable } from './entry-table.ts';
import { openHistory } from './history.ts';
import { BANK_STORE } from './ledger-schema.ts';
import type { LegAttempt } from './leg-attempts.ts';
import { openLegTable, type LegTable } from './leg-table.ts';
import { openProcessStarts, type ProcessStarts } from './process-starts.ts';
import { openSessions, type SessionStore } from './session-store.ts';
import type { StoreFailedError } from './store-error.ts';
import { openStoreFile, type StoreFile } from './store-file.ts';
import { openUsers } from './users.ts';

export interface LedgerStoreOptions {
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
  /** As in LegWrite. */
  readonly accountId: number | null;
  /** When it was last prepared, or when it was first written if it never was. */
  readonly preparedAtMs: number;
  /** When it left doubt; null while prepared. */
  readonly endedAtMs: number | null;
}

/** A leg's new state. Terms, once written, stay: leave them out or repeat them (only the deadline may move). */
export interface LegWrite {
  readonly id: TransferId;
  readonly state: LegState;
  readonly terms?: LegTerms | undefined;
  /** The customer whose leg it is, the payer when both are here; null when there is no such account. Stays as first written with terms. */
  readonly accountId: number | null;
  /** When it left doubt; by default when it is first written so. */
  readonly endedAtMs?: number | undefined;
}

/** What one transfer writes into accounts' books. */
export interface TransferEntries {
  readonly transferId: TransferId;
  /** In the order in which they happened, as the transfers are. */
  readonly entries: readonly Entry[];
}

export interface LedgerBatch {
  readonly legs: readonly LegWrite[];
  /** Every account that changed, once, as it is after the batch. `frozen` is not written. */
  readonly accounts: readonly Account[];
  readonly entries: readonly TransferEntries[];
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

  /** The legs of these ids, in their order; undefined for one that does not exist. */
  legs(ids: readonly TransferId[]): (StoredLeg | undefined)[];
  transfer(id: TransferId): StoredLeg | undefined;
  /** What each attempt at a transfer did here, oldest first, the newest `limit` at most; empty for an unknown id. */
  attempts(id: TransferId, limit: number): LegAttempt[];
  /** All legs in doubt, in the order of their ids. For start-up: it reads no others. */
  preparedLegs(): StoredLeg[];
  /** How many legs are in doubt, and when the oldest of them was prepared. Reads these legs alone. */
  inDoubt(): { legs: number; oldestPreparedAtMs: number | undefined };

  account(kind: Account['kind'], name: string): Account | undefined;
  accountById(id: number): Account | undefined;
  /** The clearing account towards `peer` in this currency; made, durably and in a write of its own, when it does not exist. */
  clearing(peer: string, currency: string): Account;

  /** Makes the batch durable. Chains the entries and the payers' transfers. A failure ends the store. */
  writeBatch(batch: LedgerBatch): void;

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

function buildStore(store: StoreFile, { nowMs, ledger, accountsCachedMax, preparedKeptMax }: LedgerStoreOptions): LedgerStore {
  const legs = openLegTable(store, preparedKeptMax);
  const accounts = openAccountTable(store, legs.inDoubt(), accountsCachedMax);
  const entries = openEntryTable(store);

  /** An account that no customer owns: made when it is first needed. */
  function internal(kind: 'clearing' | 'equity', name: string, currency: string): AccountRow {
    const existing = accounts.byName(kind, name);
    if (existing !== undefined) return existing;
    const account: Account = {
      id: accounts.nextId(), kind, name, currency, posted: 0n, held: 0n, incoming: 0n, floor: null, frozen: false,
    };
    const row = newRow(account);
    store.write(() => accounts.insert(row));
    return row;
  }

  const starts = openProcessStarts(store, nowMs());
  const writeBatch = openBatches({ store, accounts, legs, entries });
  const equity = (currency: string): AccountRow => internal('equity', currency, currency);
  const deposits = openDeposits({ store, accounts, entries, rules: ledger, nowMs, equity });

  return {
    bank: store.name,
    sessions: openSessions(store),
    starts,
    legs: (ids) => legs.findAll(ids),
    transfer: (id) => legs.find(id),
    attempts: (id, limit) => legs.attempts(id, limit),
    preparedLegs: () => legs.inDoubt().map(({ leg }) => leg!),
    inDoubt: () => legs.countInDoubt(),
    account: (kind, name) => accounts.byName(kind, name)?.account,
    accountById: (id) => accounts.byId(id)?.account,
    clearing: (peer, currency) => internal('clearing', `${peer}/${currency}`, currency).account,
    writeBatch: (batch) => writeBatch(batch, nowMs()),
    ...openHistory({ store, accounts, legs, entries }),
    ...openUsers({ store, accounts, deposits, rules: ledger, equity }),
    deposit: (id, account, amount) => deposits.deposit(id, account, amount),
    close() {
      try {
        if (store.usable) starts.stop(nowMs());
      } finally {
        store.close();
      }
    },
  };
}

interface Tables {
  readonly store: StoreFile;
  readonly accounts: AccountTable;
  readonly legs: LegTable;
  readonly entries: EntryTable;
}

/** What is done for each leg and each transfer's entries are functions of their own, made once: so V8 optimizes them. */
function openBatches({ store, accounts, legs, entries }: Tables): (batch: LedgerBatch, nowMs: number) => void {
  /** Of the batch that is being written. */
  let nowMs = 0;

  function rowOf(id: number, isStored: boolean): AccountRow {
    const row = accounts.byId(id);
    if (row === undefined) throw new Error(`account ${id} is not in the books`);
    accounts.touch(row, isStored);
    return row;
  }

  function putLeg(write: LegWrite): void {
    const known = legs.recall(write.id);
    const payer = startsTransfer(write, known.leg) ? rowOf(write.accountId, false) : undefined;
    const hasNewRow = legs.put(write, known, payer?.lastTransfer ?? null, nowMs);
    if (payer !== undefined) payer.lastTransfer = write.id;
    if (hasNewRow) pointAt(known.leg);
  }

  /** What is stored of an account may be behind legs without a row only: once the leg of a payer has one, its account must be written, too. */
  function pointAt(leg: StoredLeg | undefined): void {
    if (leg?.terms !== undefined && leg.terms.side !== 'credit' && leg.accountId !== null) rowOf(leg.accountId, true);
  }

  function append({ transferId, entries: own }: TransferEntries): void {
    for (let index = 0; index < own.length; index += 1) {
      const row = rowOf(own[index]!.accountId, true);
      row.lastEntry = entries.append(own[index]!, transferId, nowMs, row.lastEntry);
    }
  }

  function keep(account: Account): void {
    const row = rowOf(account.id, false);
    if (account.posted !== row.account.posted) accounts.touch(row, true);
    row.account = account.frozen === row.account.frozen ? account : { ...account, frozen: row.account.frozen };
  }

  return (batch, atMs) => {
    nowMs = atMs;
    if (batch.legs.length + batch.accounts.length + batch.entries.length === 0) return;
    store.write(() => {
      batch.legs.forEach(putLeg);
      legs.flush(nowMs).forEach(pointAt);
      batch.entries.forEach(append);
      batch.accounts.forEach(keep);
      accounts.save();
    });
    legs.forgetEnded();
  };
}

/** Whether the leg is now first known to be one that its account pays. */
function startsTransfer(write: LegWrite, before: StoredLeg | undefined): write is LegWrite & { accountId: number } {
  return before?.terms === undefined && write.terms !== undefined && write.terms.side !== 'credit' && write.accountId !== null;
}
