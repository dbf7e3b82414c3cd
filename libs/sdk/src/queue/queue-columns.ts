// A row of the queue's SQLite table, to and from the columns it is kept in.

import type { SQLInputValue } from 'node:sqlite';
import type { DeclineReason, Transfer } from '../model.ts';
import type { QueueRow, QueueState } from './queue-store.ts';

export const COLUMNS = `position, id, payer, payee, currency, amount_minor, memo, created_at_ms, expires_at_ms, state, attempts, unanswered,
  problem_code, problem_message, transfer, result_seq, bad_answers`;

/** What a query gives, with every integer as a bigint: amounts have 64 bits. */
export type Columns = Record<string, string | bigint | null>;

/** The columns that change after a payment was queued, in the order in which the store's statements name them. */
export function changingValues(row: QueueRow): SQLInputValue[] {
  return [
    row.state,
    row.attempts,
    row.unanswered ? 1 : 0,
    row.problem?.code ?? null,
    row.problem?.message ?? null,
    row.transfer ? transferText(row.transfer) : null,
    row.badAnswers,
  ];
}

export function toRow(columns: Columns): QueueRow {
  const base = {
    id: String(columns['id']),
    from: String(columns['payer']),
    to: String(columns['payee']),
    amount: { currency: String(columns['currency']), minorUnits: columns['amount_minor'] as bigint },
    memo: String(columns['memo']),
    createdAt: new Date(Number(columns['created_at_ms'])),
  };
  const { problem_code: code, problem_message: message, transfer, result_seq: resultSeq, expires_at_ms: expiresAtMs } = columns;
  return {
    ...base,
    ...(isSet(expiresAtMs) && { expiresAt: new Date(Number(expiresAtMs)) }),
    state: String(columns['state']) as QueueState,
    attempts: Number(columns['attempts']),
    unanswered: columns['unanswered'] === 1n,
    ...(isSet(code) && { problem: { code: String(code), message: String(message) } }),
    ...(isSet(transfer) && { transfer: toTransfer(String(transfer), base) }),
    ...(isSet(resultSeq) && { resultSeq: Number(resultSeq) }),
    badAnswers: Number(columns['bad_answers']),
  };
}

function isSet(value: string | bigint | null | undefined): boolean {
  return value !== null && value !== undefined;
}

/** What the gateway's answer adds to the row. */
interface TransferText {
  state: Transfer['state'];
  declineReason?: DeclineReason | undefined;
  replayed: boolean;
  createdAtMs: number;
  decidedAtMs?: number | undefined;
}

function transferText({ state, declineReason, replayed, createdAt, decidedAt }: Transfer): string {
  return JSON.stringify({
    state,
    declineReason,
    replayed,
    createdAtMs: createdAt.getTime(),
    decidedAtMs: decidedAt?.getTime(),
  } satisfies TransferText);
}

function toTransfer(text: string, { id, from, to, amount, memo }: Omit<Transfer, 'state' | 'replayed'>): Transfer {
  const { state, declineReason, replayed, createdAtMs, decidedAtMs } = JSON.parse(text) as TransferText;
  return {
    id,
    from,
    to,
    amount,
    memo,
    state,
    ...(declineReason && { declineReason }),
    replayed,
    createdAt: new Date(createdAtMs),
    ...(decidedAtMs !== undefined && { decidedAt: new Date(decidedAtMs) }),
  };
}
