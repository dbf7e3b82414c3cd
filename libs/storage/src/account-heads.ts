// What rows of accounts do not show, found again at start: the ends of the two chains that hang on each account.

import type { TransferId } from '@strife/two-phase-commit';
import { blobToId, idToBlob } from './ids.ts';
import type { PreparedEntry } from './prepared-legs.ts';
import { readShownUpTo } from './late-accounts.ts';
import type { StoreFile } from './store-file.ts';

/** A transfer with its place in the chain of its payer's transfers. */
interface Link {
  readonly id: TransferId;
  readonly payer: number;
  readonly previous: TransferId | null;
}

/**
 * By account, the newest transfer that it pays, where legs without a row come after the one that is stored: preparing those does not write the
 * account.
 *
 * @param prepared all legs in doubt
 */
export function newestTransfers(store: StoreFile, prepared: readonly PreparedEntry[]): Map<number, TransferId> {
  return ends(store, linksOf(prepared));
}

/**
 * Brings the rows of accounts up to date with the entries that were written since they were. After a clean stop there are none.
 *
 * A transfer that the account pays and that has ended since has an entry that takes from it. One that ended without an entry had the account's row
 * written with it, and so does any leg that gets a row while it is prepared; so the chain is whole.
 */
export function catchUp(store: StoreFile, prepared: readonly PreparedEntry[]): void {
  const upTo = readShownUpTo(store);
  const [last] = store.prepare('SELECT coalesce(max(seq), 0) FROM entries').get() as unknown as [number];
  if (upTo === last) return;
  const links = linksOf(prepared);
  const settled = store.prepare(`
    SELECT legs.id, legs.account_id, legs.previous FROM entries JOIN legs ON legs.id = entries.transfer_id
    WHERE entries.seq > ? AND entries.amount < 0 AND entries.account_id = legs.account_id`).iterate(upTo) as unknown as Iterable<[Uint8Array, number, Uint8Array | null]>;
  for (const [id, payer, previous] of settled) links.push({ id: blobToId(id), payer, previous: previous && blobToId(previous) });
  store.write(() => {
    const saveTransfer = store.prepare('UPDATE accounts SET last_transfer = ? WHERE id = ?');
    for (const [payer, id] of ends(store, links)) saveTransfer.run(idToBlob(id), payer);
    store.prepare(`
      UPDATE accounts SET posted = newest.posted, last_entry = newest.seq
      FROM (SELECT account_id, max(seq) AS seq, posted FROM entries WHERE seq > ? GROUP BY account_id) AS newest
      WHERE accounts.id = newest.account_id AND newest.seq > coalesce(accounts.last_entry, 0)`).run(upTo);
    store.prepare('UPDATE accounts_shown SET up_to = ?').run(last);
  });
}

function linksOf(prepared: readonly PreparedEntry[]): Link[] {
  const links: Link[] = [];
  for (const { id, leg, previous, row } of prepared) {
    if (row === undefined || leg?.terms?.side === 'credit' || typeof leg?.accountId !== 'number') continue;
    links.push({ id, payer: leg.accountId, previous });
  }
  return links;
}

/** By payer, the last of the links that go on from what is stored. */
function ends(store: StoreFile, links: readonly Link[]): Map<number, TransferId> {
  const select = store.prepare('SELECT last_transfer FROM accounts WHERE id = ?');
  const following = new Map<string, TransferId>();
  for (const { id, payer, previous } of links) following.set(`${payer} ${previous ?? ''}`, id);
  const newest = new Map<number, TransferId>();
  for (const payer of new Set(links.map((link) => link.payer))) {
    const [stored] = (select.get(payer) as unknown as [Uint8Array | null] | undefined) ?? [null];
    let last = following.get(`${payer} ${stored === null ? '' : blobToId(stored)}`);
    for (; last !== undefined; last = following.get(`${payer} ${last}`)) newest.set(payer, last);
  }
  return newest;
}
