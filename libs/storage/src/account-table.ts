// The accounts of a bank's store, with a bounded cache in front.
//
// What an account holds and expects stands in no row: it is the sum of its prepared legs, which start-up adds up and the cache carries on. Its row may
// be behind its entries, too: see late-accounts.ts.

import type { SQLInputValue, StatementSync } from 'node:sqlite';
import type { Account } from '@strife/ledger';
import type { TransferId } from '@strife/two-phase-commit';
import { newestTransfers } from './account-heads.ts';
import { blobToId, writeId } from './ids.ts';
import { openLateAccounts, type LateLimits } from './late-accounts.ts';
import type { PreparedEntry } from './prepared-legs.ts';
import type { StoreFile } from './store-file.ts';

/** Customers' accounts kept in memory, about half a kilobyte each, and with garbage not collected yet several times that. Twice what is in flight at full load. */
const ACCOUNTS_CACHED_MAX = 16_384;
/** Clearing accounts kept in memory, and as many equity accounts. */
const INTERNAL_CACHED_MAX = 1_000;

/** How many accounts are looked at to make room for one. Where a write has touched them all, more are kept until the next ones come. */
const LOOKS_MAX = 1_000;

/** How kinds are stored. Numbers are for ever. */
export const ACCOUNT_KINDS = { customer: 0, clearing: 1, equity: 2 } as const satisfies Record<Account['kind'], number>;
const KIND_NAMES: readonly Account['kind'][] = ['customer', 'clearing', 'equity'];

/**
 * An account and the heads of its two chains. Changed in place, and only inside a write: one that fails ends the store, and nobody reads what is in
 * memory after that.
 */
export interface AccountRow {
  account: Account;
  /** The seq of its newest entry. */
  lastEntry: number | null;
  /** The newest transfer that it pays. What is stored may be an earlier one: see account-heads.ts. */
  lastTransfer: TransferId | null;
  /** What the write that is under way has done to it. */
  fate: 'untouched' | Fate;
  /** Its row in the table does not show its last entry. */
  isLate: boolean;
  /** Whether it was asked for since the cache last looked for room. */
  isRecent: boolean;
}

/** `entered`: it has new entries, which its row need not show yet; `stored`: its row must show it as it is. Each includes those before it. */
export type Fate = 'touched' | 'entered' | 'stored';

export interface AccountTable {
  byName(kind: Account['kind'], name: string): AccountRow | undefined;
  byId(id: number): AccountRow | undefined;
  nextId(): number;
  /** Inside a write. */
  insert(row: AccountRow): void;
  /** Inside a write: the row is changed, or about to be. It stays in memory until `save`. */
  touch(row: AccountRow, fate: Fate): void;
  /** Inside a write, after all changes. Fails for an account below its floor. Never writes `frozen`, nor what never changes. */
  save(): void;
  /** Inside a write, the last one: all rows show their accounts as they are. */
  saveAll(): void;
  /** Inside a write. */
  setFrozen(row: AccountRow, frozen: boolean): void;
}

export function newRow(account: Account): AccountRow {
  return { account, lastEntry: null, lastTransfer: null, fate: 'untouched', isLate: false, isRecent: true };
}

const COLUMNS = 'id, kind, name, currency, posted, floor, frozen, last_entry, last_transfer';

type AccountValues = [
  id: bigint, kind: bigint, name: string, currency: string, posted: bigint, floor: bigint | null, frozen: bigint,
  lastEntry: bigint | null, lastTransfer: Uint8Array | null,
];

/** What the row of an account does not show. */
interface Unshown {
  readonly held: bigint;
  readonly incoming: bigint;
  /** Undefined where what is stored is the newest. */
  readonly lastTransfer: TransferId | null | undefined;
  /** Undefined where the row shows its last entry. */
  readonly late?: { readonly posted: bigint; readonly lastEntry: number | null } | undefined;
}

const NOTHING: Unshown = { held: 0n, incoming: 0n, lastTransfer: undefined };

export interface AccountTableOptions extends LateLimits {
  /** All legs in doubt. */
  readonly prepared: readonly PreparedEntry[];
  /** The seq of the last entry of all. */
  readonly lastEntry: () => number;
  readonly cachedMax?: number | undefined;
}

/** The rows must show all entries: see `catchUp`. */
export function openAccountTable(store: StoreFile, { prepared, lastEntry: lastOfAll, cachedMax = ACCOUNTS_CACHED_MAX, ...limits }: AccountTableOptions): AccountTable {
  /** All that is cached, by id. */
  const cached = new Map<number, AccountRow>();
  const internalMax = Math.min(cachedMax, INTERNAL_CACHED_MAX);
  /** By name: the same rows. */
  const named = { customer: openNames(cachedMax, forget), clearing: openNames(internalMax, forget), equity: openNames(internalMax, forget) };
  const selectById = store.prepareExact(`SELECT ${COLUMNS} FROM accounts WHERE id = ?`);
  const selectByName = store.prepareExact(`SELECT ${COLUMNS} FROM accounts WHERE kind = ? AND name = ?`);
  const insert = store.prepare(`INSERT INTO accounts (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const update = store.prepare('UPDATE accounts SET posted = ?, last_entry = ?, last_transfer = ? WHERE id = ?');
  const updateFrozen = store.prepare('UPDATE accounts SET frozen = ? WHERE id = ?');
  const late = openLateAccounts(store, limits);
  const [maxId] = store.prepare('SELECT coalesce(max(id), 0) FROM accounts').get() as unknown as [number];
  let lastId = maxId;
  let touched: AccountRow[] = [];
  const key = new Uint8Array(16);
  /** Of the accounts that are not cached. */
  const unshown = holdsOf(prepared, newestTransfers(store, prepared), (name) => {
    const values = selectByName.get(ACCOUNT_KINDS.clearing, name) as unknown as AccountValues | undefined;
    if (values === undefined) throw new Error(`prepared legs with ${name}, for which there is no clearing account`);
    return Number(values[0]);
  });

  /** For statements, which copy what they are given. */
  function keyOf(id: TransferId | null): Uint8Array | null {
    if (id === null) return null;
    writeId(id, key);
    return key;
  }

  function forget({ account: { id, posted, held, incoming }, lastEntry, lastTransfer, isLate }: AccountRow): void {
    cached.delete(id);
    // An account whose newest transfer is not stored has something held for it, or is late.
    if (isLate) unshown.set(id, { held, incoming, lastTransfer, late: { posted, lastEntry } });
    else if (held !== 0n || incoming !== 0n) unshown.set(id, { held, incoming, lastTransfer: lastTransfer ?? undefined });
  }

  function load(statement: StatementSync, ...key: SQLInputValue[]): AccountRow | undefined {
    const values = store.read(() => statement.get(...key)) as unknown as AccountValues | undefined;
    if (values === undefined) return undefined;
    const row = readRow(values, unshown.get(Number(values[0])) ?? NOTHING);
    remember(row);
    return row;
  }

  function remember(row: AccountRow): void {
    const { id, kind } = row.account;
    unshown.delete(id);
    named[kind].add(row);
    cached.set(id, row);
  }

  function requireSound({ id, posted, held, incoming, floor }: Account): void {
    if (held < 0n || incoming < 0n) throw new Error(`account ${id} would hold ${held} and expect ${incoming}: more was released than was held`);
    if (floor !== null && posted - held < floor) throw new Error(`account ${id} would have ${posted - held} available, below its floor of ${floor}`);
  }

  // By `get`: `run` makes an object that says how many rows changed, which costs a tenth of the statement.
  function saveRow(row: AccountRow): void {
    update.get(row.account.posted, row.lastEntry, keyOf(row.lastTransfer), row.account.id);
    row.isLate = false;
  }

  function saveTouched(): void {
    for (const row of touched) {
      requireSound(row.account);
      if (row.fate === 'stored') {
        saveRow(row);
      } else if (row.fate === 'entered' && !row.isLate) {
        row.isLate = true;
        late.add(row.account.id);
      }
      row.fate = 'untouched';
    }
    touched = [];
  }

  function saveLate(id: number): void {
    const row = cached.get(id);
    if (row?.isLate === true) saveRow(row);
    const rest = row === undefined ? unshown.get(id) : undefined;
    if (rest?.late === undefined) return;
    const { held, incoming, lastTransfer = null } = rest;
    update.get(rest.late.posted, rest.late.lastEntry, keyOf(lastTransfer), id);
    if (held === 0n && incoming === 0n) unshown.delete(id);
    else unshown.set(id, { held, incoming, lastTransfer });
  }

  return {
    byName(kind, name) {
      store.requireUsable();
      return named[kind].get(name) ?? load(selectByName, ACCOUNT_KINDS[kind], name);
    },
    byId(id) {
      store.requireUsable();
      return cached.get(id) ?? load(selectById, id);
    },
    nextId: () => ++lastId,
    insert(row) {
      const { account, lastEntry, lastTransfer } = row;
      const { id, kind, name, currency, posted, floor, frozen } = account;
      insert.run(id, ACCOUNT_KINDS[kind], name, currency, posted, floor, Number(frozen), lastEntry, keyOf(lastTransfer));
      remember(row);
    },
    touch(row, fate) {
      if (row.fate === 'untouched') touched.push(row);
      if (fate === 'stored' || row.fate === 'untouched' || (fate === 'entered' && row.fate === 'touched')) row.fate = fate;
    },
    save() {
      saveTouched();
      late.due(lastOfAll()).forEach(saveLate);
    },
    saveAll() {
      saveTouched();
      late.rest(lastOfAll()).forEach(saveLate);
    },
    setFrozen(row, frozen) {
      updateFrozen.run(Number(frozen), row.account.id);
      row.account = { ...row.account, frozen };
    },
  };
}

interface Names {
  get(name: string): AccountRow | undefined;
  /** Makes room for it first. */
  add(row: AccountRow): void;
}

/**
 * Accounts by their names, `max` of them at most, and those that a write has touched. Who is full goes round and forgets who was not asked for
 * since it came by last ("clock", or second chance): as good a choice as the least recently used, and being asked for costs a look-up only.
 */
function openNames(max: number, onForgotten: (row: AccountRow) => void): Names {
  const rows = new Map<string, AccountRow>();
  let hand = rows.values();

  function makeRoom(): void {
    for (let looked = 0; rows.size >= max && looked < LOOKS_MAX; looked++) {
      const { value: row, done } = hand.next();
      if (done === true) {
        hand = rows.values();
      } else if (row.isRecent || row.fate !== 'untouched') {
        row.isRecent = false;
      } else {
        rows.delete(row.account.name);
        onForgotten(row);
      }
    }
  }

  return {
    get(name) {
      const row = rows.get(name);
      if (row !== undefined) row.isRecent = true;
      return row;
    },
    add(row) {
      makeRoom();
      rows.set(row.account.name, row);
    },
  };
}

/** By account: the payer's or payee's, and the clearing account's between the two. */
function holdsOf(prepared: readonly PreparedEntry[], newest: ReadonlyMap<number, TransferId>, clearingId: (name: string) => number): Map<number, Unshown> {
  const holds = new Map<number, Unshown>();
  const add = (id: number, held: bigint, incoming: bigint): void => {
    const before = holds.get(id) ?? NOTHING;
    holds.set(id, { held: before.held + held, incoming: before.incoming + incoming, lastTransfer: newest.get(id) });
  };
  const clearingIds = new Map<string, number>();
  for (const { id, leg } of prepared) {
    if (leg?.terms === undefined || leg.accountId === null) throw new Error(`leg ${id} is prepared without its account`);
    const { accountId, terms: { side, body } } = leg;
    const name = `${side === 'debit' ? body.to.bank : body.from.bank}/${body.currency}`;
    const clearing = clearingIds.get(name) ?? clearingId(name);
    clearingIds.set(name, clearing);
    add(side === 'debit' ? accountId : clearing, body.amountMinor, 0n);
    add(side === 'debit' ? clearing : accountId, 0n, body.amountMinor);
  }
  return holds;
}

function readRow(values: AccountValues, { held, incoming, lastTransfer: newest, late }: Unshown): AccountRow {
  const [id, kindNumber, name, currency, posted, floor, frozen, lastEntry, lastTransfer] = values;
  const kind = KIND_NAMES[Number(kindNumber)];
  if (kind === undefined) throw new Error(`account ${id} of kind ${kindNumber}`);
  return {
    account: { id: Number(id), kind, name, currency, posted: late === undefined ? posted : late.posted, held, incoming, floor, frozen: frozen !== 0n },
    lastEntry: late !== undefined ? late.lastEntry : lastEntry === null ? null : Number(lastEntry),
    lastTransfer: newest === undefined ? lastTransfer && blobToId(lastTransfer) : newest,
    fate: 'untouched',
    isLate: late !== undefined,
    isRecent: true,
  };
}
