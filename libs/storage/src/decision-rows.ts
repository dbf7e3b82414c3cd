// Decision rows between the protocol's form and the table's.

import type { SQLOutputValue } from 'node:sqlite';
import type { DecisionRow, Verdict } from '@strife/two-phase-commit';
import { blobToHex, blobToId } from './ids.ts';

/** How outcomes are stored. Numbers are for ever. */
export const OUTCOMES = { committed: 0, declined: 1, aborted: 2 } as const satisfies Record<Verdict['outcome'], number>;

/** The columns of a decision, in the order in which they are written and read. */
export const DECISION_COLUMNS =
  'id, attempt, fingerprint, outcome, reason, from_bank, from_account, to_bank, to_account, currency, amount, memo, created_at_ms, decided_at_ms';

/** Of a decline, or why an abort is transient. */
export function reasonOf(verdict: Verdict): string | null {
  if (verdict.outcome === 'committed') return null;
  return verdict.outcome === 'declined' ? verdict.reason : verdict.why;
}

/** Reads what a query over DECISION_COLUMNS returned, integers as bigints. */
export function readDecision(values: readonly SQLOutputValue[]): DecisionRow {
  const [id, attempt, fingerprint, outcome, reason, fromBank, fromAccount, toBank, toAccount, currency, amountMinor, memo, createdAtMs, decidedAtMs] =
    values as [
      Uint8Array, bigint, Uint8Array, bigint, string | null, string, string, string, string, string, bigint, string, bigint, bigint,
    ];
  return {
    id: blobToId(id),
    attempt: Number(attempt),
    fingerprint: blobToHex(fingerprint),
    body: { from: { bank: fromBank, account: fromAccount }, to: { bank: toBank, account: toAccount }, currency, amountMinor, memo },
    verdict: readVerdict(Number(outcome), reason),
    createdAtMs: Number(createdAtMs),
    decidedAtMs: Number(decidedAtMs),
  };
}

function readVerdict(outcome: number, reason: string | null): Verdict {
  switch (outcome) {
    case OUTCOMES.committed:
      return { outcome: 'committed' };
    case OUTCOMES.declined:
      return { outcome: 'declined', reason: reason ?? '' };
    case OUTCOMES.aborted:
      return { outcome: 'aborted', why: (reason ?? 'inquiry') as (Verdict & { outcome: 'aborted' })['why'] };
    default:
      throw new Error(`a decision row with outcome ${outcome}`);
  }
}
