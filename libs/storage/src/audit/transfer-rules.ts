// What must hold of one transfer across banks and decision logs: invariants 3 and 4. Pure.

import type { DecisionRow, LegState, LegTerms } from '@strife/two-phase-commit';
import type { StoredLeg } from '../ledger-store.ts';
import type { Finding } from './audit-report.ts';

/** A decision row and the log that holds it. */
export interface LoggedDecision {
  readonly logId: string;
  readonly row: DecisionRow;
}

/** All that the stores hold of one id. */
export interface TransferView {
  readonly id: string;
  /** By bank. */
  readonly legs: ReadonlyMap<string, StoredLeg>;
  readonly decisions: readonly LoggedDecision[];
}

/** The stores that were given: only about these can something be missing. */
export interface AuditScope {
  readonly banks: ReadonlySet<string>;
  readonly logs: ReadonlySet<string>;
}

export function checkTransfer(view: TransferView, scope: AuditScope): Finding[] {
  const messages: Omit<Finding, 'id'>[] = [];
  for (const [bank, leg] of view.legs) {
    if (isSettled(leg)) messages.push(...checkSettledLeg(bank, leg, view, scope));
  }
  for (const { logId, row } of view.decisions) {
    if (row.verdict.outcome === 'committed') messages.push(...checkCommitted(logId, row, view, scope));
    else messages.push(...checkNotApplied(logId, row, view));
  }
  return messages.map((message) => ({ ...message, id: view.id }));
}

/** The bank of the other leg; undefined when both accounts are at this one. */
export function peerOf({ side, body }: LegTerms): string | undefined {
  if (side === 'both') return undefined;
  return side === 'debit' ? body.to.bank : body.from.bank;
}

type Committed = LegState & { readonly kind: 'committed' };
type SettledLeg = StoredLeg & { readonly state: Committed; readonly terms: LegTerms };

export function isSettled(leg: StoredLeg): leg is SettledLeg {
  return leg.state.kind === 'committed' && leg.terms !== undefined;
}

/** Settled at both banks or at neither, under the same body and by the same decision; and that decision is in its log. */
function* checkSettledLeg(bank: string, leg: SettledLeg, view: TransferView, scope: AuditScope): Generator<Omit<Finding, 'id'>> {
  const peer = peerOf(leg.terms);
  if (peer === undefined) return;
  if (scope.banks.has(peer)) {
    const wrong = compareLegs(leg, view.legs.get(peer));
    // Where both are settled, the payer's bank speaks for the two.
    if (wrong !== undefined && (leg.terms.side === 'debit' || !wrong.mutual)) {
      yield { invariant: 3, message: `settled at ${bank} and ${wrong.is} at ${peer}` };
    }
  }
  if (scope.logs.has(leg.state.log)) {
    const row = view.decisions.find(({ logId }) => logId === leg.state.log)?.row;
    if (row === undefined || row.fingerprint !== leg.state.fingerprint) {
      yield { invariant: 4, message: `settled at ${bank} and not decided in log ${leg.state.log}` };
    } else if (row.verdict.outcome === 'aborted' && row.attempt < leg.state.attempt) {
      yield { invariant: 4, message: `settled at ${bank} under an attempt that log ${leg.state.log} never decided` };
    }
  }
}

function compareLegs(leg: SettledLeg, other: StoredLeg | undefined): { is: string; mutual: boolean } | undefined {
  if (other === undefined) return { is: 'unknown', mutual: false };
  const { state } = other;
  if (state.kind !== 'committed' && state.kind !== 'prepared') return { is: state.kind, mutual: false };
  const mutual = state.kind === 'committed';
  if (state.fingerprint !== leg.state.fingerprint || !sameBody(leg, other)) return { is: `${state.kind} with another body`, mutual };
  if (state.log !== leg.state.log || state.attempt !== leg.state.attempt) return { is: `${state.kind} by another decision`, mutual };
  return undefined;
}

function sameBody({ terms }: SettledLeg, other: StoredLeg): boolean {
  if (other.terms === undefined) return false;
  const { body } = terms;
  const { from, to, currency, amountMinor, memo } = other.terms.body;
  return (
    from.bank === body.from.bank && from.account === body.from.account && to.bank === body.to.bank && to.account === body.to.account &&
    currency === body.currency && amountMinor === body.amountMinor && memo === body.memo
  );
}

/** What was acknowledged as succeeded is settled at both banks, or is on its way there. */
function* checkCommitted(logId: string, row: DecisionRow, view: TransferView, scope: AuditScope): Generator<Omit<Finding, 'id'>> {
  for (const bank of new Set([row.body.from.bank, row.body.to.bank])) {
    if (!scope.banks.has(bank)) continue;
    const state = view.legs.get(bank)?.state;
    const bound = state?.kind === 'committed' || state?.kind === 'prepared';
    if (bound && state.fingerprint === row.fingerprint && state.log === logId && state.attempt === row.attempt) continue;
    const is = state === undefined ? 'unknown' : bound ? `${state.kind} by another decision` : state.kind;
    yield { invariant: 4, message: `committed in log ${logId} and ${is} at ${bank}` };
  }
}

/** What was told as declined, or as not applied under this attempt or an earlier one, is not settled. */
function* checkNotApplied(logId: string, row: DecisionRow, view: TransferView): Generator<Omit<Finding, 'id'>> {
  const { verdict, fingerprint, attempt } = row;
  for (const [bank, leg] of view.legs) {
    if (!isSettled(leg) || leg.state.fingerprint !== fingerprint) continue;
    // A decline closes the id for every log; an abort speaks for its own log and for attempts up to its own.
    const covered = verdict.outcome === 'declined' || (leg.state.log === logId && leg.state.attempt <= attempt);
    if (covered) yield { invariant: 4, message: `${verdict.outcome} in log ${logId} and settled at ${bank}` };
  }
}
