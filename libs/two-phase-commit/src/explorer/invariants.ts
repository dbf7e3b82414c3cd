// The protocol's promises as checks on what can be seen of one transfer id. Pure, and free of the explorer: any program
// that can read logs and legs may use them.

import type { LegState } from '../protocol/participant-machine.ts';
import type { BankName, DecisionRow, Fingerprint, LogId, TransferBody } from '../protocol/vocabulary.ts';
import { banksOf } from '../protocol/vocabulary.ts';

/** What a client heard that it may rely on. */
export type Told =
  | { readonly kind: 'succeeded'; readonly fingerprint: Fingerprint }
  | { readonly kind: 'declined'; readonly fingerprint: Fingerprint }
  /** Attempts up to this one, at this log, applied nothing and never will. */
  | { readonly kind: 'not-applied'; readonly fingerprint: Fingerprint; readonly log: LogId; readonly attempt: number };

export interface SeenLeg {
  readonly bank: BankName;
  readonly state: LegState;
  /** Promised and not yet settled or released, in minor units. */
  readonly held: number;
  /** The change of the customers' balances, in minor units. */
  readonly posted: number;
  /** How often this leg was settled. */
  readonly settled: number;
}

/** All that is durable about one transfer id, and what clients have been told about it. */
export interface Observation {
  /** The bodies that were asked for under the id, by fingerprint. */
  readonly bodies: ReadonlyMap<Fingerprint, TransferBody>;
  readonly rows: readonly { readonly log: LogId; readonly row: DecisionRow | undefined }[];
  readonly legs: readonly SeenLeg[];
  readonly told: readonly Told[];
}

/** What must hold at every moment, whatever has failed: the first promise that is broken, or undefined. */
export function violationOf(seen: Observation): string | undefined {
  return (
    atMostOneCommit(seen) ?? committedIsBoundEverywhere(seen) ?? settledIsDecided(seen) ?? booksFollowLegs(seen) ?? toldIsTrue(seen)
  );
}

/** What must hold between any moment and a later one. */
export function violationOfChange(before: Observation, after: Observation): string | undefined {
  for (const [index, { log, row }] of before.rows.entries()) {
    const later = after.rows[index]?.row;
    if (row === undefined || row === later) continue;
    if (row.verdict.outcome !== 'aborted') return `a final row never changes: log ${log}`;
    if (later === undefined || later.fingerprint !== row.fingerprint) return `a row keeps its body: log ${log}`;
    if (later.attempt < row.attempt || (later.attempt === row.attempt && later.verdict.outcome === 'committed')) {
      return `a buried attempt stays buried: log ${log}`;
    }
  }
  for (const [index, { bank, state }] of before.legs.entries()) {
    const later = after.legs[index]?.state;
    if (state === later || later === undefined) continue;
    if ((state.kind === 'committed' || state.kind === 'declined') && later.kind !== state.kind) {
      return `a final leg never changes: ${bank}`;
    }
    if (later.kind === 'absent') return `a leg is never forgotten: ${bank}`;
  }
  return undefined;
}

/** What must hold once every message has arrived, every process is up and every retry is done. */
export function violationAtRest(seen: Observation): string | undefined {
  const open = seen.legs.find(({ state }) => state.kind === 'prepared');
  if (open !== undefined) return `at rest nothing is in doubt: ${open.bank} still holds attempt ${attemptOf(open.state)}`;
  return violationOf(seen) ?? sameAtBothBanks(seen);
}

/**
 * What must hold at rest in a world where no bank ever asks: a leg may wait for a retry, but not one whose attempt
 * has already been decided.
 */
export function decidedLegsLeftBehind(seen: Observation): string | undefined {
  for (const { bank, state } of seen.legs) {
    if (state.kind !== 'prepared') continue;
    const row = seen.rows.find(({ log }) => log === state.log)?.row;
    if (row === undefined || row.fingerprint !== state.fingerprint) continue;
    if (row.verdict.outcome !== 'aborted' || state.attempt <= row.attempt) {
      return `at rest no decided attempt is still held: ${bank} holds attempt ${state.attempt}, log ${state.log} decided ${row.attempt}`;
    }
  }
  return undefined;
}

function atMostOneCommit(seen: Observation): string | undefined {
  const committed = seen.rows.filter(({ row }) => row?.verdict.outcome === 'committed');
  return committed.length > 1 ? `one id is committed at most once: logs ${committed.map(({ log }) => log).join(' and ')}` : undefined;
}

/** Where a commit is decided, every bank of the body holds exactly that attempt, or has settled it. */
function committedIsBoundEverywhere(seen: Observation): string | undefined {
  for (const { log, row } of seen.rows) {
    if (row?.verdict.outcome !== 'committed') continue;
    for (const bank of banksOf(row.body)) {
      const state = seen.legs.find((leg) => leg.bank === bank)?.state;
      const bound =
        (state?.kind === 'prepared' || state?.kind === 'committed') &&
        state.log === log && state.attempt === row.attempt && state.fingerprint === row.fingerprint;
      if (!bound) return `a committed transfer is held or settled at both banks: ${bank} is ${state?.kind ?? 'unknown'}`;
    }
  }
  return undefined;
}

/** A leg between banks is settled only by its log's commit of its attempt. */
function settledIsDecided(seen: Observation): string | undefined {
  for (const { bank, state } of seen.legs) {
    if (state.kind !== 'committed' || isOnePhase(seen, state.fingerprint)) continue;
    const row = seen.rows.find(({ log }) => log === state.log)?.row;
    const decided =
      row?.verdict.outcome === 'committed' && row.attempt === state.attempt && row.fingerprint === state.fingerprint;
    if (!decided) return `a leg is settled only after its commit is durable: ${bank}, attempt ${state.attempt} of log ${state.log}`;
  }
  return undefined;
}

/** Holds and balances are what the leg's state says, and no leg is settled twice. */
function booksFollowLegs(seen: Observation): string | undefined {
  for (const { bank, state, held, posted, settled } of seen.legs) {
    const body = state.kind === 'absent' ? undefined : seen.bodies.get(state.fingerprint);
    const amount = Number(body?.amountMinor ?? 0n);
    if (held !== (state.kind === 'prepared' ? amount : 0)) return `what is held is what is prepared: ${bank} holds ${held}`;
    if (settled !== (state.kind === 'committed' ? 1 : 0)) return `a leg is settled once, when it is committed: ${bank}, ${settled} times`;
    const change = state.kind === 'committed' && body !== undefined ? changeAt(bank, body) : 0;
    if (posted !== change) return `a balance changes by the leg's amount: ${bank} by ${posted}, not ${change}`;
  }
  return undefined;
}

function toldIsTrue(seen: Observation): string | undefined {
  for (const told of seen.told) {
    const commits = seen.rows.filter(({ row }) => row?.verdict.outcome === 'committed' && row.fingerprint === told.fingerprint);
    const legs = seen.legs.map(({ state }) => state).filter((state) => state.kind === 'committed');
    const settled = legs.filter((state) => state.fingerprint === told.fingerprint);
    switch (told.kind) {
      case 'succeeded':
        if (isOnePhase(seen, told.fingerprint) ? settled.length === 0 : commits.length === 0) {
          return 'whoever was told succeeded can rely on a durable commit';
        }
        break;
      case 'declined':
        if (commits.length + settled.length > 0) return 'what was told declined never happens';
        break;
      case 'not-applied': {
        const applied =
          commits.some(({ log, row }) => log === told.log && (row?.attempt ?? 0) <= told.attempt) ||
          settled.some((state) => state.log === told.log && state.attempt <= told.attempt);
        if (applied) return `what was told not applied happens only by a later attempt: attempt ${told.attempt} of log ${told.log}`;
        break;
      }
    }
  }
  return undefined;
}

function sameAtBothBanks(seen: Observation): string | undefined {
  if (seen.legs.some(({ held }) => held !== 0)) return 'at rest nothing is held';
  const settled = new Map<Fingerprint, number>();
  for (const { state } of seen.legs) {
    if (state.kind === 'committed') settled.set(state.fingerprint, (settled.get(state.fingerprint) ?? 0) + 1);
  }
  for (const [fingerprint, count] of settled) {
    const body = seen.bodies.get(fingerprint);
    if (body === undefined || count !== banksOf(body).length) return 'at rest a transfer is settled at both banks or at neither';
  }
  return seen.legs.reduce((sum, { posted }) => sum + posted, 0) === 0 ? undefined : 'at rest no money was made or lost';
}

function changeAt(bank: BankName, body: TransferBody): number {
  const amount = Number(body.amountMinor);
  return (body.to.bank === bank ? amount : 0) - (body.from.bank === bank ? amount : 0);
}

function isOnePhase(seen: Observation, fingerprint: Fingerprint): boolean {
  const body = seen.bodies.get(fingerprint);
  return body !== undefined && banksOf(body).length === 1;
}

function attemptOf(state: LegState): number {
  return state.kind === 'prepared' ? state.attempt : 0;
}
