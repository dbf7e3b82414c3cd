// Checks the protocol's promises at every write that becomes durable and at every answer that is given, as it happens.

import { available } from '@strife/ledger';
import type { Account } from '@strife/ledger';
import type { StoredLeg } from '@strife/storage';
import { banksOf } from '@strife/two-phase-commit';
import type { BankName, DecisionRow, Fingerprint, LegState, LogId, TransferBody, TransferId, TransferResult } from '@strife/two-phase-commit';
import type { BooksDisk, WrittenBatch } from '../ports/memory-books.ts';
import type { DecisionDisk } from '../ports/memory-decision-log.ts';
import type { Trace } from '../trace.ts';

/** What somebody heard that may be relied on. `attempt`: up to which attempt of `log` nothing was applied nor ever will be. */
export type Told =
  | { readonly kind: 'succeeded'; readonly fingerprint: Fingerprint }
  | { readonly kind: 'declined'; readonly fingerprint: Fingerprint }
  | { readonly kind: 'not-applied'; readonly fingerprint: Fingerprint; readonly log: LogId; readonly attempt: number };

export interface Watch {
  /** The first promise that was broken. */
  violation: string | undefined;
  /** Legs in doubt at all banks. */
  inDoubt: number;
  readonly said: ReadonlyMap<TransferId, readonly Told[]>;
  fail(promise: string): void;
  rowWritten(log: LogId, before: DecisionRow | undefined, after: DecisionRow): void;
  rowDone(log: LogId, row: DecisionRow): void;
  batchWritten(bank: BankName, batch: WrittenBatch): void;
  told(disk: DecisionDisk, transfer: { id: TransferId; fingerprint: Fingerprint; body: TransferBody }, result: TransferResult): void;
}

export interface WatchOptions {
  readonly books: ReadonlyMap<BankName, BooksDisk>;
  readonly logs: ReadonlyMap<LogId, DecisionDisk>;
  /** What the customers of each bank hold at the beginning, by name. */
  readonly openings: ReadonlyMap<BankName, ReadonlyMap<string, bigint>>;
  readonly trace: Trace | undefined;
}

/** What an account must hold, by the legs that have become durable. */
interface Expected {
  posted: bigint;
  held: bigint;
  incoming: bigint;
}

/** What is also said when nothing left the gateway. */
const saidWithoutRow: ReadonlySet<string> = new Set(['unreachable', 'overloaded', 'fenced']);
const ABSENT: LegState = { kind: 'absent' };

export function createWatch({ books, logs, openings, trace }: WatchOptions): Watch {
  const commits = new Map<TransferId, { readonly log: LogId; readonly row: DecisionRow }>();
  const said = new Map<TransferId, Told[]>();
  const expected = new Map<BankName, Record<Account['kind'], Map<string, Expected>>>();
  for (const bank of books.keys()) expected.set(bank, { customer: new Map(), clearing: new Map(), equity: new Map() });

  const watch: Watch = { violation: undefined, inDoubt: 0, said, fail, rowWritten, rowDone, batchWritten, told };

  function fail(promise: string): void {
    trace?.(`BROKEN: ${promise}`);
    watch.violation ??= promise;
  }

  function rowWritten(log: LogId, before: DecisionRow | undefined, after: DecisionRow): void {
    const { id, attempt, fingerprint, verdict } = after;
    trace?.(`${log} durably: ${id.slice(-4)}#${attempt} ${verdict.outcome}${verdict.outcome === 'aborted' ? ` (${verdict.why})` : ''}`);
    if (before !== undefined) {
      if (before.verdict.outcome !== 'aborted') fail(`a final row never changes: ${id} in ${log}`);
      if (before.fingerprint !== fingerprint) fail(`a row keeps its body: ${id} in ${log}`);
      if (attempt <= before.attempt) fail(`a buried attempt stays buried: ${id} in ${log}`);
    }
    if (verdict.outcome !== 'committed') return;
    if (commits.has(id)) fail(`an id is committed at most once: ${id} in ${log} and in ${commits.get(id)!.log}`);
    commits.set(id, { log, row: after });
    for (const bank of banksOf(after.body)) {
      const state = books.get(bank)?.legs.get(id)?.state;
      const bound = (state?.kind === 'prepared' || state?.kind === 'committed') && state.log === log && state.attempt === attempt && state.fingerprint === fingerprint;
      if (!bound) fail(`what is committed is held or settled at both banks: ${id}#${attempt} of ${log} is ${state?.kind ?? 'absent'} at ${bank}`);
    }
    applied(id, fingerprint, log, attempt);
  }

  /** Both banks have acknowledged it, so neither holds anything for it. */
  function rowDone(log: LogId, { id, attempt, fingerprint, body }: DecisionRow): void {
    trace?.(`${log} durably: ${id.slice(-4)}#${attempt} is done`);
    for (const bank of banksOf(body)) {
      const state = books.get(bank)?.legs.get(id)?.state;
      const held = state?.kind === 'prepared' && state.log === log && state.fingerprint === fingerprint && state.attempt <= attempt;
      if (held) fail(`a decision is repeated until both banks acknowledged it: ${id}#${attempt} of ${log} is done, and prepared at ${bank}`);
    }
  }

  /** Nobody was told that this would not happen. */
  function applied(id: TransferId, fingerprint: Fingerprint, log: LogId, attempt: number): void {
    for (const earlier of said.get(id) ?? []) {
      if (earlier.fingerprint !== fingerprint || earlier.kind === 'succeeded') continue;
      if (earlier.kind === 'declined') fail(`what was told declined never happens: ${id}`);
      else if (earlier.log === log && earlier.attempt >= attempt) fail(`what was told not applied happens only by a later attempt: ${id}#${attempt} of ${log}`);
    }
  }

  function batchWritten(bank: BankName, { legs, accounts, entries }: WrittenBatch): void {
    let settled = 0;
    for (const { before, after } of legs) settled += legWritten(bank, before, after);
    if (entries.length !== 2 * settled) fail(`each settled leg has two entries: ${bank} wrote ${entries.length} for ${settled}`);
    let sum = 0n;
    for (const { amountMinor } of entries) sum += amountMinor;
    if (sum !== 0n) fail(`entries sum to zero: ${bank}`);
    for (const account of accounts) accountWritten(bank, account);
  }

  /** Returns 1 when the leg's money moved. */
  function legWritten(bank: BankName, before: StoredLeg | undefined, after: StoredLeg): number {
    const was = before?.state ?? ABSENT;
    const is = after.state;
    trace?.(`${bank} durably: ${after.id.slice(-4)} ${describe(is)}`);
    const wrong = wrongStep(was, is);
    if (wrong !== undefined) fail(`${wrong}: ${after.id} at ${bank}`);
    if (was.kind === 'prepared' && is.kind !== 'committed' && (is.kind !== 'prepared' || is.log !== was.log) && !isGivenUp(after.id, was)) {
      fail(`only a durable abort of its own log releases a leg: ${after.id}#${was.attempt} of ${was.log} at ${bank}`);
    }
    if (was.kind === 'prepared' && is.kind !== 'prepared') {
      watch.inDoubt -= 1;
      move(bank, after, -1n, false);
    }
    if (was.kind !== 'prepared' && is.kind === 'prepared') {
      watch.inDoubt += 1;
      move(bank, after, 1n, false);
    }
    if (was.kind === 'committed' || is.kind !== 'committed') return 0;
    move(bank, after, 1n, true);
    if (after.terms?.side !== 'both') {
      const commit = commits.get(after.id);
      if (commit === undefined || commit.log !== is.log || commit.row.attempt !== is.attempt || commit.row.fingerprint !== is.fingerprint) {
        fail(`a leg is settled only by a durable commit: ${after.id}#${is.attempt} of ${is.log} at ${bank}`);
      }
    }
    applied(after.id, is.fingerprint, is.log, is.attempt);
    return 1;
  }

  /** Whether the leg's own log will never commit this attempt. */
  function isGivenUp(id: TransferId, leg: LegState & { kind: 'prepared' }): boolean {
    const row = logs.get(leg.log)?.rows.get(id);
    if (row === undefined) return false;
    if (row.fingerprint !== leg.fingerprint) return true;
    return row.verdict.outcome === 'committed' ? row.attempt > leg.attempt : row.attempt >= leg.attempt;
  }

  /** Books the leg in the watch's own accounts: its hold, or its settling. */
  function move(bank: BankName, { terms }: StoredLeg, sign: bigint, posts: boolean): void {
    if (terms === undefined) return;
    const { body, side } = terms;
    const from = side === 'credit' ? expectedOf(bank, 'clearing', `${body.from.bank}/${body.currency}`) : expectedOf(bank, 'customer', body.from.account);
    const to = side === 'debit' ? expectedOf(bank, 'clearing', `${body.to.bank}/${body.currency}`) : expectedOf(bank, 'customer', body.to.account);
    const amount = sign * body.amountMinor;
    if (posts) {
      from.posted -= amount;
      to.posted += amount;
    } else {
      from.held += amount;
      to.incoming += amount;
    }
  }

  function expectedOf(bank: BankName, kind: Account['kind'], name: string): Expected {
    const accounts = expected.get(bank)![kind];
    let account = accounts.get(name);
    if (account === undefined) {
      const opening = kind === 'customer' ? openings.get(bank)?.get(name) : undefined;
      account = { posted: opening ?? 0n, held: 0n, incoming: 0n };
      accounts.set(name, account);
    }
    return account;
  }

  function accountWritten(bank: BankName, account: Account): void {
    const { kind, name, posted, held, incoming, floor } = account;
    const { posted: shouldPost, held: shouldHold, incoming: shouldCome } = expectedOf(bank, kind, name);
    if (held !== shouldHold) fail(`what is held is what is prepared: ${bank}/${name} holds ${held}, not ${shouldHold}`);
    if (incoming !== shouldCome) fail(`room is kept for what is prepared: ${bank}/${name} keeps ${incoming}, not ${shouldCome}`);
    if (posted !== shouldPost) fail(`a balance is the sum of what was settled: ${bank}/${name} has ${posted}, not ${shouldPost}`);
    if (floor !== null && available(account) < floor) fail(`no account is below its floor: ${bank}/${name} has ${available(account)}`);
  }

  function told(disk: DecisionDisk, { id, fingerprint, body }: { id: TransferId; fingerprint: Fingerprint; body: TransferBody }, result: TransferResult): void {
    trace?.(`${disk.logId} says of ${id.slice(-4)}: ${result.kind}`);
    if (result.kind === 'unknown') return;
    const fact = factOf(disk, id, fingerprint, result);
    const facts = said.get(id);
    if (facts === undefined) said.set(id, [fact]);
    else facts.push(fact);
    const commit = commits.get(id);
    const hasRow = commit?.row.fingerprint === fingerprint;
    const settled = [...books.values()].some(({ legs }) => {
      const state = legs.get(id)?.state;
      return state?.kind === 'committed' && state.fingerprint === fingerprint;
    });
    if (result.kind === 'not-applied' && banksOf(body).length === 2 && !saidWithoutRow.has(result.why) && disk.rows.get(id)?.fingerprint !== fingerprint) {
      fail(`an abort is durable before it is told: ${id} in ${disk.logId}`);
    }
    if (fact.kind === 'succeeded' && !hasRow && !settled) fail(`whoever is told succeeded can rely on a durable commit: ${id}`);
    if (fact.kind === 'declined' && (hasRow || settled)) fail(`what happened is not told declined: ${id}`);
    if (fact.kind === 'not-applied' && hasRow && commit.log === fact.log && commit.row.attempt <= fact.attempt) fail(`what happened is not told not applied: ${id}`);
  }

  return watch;
}

/** A log speaks of its own attempts: of those up to its last one that was aborted. */
function factOf(disk: DecisionDisk, id: TransferId, fingerprint: Fingerprint, result: TransferResult): Told {
  if (result.kind === 'succeeded' || result.kind === 'declined') return { kind: result.kind, fingerprint };
  const row = disk.rows.get(id);
  const log = disk.logId;
  if (row === undefined || row.fingerprint !== fingerprint) return { kind: 'not-applied', fingerprint, log, attempt: 0 };
  return { kind: 'not-applied', fingerprint, log, attempt: row.verdict.outcome === 'committed' ? row.attempt - 1 : row.attempt };
}

/** The rule that this change of a leg breaks, or undefined. */
function wrongStep(was: LegState, is: LegState): string | undefined {
  switch (was.kind) {
    case 'absent':
      return undefined;
    case 'committed':
    case 'declined':
      return is.kind === was.kind ? undefined : 'a final leg never changes';
    case 'prepared':
      if (is.kind === 'absent') return 'a leg is never forgotten';
      if (is.fingerprint !== was.fingerprint) return 'a leg keeps its body';
      return 'log' in is && is.log === was.log && is.attempt < was.attempt ? 'attempts only grow' : undefined;
    case 'aborted':
      if (is.kind === 'absent') return 'a leg is never forgotten';
      if (is.fingerprint !== was.fingerprint) return 'a leg keeps its body';
      if (is.kind === 'aborted') return is.attempt >= was.attempt ? undefined : 'a fence is never lowered';
      return is.kind === 'declined' || is.attempt > was.attempt ? undefined : 'a buried attempt stays buried';
  }
}

function describe(state: LegState): string {
  const attempt = 'attempt' in state ? `#${state.attempt}` : '';
  const log = 'log' in state ? ` of ${state.log}` : '';
  return `${attempt} ${state.kind}${log}${state.kind === 'declined' ? ` (${state.reason})` : ''}`;
}
