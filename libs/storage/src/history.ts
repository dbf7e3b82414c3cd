// What a customer may see of the past: walks along the account's chains, newest first.

import type { Account } from '@strife/ledger';
import type { AccountName, TransferId } from '@strife/two-phase-commit';
import type { AccountTable } from './account-table.ts';
import type { EntryRow, EntryTable } from './entry-table.ts';
import { isId } from './ids.ts';
import type { HistoryEntry, Page, StoredLeg } from './ledger-store.ts';
import type { ChainedLeg, LegTable } from './leg-table.ts';
import { CursorError } from './store-error.ts';
import type { StoreFile } from './store-file.ts';

/**
 * The most entries or legs that one page looks at, whatever it was asked for and however few of them it shows: about a millisecond of the
 * thread that votes, from memory.
 */
const ROWS_WALKED_MAX = 200;

export interface HistoryTables {
  readonly store: Pick<StoreFile, 'readTogether'>;
  readonly accounts: AccountTable;
  readonly legs: LegTable;
  readonly entries: EntryTable;
}

export interface History {
  listEntries(account: string, pageSize: number, cursor?: string): Page<HistoryEntry>;
  listTransfers(account: string, pageSize: number, cursor?: string): Page<StoredLeg>;
}

export function openHistory({ store, accounts, legs, entries }: HistoryTables): History {
  /** A cursor is the seq of the next entry. It must be this account's: cursors come back from strangers. */
  function firstEntry(account: Account, head: number | null, cursor: string | undefined): EntryRow | undefined {
    if (cursor === undefined) return head === null ? undefined : entries.find(head);
    const seq = /^[1-9][0-9]{0,14}$/.test(cursor) ? Number(cursor) : 0;
    const entry = entries.find(seq);
    if (entry?.accountId !== account.id) throw new CursorError('the page token is not one of this account');
    return entry;
  }

  /** A cursor is the id of the next transfer. */
  function firstTransfer(account: Account, head: TransferId | null, cursor: string | undefined): ChainedLeg | undefined {
    if (cursor === undefined) return head === null ? undefined : legs.findChained(head);
    const found = isId(cursor) ? legs.findChained(cursor) : undefined;
    if (found?.leg.accountId !== account.id || found.leg.terms?.side === 'credit') throw new CursorError('the page token is not one of this account');
    return found;
  }

  function describeEntry(account: Account, { transferId, amountMinor, postedMinor, atMs }: EntryRow): HistoryEntry {
    const { currency } = account;
    const line = { amount: { currency, minorUnits: amountMinor }, posted: { currency, minorUnits: postedMinor }, settledAtMs: atMs };
    const body = transferId === undefined ? undefined : legs.find(transferId)?.terms?.body;
    if (transferId === undefined || body === undefined) return { ...line, memo: '' };
    const counterparty: AccountName = amountMinor < 0n ? body.to : body.from;
    return { transferId, counterparty, ...line, memo: body.memo };
  }

  // Cursors are looked at before the walk: an error while reading together ends the store, and a stranger's cursor must not.
  return {
    listEntries(name, pageSize, cursor) {
      const row = accounts.byName('customer', name);
      const first = row && firstEntry(row.account, row.lastEntry, cursor);
      if (first === undefined) return { items: [] };
      return store.readTogether(() => walk(first, pageSize, entries.find, (entry) => describeEntry(row!.account, entry)));
    },

    listTransfers(name, pageSize, cursor) {
      const row = accounts.byName('customer', name);
      const first = row && firstTransfer(row.account, row.lastTransfer, cursor);
      if (first === undefined) return { items: [] };
      return store.readTogether(() => walk(first, pageSize, legs.findChained, ({ leg }) => (leg.state.kind === 'aborted' ? undefined : leg)));
    },
  };
}

/** One page of a chain. @param describe what is shown of a row; undefined for nothing */
function walk<Key extends string | number, Row extends { readonly previous: Key | null }, Item>(
  first: Row, pageSize: number, find: (key: Key) => Row | undefined, describe: (row: Row) => Item | undefined,
): Page<Item> {
  const items: Item[] = [];
  let row: Row | undefined = first;
  for (let walked = 1; row !== undefined; walked++) {
    const item = describe(row);
    if (item !== undefined) items.push(item);
    if (row.previous === null) break;
    if (items.length >= pageSize || walked >= ROWS_WALKED_MAX) return { items, nextCursor: String(row.previous) };
    row = find(row.previous);
  }
  return { items };
}
