// A bank's legs with their entries, in the order of transfer ids; and what must hold between the two.

import { blobToId, idToBlob } from '../ids.ts';
import type { StoredLeg } from '../ledger-store.ts';
import { LEG_COLUMNS, readLeg } from '../leg-rows.ts';
import type { Finding } from './audit-report.ts';
import type { Books } from './bank-books.ts';
import { mergeByKey, type Keyed } from './ordered-merge.ts';
import type { Snapshot } from './snapshot.ts';
import { isSettled } from './transfer-rules.ts';

/** One bank's part in one transfer. */
export interface BankTransfer extends Keyed {
  readonly leg: StoredLeg | undefined;
  readonly entries: readonly TransferEntry[];
}

interface TransferEntry {
  readonly accountId: number;
  readonly amount: bigint;
}

export function* readTransfers(snapshot: Snapshot): Generator<BankTransfer> {
  const names = logNames(snapshot);
  for (const { key, items } of mergeByKey<LegItem | EntriesItem>([readLegs(snapshot, names), readEntries(snapshot)])) {
    const [legs, entries] = items as [LegItem | undefined, EntriesItem | undefined];
    yield { key, leg: legs?.leg, entries: entries?.entries ?? [] };
  }
}

/** One leg, by its id. */
export function findLeg(snapshot: Snapshot, id: string): StoredLeg | undefined {
  const [values] = snapshot.rows(`SELECT ${LEG_COLUMNS} FROM all_legs WHERE id = ?`, idToBlob(id));
  return values && readLeg(values, snapshot.name, logNames(snapshot));
}

/** Proves that a leg and its entries say the same, and adds what a prepared leg holds to its accounts. */
export function checkEntries(books: Books, { key, leg, entries }: BankTransfer, report: (finding: Finding) => void): void {
  const { bank } = books;
  const id = blobToId(key);
  if (entries.reduce((sum, { amount }) => sum + amount, 0n) !== 0n) {
    report({ invariant: 1, message: `the entries of a transfer do not sum to zero at ${bank}`, id });
  }
  if (leg === undefined || !isSettled(leg)) {
    if (entries.length > 0) report({ invariant: 4, message: `entries of a transfer that is not settled at ${bank}`, id });
    if (leg?.state.kind === 'prepared' && !addHold(books, leg)) report({ invariant: 5, message: `prepared between accounts that do not exist at ${bank}`, id });
    return;
  }
  const [from, to] = accountsOf(books, leg);
  const { amountMinor } = leg.terms.body;
  const [one, two] = entries;
  const once =
    entries.length === 2 && one?.accountId === from && one?.amount === -amountMinor && two?.accountId === to && two?.amount === amountMinor;
  if (!once) report({ invariant: 4, message: `settled, but its entries do not move its amount exactly once at ${bank}`, id });
}

interface LegItem extends Keyed {
  readonly leg: StoredLeg;
}

interface EntriesItem extends Keyed {
  readonly entries: TransferEntry[];
}

function* readLegs(snapshot: Snapshot, names: (number: number) => string): Generator<LegItem> {
  // Not of all_legs: so SQLite merges the two by their ids, and sorts only what is in doubt.
  const legs = `SELECT ${LEG_COLUMNS} FROM legs UNION ALL SELECT ${LEG_COLUMNS} FROM prepared_legs ORDER BY id`;
  for (const values of snapshot.rows(legs)) {
    yield { key: values[0] as Uint8Array, leg: readLeg(values, snapshot.name, names) };
  }
}

/** SQLite sorts outside memory where it must. */
function* readEntries(snapshot: Snapshot): Generator<EntriesItem> {
  let item: EntriesItem | undefined;
  for (const row of snapshot.rows('SELECT transfer_id, account_id, amount FROM entries WHERE transfer_id IS NOT NULL ORDER BY transfer_id, seq')) {
    const [key, accountId, amount] = row as [Uint8Array, bigint, bigint];
    const entry = { accountId: Number(accountId), amount };
    if (item !== undefined && Buffer.compare(item.key, key) === 0) {
      item.entries.push(entry);
    } else {
      if (item !== undefined) yield item;
      item = { key, entries: [entry] };
    }
  }
  if (item !== undefined) yield item;
}

function logNames(snapshot: Snapshot): (number: number) => string {
  const names = new Map([...snapshot.rows('SELECT number, log_id FROM logs')].map(([number, logId]) => [Number(number), String(logId)]));
  return (number) => names.get(number) ?? `#${number}`;
}

/** The ids of the accounts that a leg's money leaves and reaches, at its own bank. */
function accountsOf({ clearing, customerId }: Books, { accountId, terms }: StoredLeg): [number | undefined, number | undefined] {
  if (terms === undefined) return [undefined, undefined];
  const { side, body } = terms;
  const own = accountId ?? undefined;
  switch (side) {
    case 'debit':
      return [own, clearing.get(`${body.to.bank}/${body.currency}`)?.id];
    case 'credit':
      return [clearing.get(`${body.from.bank}/${body.currency}`)?.id, own];
    case 'both':
      return [own, customerId(body.to.account)];
  }
}

/** Whether both accounts are there. */
function addHold(books: Books, leg: StoredLeg): boolean {
  const [from, to] = accountsOf(books, leg);
  const taken = from === undefined ? undefined : books.holdsOf(from);
  const given = to === undefined ? undefined : books.holdsOf(to);
  if (taken !== undefined) taken.held += leg.terms?.body.amountMinor ?? 0n;
  return taken !== undefined && given !== undefined;
}
