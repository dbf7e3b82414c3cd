// The accounts of a bank's store, with a bounded cache in front.

import type { SQLInputValue, StatementSync } from 'node:sqlite';
import type { Account } from '@strife/ledger';
import { LRUCache } from 'lru-cache';
import type { StoreFile } from './store-file.ts';

/** Accounts kept in memory, about half a kilobyte each. */
const ACCOUNTS_CACHED_MAX = 100_000;

/** How kinds are stored. Numbers are for ever. */
export const ACCOUNT_KINDS = { customer: 0, clearing: 1, equity: 2 } as const satisfies Record<Account['kind'], number>;
const KIND_NAMES: readonly Account['kind'][] = ['customer', 'clearing', 'equity'];

/** An account and the heads of its two chains. */
export interface AccountRow {
  readonly account: Account;
  /** The seq of its newest entry. */
  readonly lastEntry: number | null;
  /** The id of the newest transfer that it pays. */
  readonly lastTransfer: Uint8Array | null;
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
  /** Inside a write. All but what never changes and `frozen`. */
  update(row: AccountRow): void;
  /** Inside a write. */
  updateFrozen(id: number, frozen: boolean): void;
  /** After the write of these rows became durable. */
  remember(rows: Iterable<AccountRow>): void;
}

const COLUMNS = 'id, kind, name, currency, posted, held, incoming, floor, frozen, last_entry, last_transfer';

type AccountValues = [
  id: bigint, kind: bigint, name: string, currency: string, posted: bigint, held: bigint, incoming: bigint, floor: bigint | null, frozen: bigint,
  lastEntry: bigint | null, lastTransfer: Uint8Array | null,
];

export function openAccountTable(store: StoreFile): AccountTable {
  /** By id: all that is cached. */
  const cached = new Map<number, Cached>();
  const named = new LRUCache<string, Cached>({ max: ACCOUNTS_CACHED_MAX, dispose: ({ row }) => void cached.delete(row.account.id) });
  const selectById = store.prepareExact(`SELECT ${COLUMNS} FROM accounts WHERE id = ?`);
  const selectByName = store.prepareExact(`SELECT ${COLUMNS} FROM accounts WHERE kind = ? AND name = ?`);
  const insert = store.prepare(`INSERT INTO accounts (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const update = store.prepare('UPDATE accounts SET posted = ?, held = ?, incoming = ?, last_entry = ?, last_transfer = ? WHERE id = ?');
  const updateFrozen = store.prepare('UPDATE accounts SET frozen = ? WHERE id = ?');
  const [maxId] = store.prepare('SELECT coalesce(max(id), 0) FROM accounts').get() as unknown as [number];
  let lastId = maxId;

  function load(statement: StatementSync, ...key: SQLInputValue[]): AccountRow | undefined {
    const values = store.read(() => statement.get(...key)) as unknown as AccountValues | undefined;
    if (values === undefined) return undefined;
    const row = readRow(values);
    remember([row]);
    return row;
  }

  function remember(written: Iterable<AccountRow>): void {
    for (const row of written) {
      const { id, kind, name } = row.account;
      const known = cached.get(id);
      if (known !== undefined) {
        known.row = row;
        continue;
      }
      const added = { row };
      named.set(keyOf(kind, name), added);
      cached.set(id, added);
    }
  }

  return {
    byName(kind, name) {
      store.requireUsable();
      return named.get(keyOf(kind, name))?.row ?? load(selectByName, ACCOUNT_KINDS[kind], name);
    },
    byId(id) {
      store.requireUsable();
      return cached.get(id)?.row ?? load(selectById, id);
    },
    nextId: () => ++lastId,
    insert({ account, lastEntry, lastTransfer }) {
      const { id, kind, name, currency, posted, held, incoming, floor, frozen } = account;
      insert.run(id, ACCOUNT_KINDS[kind], name, currency, posted, held, incoming, floor, Number(frozen), lastEntry, lastTransfer);
    },
    update({ account, lastEntry, lastTransfer }) {
      update.run(account.posted, account.held, account.incoming, lastEntry, lastTransfer, account.id);
    },
    updateFrozen(id, frozen) {
      updateFrozen.run(Number(frozen), id);
    },
    remember,
  };
}

function readRow(values: AccountValues): AccountRow {
  const [id, kindNumber, name, currency, posted, held, incoming, floor, frozen, lastEntry, lastTransfer] = values;
  const kind = KIND_NAMES[Number(kindNumber)];
  if (kind === undefined) throw new Error(`account ${id} of kind ${kindNumber}`);
  return {
    account: { id: Number(id), kind, name, currency, posted, held, incoming, floor, frozen: frozen !== 0n },
    lastEntry: lastEntry === null ? null : Number(lastEntry),
    lastTransfer,
  };
}

function keyOf(kind: Account['kind'], name: string): string {
  return `${ACCOUNT_KINDS[kind]} ${name}`;
}
