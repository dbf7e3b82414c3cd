// The rules of the decision log: who may write over what, and what an inquiring bank is told. Pure.

import type { DecisionRow, Proposal, Reason, TransferRequest } from './vocabulary.ts';

/**
 * The compare-and-set of the decision log: whether `proposal` may take the place of `row`. Whoever loses obeys the row.
 *
 * A commit needs exactly the attempt after the last aborted one, so an attempt that was given up can never commit.
 * An abort may also jump ahead: it then buries every attempt up to its own, which is how a coordinator gets past a
 * bank's fence without two attempts of one log ever being alive at once.
 */
export function mayReplace(row: DecisionRow | undefined, proposal: Proposal): boolean {
  const buried = row === undefined ? 0 : row.attempt;
  if (row !== undefined && (row.verdict.outcome !== 'aborted' || row.fingerprint !== proposal.fingerprint)) return false;
  return proposal.verdict.outcome === 'aborted' ? proposal.attempt > buried : proposal.attempt === buried + 1;
}

/** What a bank asks about a leg that it holds prepared. */
export interface Inquiry extends TransferRequest {
  readonly attempt: number;
}

export type InquiryAnswer =
  | { readonly kind: 'committed'; readonly attempt: number }
  | { readonly kind: 'aborted'; readonly attempt: number; readonly reason?: Reason }
  /** The attempt may still be decided either way: ask again. */
  | { readonly kind: 'pending' }
  /** Nobody will decide it: write this first, then answer from the row that the log then holds. */
  | { readonly kind: 'write-first'; readonly proposal: Proposal };

/**
 * Answers a bank's inquiry from the log's row.
 *
 * @param mayStillRun whether the attempt runs here, or could at another gateway on this log. Only politeness rests on it:
 *   a wrong `false` aborts a live attempt, and the compare-and-set makes that attempt obey.
 */
export function answerInquiry(row: DecisionRow | undefined, inquiry: Inquiry, mayStillRun: boolean): InquiryAnswer {
  const { attempt, fingerprint } = inquiry;
  const aborted: InquiryAnswer = { kind: 'aborted', attempt };
  // The log decided about another body under this id, so this one never was and never will be committed by it.
  if (row !== undefined && row.fingerprint !== fingerprint) return aborted;
  if (row?.verdict.outcome === 'committed') return row.attempt === attempt ? { kind: 'committed', attempt } : aborted;
  if (row?.verdict.outcome === 'declined') return { ...aborted, reason: row.verdict.reason };
  if (row !== undefined && row.attempt >= attempt) return aborted;
  if (mayStillRun) return { kind: 'pending' };
  return { kind: 'write-first', proposal: { ...inquiry, verdict: { outcome: 'aborted', why: 'inquiry' } } };
}
