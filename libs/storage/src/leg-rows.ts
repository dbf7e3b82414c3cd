// Legs between the protocol's form and the table's.

import type { SQLOutputValue } from 'node:sqlite';
import type { LegState, LegTerms, Side } from '@strife/two-phase-commit';
import { blobToHex, blobToId } from './ids.ts';
import type { StoredLeg } from './ledger-store.ts';

/** How states and sides are stored. Numbers are for ever; `prepared` must stay 0, as in the index legs_in_doubt. */
export const LEG_STATES = { prepared: 0, committed: 1, aborted: 2, declined: 3 } as const satisfies Record<Exclude<LegState['kind'], 'absent'>, number>;
export const SIDES = { debit: 0, credit: 1, both: 2 } as const satisfies Record<Side, number>;
const SIDE_NAMES: readonly Side[] = ['debit', 'credit', 'both'];

/** The numbers of coordinators' logs. */
export interface LogNumbers {
  /** Inside a write: a log that has none yet gets one. */
  number(logId: string): number;
  /** Throws for a number that no log has. */
  name(number: number): string;
}

/** What `readLeg` expects of a query, in this order. */
export const LEG_COLUMNS =
  'id, state, attempt, log, fingerprint, side, account_id, payer, payee, peer, currency, amount, memo, deadline_ms, reason, ' +
  'prepared_at_ms, ended_at_ms';

type LegValues = [
  id: Uint8Array, state: bigint, attempt: bigint, log: bigint | null, fingerprint: Uint8Array, side: bigint | null, accountId: bigint | null,
  payer: string, payee: string, peer: string, currency: string, amount: bigint, memo: string, deadlineMs: bigint, reason: string | null,
  preparedAtMs: bigint, endedAtMs: bigint | null,
];

/** Reads what a query over LEG_COLUMNS returned, integers as bigints. */
export function readLeg(values: readonly SQLOutputValue[], bank: string, logId: (number: number) => string): StoredLeg {
  const row = values as unknown as LegValues;
  const [id, , , , , side, accountId, , , , , , , , , preparedAtMs, endedAtMs] = row;
  return {
    id: blobToId(id),
    state: readState(row, logId),
    terms: side === null ? undefined : readTerms(row, bank),
    accountId: accountId === null ? null : Number(accountId),
    preparedAtMs: Number(preparedAtMs),
    endedAtMs: endedAtMs === null ? null : Number(endedAtMs),
  };
}

/** The other bank, or this one for a transfer inside it. */
export function peerOf({ side, body }: LegTerms): string {
  return side === 'credit' ? body.from.bank : body.to.bank;
}

function readState(row: LegValues, logId: (number: number) => string): LegState {
  const [, state, attemptValue, log, fingerprintValue] = row;
  const fingerprint = blobToHex(fingerprintValue);
  const attempt = Number(attemptValue);
  switch (Number(state)) {
    case LEG_STATES.prepared:
      return { kind: 'prepared', fingerprint, attempt, log: logId(Number(log)) };
    case LEG_STATES.committed:
      return { kind: 'committed', fingerprint, attempt, log: logId(Number(log)) };
    case LEG_STATES.aborted:
      return { kind: 'aborted', fingerprint, attempt };
    case LEG_STATES.declined:
      return { kind: 'declined', fingerprint, reason: row[14] ?? '' };
    default:
      throw new Error(`a leg in state ${state}`);
  }
}

function readTerms(row: LegValues, bank: string): LegTerms {
  const [, , , , , side, , payer, payee, peer, currency, amountMinor, memo, deadlineMs] = row;
  return termsOf({ side: Number(side), payer, payee, peer, currency, amountMinor, memo, deadlineMs: Number(deadlineMs) }, bank);
}

export interface StoredTerms {
  /** One of SIDES. */
  readonly side: number;
  readonly payer: string;
  readonly payee: string;
  /** As `peerOf` tells it. */
  readonly peer: string;
  readonly currency: string;
  readonly amountMinor: bigint;
  readonly memo: string;
  readonly deadlineMs: number;
}

/** The terms of a leg of this bank. */
export function termsOf({ side: number, payer, payee, peer, currency, amountMinor, memo, deadlineMs }: StoredTerms, bank: string): LegTerms {
  const side = SIDE_NAMES[number];
  if (side === undefined) throw new Error(`a leg of side ${number}`);
  return {
    side,
    body: {
      from: { bank: side === 'credit' ? peer : bank, account: payer },
      to: { bank: side === 'debit' ? peer : bank, account: payee },
      currency, amountMinor, memo,
    },
    deadlineMs,
  };
}
