// What a customer may see of the past: walks along the account's chains, newest first.

import type { Account } from '@strife/ledger';
import type { AccountName } from '@strife/two-phase-commit';
import type { AccountTable } from './account-table.ts';
import type { EntryRow, EntryTable } from './entry-table.ts';
import { blobToId, isId } from './ids.ts';
import type { HistoryEntry, Page, StoredLeg } from './ledger-store.ts';
import type { LegTable } from './leg-table.ts';
import { CursorError } from './store-error.ts';

/** The most legs that one page of transfers looks at, so that a payer of many aborted ones does not hold up the bank. */
const TRANSFERS_WALKED_MAX = 5_000;

export interface History {
  listEntries(account: string, pageSize: number, cursor?: string): Page<HistoryEntry>;
  listTransfers(account: string, pageSize: number, cursor?: string): Page<StoredLeg>;
}

export function openHistory(accounts: AccountTable, legs: LegTable, entries: EntryTable): History {
  /** A cursor is the seq of the next entry. It must be this account's: cursors come back from strangers. */
  function firstEntry(account: Account, head: number | null, cursor: string | undefined): EntryRow | undefined {
    if (cursor === undefined) return head === null ? undefined : entries.find(head);
    const seq = /^[1-9][0-9]{0,14}$/.test(cursor) ? Number(cursor) : 0;
    const entry = entries.find(seq);
    if (entry?.accountId !== account.id) throw new CursorError('the page token is not one of this account');
    return entry;
  }

  /** A cursor is the id of the next transfer. */
  function firstTransfer(account: Account, head: Uint8Array | null, cursor: string | undefined): StoredLeg | undefined {
    if (cursor === undefined) return head === null ? undefined : legs.find(blobToId(head));
    const leg = isId(cursor) ? legs.find(cursor) : undefined;
    if (leg?.accountId !== account.id || leg.terms?.side === 'credit') throw new CursorError('the page token is not one of this account');
    return leg;
  }

  function describeEntry(account: Account, { transferId, amountMinor, postedMinor, atMs }: EntryRow): HistoryEntry {
    const { currency } = account;
    const line = { amount: { currency, minorUnits: amountMinor }, posted: { currency, minorUnits: postedMinor }, settledAtMs: atMs };
    const body = transferId === undefined ? undefined : legs.find(transferId)?.terms?.body;
    if (transferId === undefined || body === undefined) return { ...line, memo: '' };
    const counterparty: AccountName = amountMinor < 0n ? body.to : body.from;
    return { transferId, counterparty, ...line, memo: body.memo };
  }

  return {
    listEntries(name, pageSize, cursor) {
      const row = accounts.byName('customer', name);
      if (row === undefined) return { items: [] };
      const items: HistoryEntry[] = [];
      let entry = firstEntry(row.account, row.lastEntry, cursor);
      while (entry !== undefined && items.length < pageSize) {
        items.push(describeEntry(row.account, entry));
        entry = entry.previous === null ? undefined : entries.find(entry.previous);
      }
      return entry === undefined ? { items } : { items, nextCursor: String(entry.seq) };
    },

    listTransfers(name, pageSize, cursor) {
      const row = accounts.byName('customer', name);
      if (row === undefined) return { items: [] };
      const items: StoredLeg[] = [];
      let leg = firstTransfer(row.account, row.lastTransfer, cursor);
      for (let walked = 0; leg !== undefined && items.length < pageSize && walked < TRANSFERS_WALKED_MAX; walked++) {
        if (leg.state.kind !== 'aborted') items.push(leg);
        const previous = legs.previous(leg.id);
        leg = previous === null ? undefined : legs.find(blobToId(previous));
      }
      return leg === undefined ? { items } : { items, nextCursor: leg.id };
    },
  };
}
