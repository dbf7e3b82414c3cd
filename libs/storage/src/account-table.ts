// The accounts of a bank's store, with a bounded cache in front.
//
// What an account holds and expects stands in no row: it is the sum of its prepared legs, which start-up adds up and the cache carries on.

import type { SQLInputValue, StatementSync } from 'node:sqlite';
import type { Account } from '@strife/ledger';
import type { TransferId } from '@strife/two-phase-commit';
import { LRUCache } from 'lru-cache';
import { blobToId, writeId } from './ids.ts';
import type { StoredLeg } from './ledger-store.ts';
import type { StoreFile } from './store-file.ts';

/** Customers' accounts kept in memory, about half a kilobyte each, and with garbage not collected yet several times that. Twice what is in flight at full load. */
const ACCOUNTS_CACHED_MAX = 16_384;
/** Clearing accounts kept in memory, and as many equity accounts. */
const INTERNAL_CACHED_MAX = 1_000;

/** How kinds are stored. Numbers are for ever. */
export const ACCOUNT_KINDS = { customer: 0, clearing: 1, equity: 2 } as const satisfies Record<Account['kind'], number>;
const KIND_NAMES: readonly Account['kind'][] = ['customer', 'clearing', 'equity'];

/** An account and the heads of its two chains. */
export interface AccountRow {
  readonly account: Account;
  /** The seq of its newest entry. */
  readonly lastEntry: number | null;
  /** The newest transfer that it pays. */
  readonly lastTransfer: TransferId | null;
}

/** Its key is that of an account, which never changes; the row does. */
interface Cached {
  row: AccountRow;
}

export interface AccountTable {
  byName(kind: Account['kind'], name: string): AccountRow | undefined;
  byId(id: number): AccountRow | undefined;
  nextId(): number;
  /** Inside a write. */
  insert(row: AccountRow): void;
  /** Inside a write, which fails for an account below its floor. Writes the row unless nothing that is stored differs from `before`; never `frozen`, nor what never changes. */
  update(row: AccountRow, before: AccountRow): void;
  /** Inside a write. */
  updateFrozen(id: number, frozen: boolean): void;
  /** After the write of the row became durable. */
  remember(row: AccountRow): void;
}

const COLUMNS = 'id, kind, name, currency, posted, floor, frozen, last_entry, last_transfer';

type AccountValues = [
  id: bigint, kind: bigint, name: string, currency: string, posted: bigint, floor: bigint | null, frozen: bigint,
  lastEntry: bigint | null, lastTransfer: Uint8Array | null,
];

/** What prepared legs take from an account, and what they give to it. */
interface Holds {
  readonly held: bigint;
  readonly incoming: bigint;
}

const NO_HOLDS: Holds = { held: 0n, incoming: 0n };

/** @param prepared all legs in doubt */
export function openAccountTable(store: StoreFile, prepared: Iterable<StoredLeg>, cachedMax = ACCOUNTS_CACHED_MAX): AccountTable {
  /** By id: all that is cached. */
  const cached = new Map<number, Cached>();
  const cacheOf = (max: number): LRUCache<string, Cached> => new LRUCache({ max, dispose: ({ row }) => forget(row.account) });
  const internalMax = Math.min(cachedMax, INTERNAL_CACHED_MAX);
  /** By name: the same accounts. */
  const named = { customer: cacheOf(cachedMax), clearing: cacheOf(internalMax), equity: cacheOf(internalMax) };
  const selectById = store.prepareExact(`SELECT ${COLUMNS} FROM accounts WHERE id = ?`);
  const selectByName = store.prepareExact(`SELECT ${COLUMNS} FROM accounts WHERE kind = ? AND name = ?`);
  const insert = store.prepare(`INSERT INTO accounts (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const update = store.prepare('UPDATE accounts SET posted = ?, last_entry = ?, last_transfer = ? WHERE id = ?');
  const updateFrozen = store.prepare('UPDATE accounts SET frozen = ? WHERE id = ?');
  const [maxId] = store.prepare('SELECT coalesce(max(id), 0) FROM accounts').get() as unknown as [number];
  let lastId = maxId;
  const key = new Uint8Array(16);
  /** Of the accounts that are not cached. */
  const holds = holdsOf(prepared, (name) => {
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

  function forget({ id, held, incoming }: Account): void {
    cached.delete(id);
    if (held !== 0n || incoming !== 0n) holds.set(id, { held, incoming });
  }

  function load(statement: StatementSync, ...key: SQLInputValue[]): AccountRow | undefined {
    const values = store.read(() => statement.get(...key)) as unknown as AccountValues | undefined;
    if (values === undefined) return undefined;
    const row = readRow(values, holds.get(Number(values[0])) ?? NO_HOLDS);
    remember(row);
    return row;
  }

  function remember(row: AccountRow): void {
    const { id, kind, name } = row.account;
    const known = cached.get(id);
    if (known !== undefined) {
      known.row = row;
      return;
    }
    const added = { row };
    holds.delete(id);
    named[kind].set(name, added);
    cached.set(id, added);
  }

  return {
    byName(kind, name) {
      store.requireUsable();
      return named[kind].get(name)?.row ?? load(selectByName, ACCOUNT_KINDS[kind], name);
    },
    byId(id) {
      store.requireUsable();
      return cached.get(id)?.row ?? load(selectById, id);
    },
    nextId: () => ++lastId,
    insert({ account, lastEntry, lastTransfer }) {
      const { id, kind, name, currency, posted, floor, frozen } = account;
      insert.run(id, ACCOUNT_KINDS[kind], name, currency, posted, floor, Number(frozen), lastEntry, keyOf(lastTransfer));
    },
    update({ account, lastEntry, lastTransfer }, before) {
      const { posted, held, incoming, floor } = account;
      if (held < 0n || incoming < 0n) throw new Error(`account ${account.id} would hold ${held} and expect ${incoming}: more was released than was held`);
      if (floor !== null && posted - held < floor) throw new Error(`account ${account.id} would have ${posted - held} available, below its floor of ${floor}`);
      if (posted === before.account.posted && lastEntry === before.lastEntry && lastTransfer === before.lastTransfer) return;
      // By `get`: `run` makes an object that says how many rows changed, which costs a tenth of the statement.
      update.get(posted, lastEntry, keyOf(lastTransfer), account.id);
    },
    updateFrozen(id, frozen) {
      updateFrozen.run(Number(frozen), id);
    },
    remember,
  };
}

/** By account: the payer's or payee's, and the clearing account's between the two. */
function holdsOf(prepared: Iterable<StoredLeg>, clearingId: (name: string) => number): Map<number, Holds> {
  const holds = new Map<number, Holds>();
  const add = (id: number, held: bigint, incoming: bigint): void => {
    const before = holds.get(id) ?? NO_HOLDS;
    holds.set(id, { held: before.held + held, incoming: before.incoming + incoming });
  };
  const clearingIds = new Map<string, number>();
  for (const { id, terms, accountId } of prepared) {
    if (terms === undefined || accountId === null) throw new Error(`leg ${id} is prepared without its account`);
    const { side, body } = terms;
    const name = `${side === 'debit' ? body.to.bank : body.from.bank}/${body.currency}`;
    const clearing = clearingIds.get(name) ?? clearingId(name);
    clearingIds.set(name, clearing);
    add(side === 'debit' ? accountId : clearing, body.amountMinor, 0n);
    add(side === 'debit' ? clearing : accountId, 0n, body.amountMinor);
  }
  return holds;
}

function readRow(values: AccountValues, { held, incoming }: Holds): AccountRow {
  const [id, kindNumber, name, currency, posted, floor, frozen, lastEntry, lastTransfer] = values;
  const kind = KIND_NAMES[Number(kindNumber)];
  if (kind === undefined) throw new Error(`account ${id} of kind ${kindNumber}`);
  return {
    account: { id: Number(id), kind, name, currency, posted, held, incoming, floor, frozen: frozen !== 0n },
    lastEntry: lastEntry === null ? null : Number(lastEntry),
    lastTransfer: lastTransfer && blobToId(lastTransfer),
  };
}
