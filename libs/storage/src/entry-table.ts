// The entries of a bank's store: append-only, chained backwards for each account.

import type { SQLOutputValue } from 'node:sqlite';
import type { Entry } from '@strife/ledger';
import type { TransferId } from '@strife/two-phase-commit';
import { blobToId, writeId } from './ids.ts';
import type { StoreFile } from './store-file.ts';

export interface EntryRow {
  readonly seq: number;
  readonly accountId: number;
  /** Absent for a deposit. */
  readonly transferId?: string;
  readonly amountMinor: bigint;
  readonly postedMinor: bigint;
  readonly atMs: number;
  readonly previous: number | null;
}

export interface EntryTable {
  find(seq: number): EntryRow | undefined;
  /** Of all entries; 0 for none. */
  lastSeq(): number;
  /** Inside a write. Returns the new entry's seq; seqs only grow. */
  append(entry: Entry, transferId: TransferId | null, atMs: number, previous: number | null): number;
}

export function openEntryTable(store: StoreFile): EntryTable {
  const select = store.prepareExact('SELECT seq, account_id, transfer_id, amount, posted, at_ms, previous FROM entries WHERE seq = ?');
  const insert = store.prepare('INSERT INTO entries (seq, account_id, transfer_id, amount, posted, at_ms, previous) VALUES (?, ?, ?, ?, ?, ?, ?)');
  const [maxSeq] = store.prepare('SELECT coalesce(max(seq), 0) FROM entries').get() as unknown as [number];
  let lastSeq = maxSeq;
  /** The key of the transfer `keyed`: both entries of a transfer come one after the other, and a statement copies what it is given. */
  const key = new Uint8Array(16);
  let keyed: TransferId | null = null;
  return {
    find(seq) {
      const values = store.read(() => select.get(seq)) as unknown as SQLOutputValue[] | undefined;
      return values && readEntry(values);
    },
    lastSeq: () => lastSeq,
    append({ accountId, amountMinor, postedMinor }, transferId, atMs, previous) {
      if (transferId !== null && transferId !== keyed) writeId(transferId, key);
      keyed = transferId;
      // By `get`: `run` makes an object that says how many rows changed, which costs a tenth of the statement.
      insert.get(++lastSeq, accountId, transferId === null ? null : key, amountMinor, postedMinor, atMs, previous);
      return lastSeq;
    },
  };
}

function readEntry(values: readonly SQLOutputValue[]): EntryRow {
  const [seq, accountId, transferId, amountMinor, postedMinor, atMs, previous] = values as [
    bigint, bigint, Uint8Array | null, bigint, bigint, bigint, bigint | null,
  ];
  return {
    seq: Number(seq),
    accountId: Number(accountId),
    ...(transferId === null ? {} : { transferId: blobToId(transferId) }),
    amountMinor,
    postedMinor,
    atMs: Number(atMs),
    previous: previous === null ? null : Number(previous),
  };
}
