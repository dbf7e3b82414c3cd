// All six invariants in full over what is durable, once everything has come to rest. It believes nothing that the watch counted.

import type { Account } from '@strife/ledger';
import { banksOf } from '@strife/two-phase-commit';
import type { BankName, TransferBody } from '@strife/two-phase-commit';
import type { Client } from '../nodes/client.ts';
import type { BooksDisk } from '../ports/memory-books.ts';
import type { DecisionDisk } from '../ports/memory-decision-log.ts';
import type { Told } from './watch.ts';

export interface AtRest {
  readonly books: ReadonlyMap<BankName, BooksDisk>;
  readonly logs: readonly DecisionDisk[];
  readonly clients: readonly Client[];
  readonly said: ReadonlyMap<string, readonly Told[]>;
}

/** Every promise that is broken. */
export function auditAtRest({ books, logs, clients, said }: AtRest): string[] {
  const broken: string[] = [];
  for (const bank of books.values()) broken.push(...auditBank(bank));
  broken.push(...auditClearing(books));
  for (const client of clients) broken.push(...auditTransfer(books, logs, client.payment), ...auditClient(books, client));
  for (const [id, facts] of said) for (const fact of facts) broken.push(...auditTold(books, id, fact));
  return broken;
}

function auditBank({ bank, accounts, entries, legs }: BooksDisk): string[] {
  const broken: string[] = [];
  const sums = new Map<string, bigint>();
  const posted = new Map<number, bigint>();
  for (const entry of entries) {
    const id = ('transferId' in entry ? entry.transferId : undefined) ?? 'deposits';
    sums.set(id, (sums.get(id) ?? 0n) + entry.amountMinor);
    const balance = (posted.get(entry.accountId) ?? 0n) + entry.amountMinor;
    posted.set(entry.accountId, balance);
    if (balance !== entry.postedMinor) broken.push(`1: an entry says the balance after it: ${bank}, account ${entry.accountId}`);
  }
  for (const [id, sum] of sums) if (sum !== 0n) broken.push(`1: the entries of a transfer sum to zero: ${id} at ${bank} to ${sum}`);
  let total = 0n;
  for (const account of accounts) {
    if (account === undefined) continue;
    total += account.posted;
    if (account.posted !== (posted.get(account.id) ?? 0n)) broken.push(`1: a balance is the sum of its entries: ${bank}/${account.name}`);
    broken.push(...auditAccount(bank, account));
  }
  if (total !== 0n) broken.push(`1: all accounts together sum to zero: ${bank} to ${total}`);
  for (const { id, state } of legs.values()) {
    if (state.kind === 'prepared') broken.push(`6: nothing stays in doubt: ${id} at ${bank}`);
    const entered = entries.filter((entry) => 'transferId' in entry && entry.transferId === id).length;
    if (entered !== (state.kind === 'committed' ? 2 : 0)) broken.push(`4: a committed leg is settled exactly once, another never: ${id} at ${bank} has ${entered} entries`);
  }
  return broken;
}

function auditAccount(bank: BankName, { name, posted, held, incoming, floor }: Account): string[] {
  const broken: string[] = [];
  if (held !== 0n || incoming !== 0n) broken.push(`5: at rest nothing is held: ${bank}/${name} holds ${held} and keeps room for ${incoming}`);
  if (floor !== null && posted - held < floor) broken.push(`5: no account is below its floor: ${bank}/${name}`);
  return broken;
}

function auditClearing(books: ReadonlyMap<BankName, BooksDisk>): string[] {
  const broken: string[] = [];
  for (const one of books.keys()) {
    for (const other of books.keys()) {
      if (one >= other) continue;
      if (clearing(books, one, other) + clearing(books, other, one) !== 0n) broken.push(`2: clearing accounts are opposite: ${one} and ${other}`);
    }
  }
  return broken;
}

function clearing(books: ReadonlyMap<BankName, BooksDisk>, bank: BankName, peer: BankName): bigint {
  let sum = 0n;
  for (const account of books.get(bank)?.accounts ?? []) if (account?.kind === 'clearing' && account.name.startsWith(`${peer}/`)) sum += account.posted;
  return sum;
}

function auditTransfer(books: ReadonlyMap<BankName, BooksDisk>, logs: readonly DecisionDisk[], { id, body, fingerprint }: Client['payment']): string[] {
  const states = banksOf(body).map((bank) => books.get(bank)?.legs.get(id)?.state).filter((state) => state !== undefined && state.kind !== 'absent' && state.fingerprint === fingerprint);
  const settled = states.filter((state) => state?.kind === 'committed').length;
  if (settled !== 0 && settled !== banksOf(body).length) return [`3: a transfer is settled at both banks or at neither: ${id}`];
  const rows = logs.filter(({ rows }) => rows.get(id)?.verdict.outcome === 'committed' && rows.get(id)?.fingerprint === fingerprint).length;
  if (banksOf(body).length === 2 && rows !== (settled === 0 ? 0 : 1)) return [`3: what is settled is committed in one log: ${id} in ${rows}`];
  return [];
}

/** The last word that a client heard. */
function auditClient(books: ReadonlyMap<BankName, BooksDisk>, { payment, final }: Client): string[] {
  const { id, body, fingerprint } = payment;
  if (final === undefined) return [`a client that asks again hears a final answer: ${id}`];
  const settled = isSettled(books, id, fingerprint, body);
  if (final.kind === 'succeeded' && !settled) return [`4: what was acknowledged as succeeded is settled: ${id}`];
  if (final.kind === 'declined' && settled) return [`4: what was told declined is not settled: ${id}`];
  return [];
}

function auditTold(books: ReadonlyMap<BankName, BooksDisk>, id: string, told: Told): string[] {
  for (const [bank, { legs }] of books) {
    const state = legs.get(id)?.state;
    if (state?.kind !== 'committed' || state.fingerprint !== told.fingerprint) continue;
    if (told.kind === 'declined') return [`4: what was told declined is not settled: ${id} at ${bank}`];
    if (told.kind === 'not-applied' && state.log === told.log && state.attempt <= told.attempt) return [`4: what was told not applied is settled by a later attempt only: ${id} at ${bank}`];
  }
  return [];
}

function isSettled(books: ReadonlyMap<BankName, BooksDisk>, id: string, fingerprint: string, body: TransferBody): boolean {
  return banksOf(body).every((bank) => {
    const state = books.get(bank)?.legs.get(id)?.state;
    return state?.kind === 'committed' && state.fingerprint === fingerprint;
  });
}
