// What callers of the queue give it: the checks, and the errors that say what is wrong.

import { formatAccountName } from '../account-name.ts';
import { ConflictError, InvalidArgumentError, NotFoundError, StrifeError } from '../errors.ts';
import { toPayment, type NewTransfer } from '../payment-request.ts';
import type { QueueRow, QueueState } from './queue-store.ts';

/** The longest that a payment may wait in the queue: ten years. */
const EXPIRES_IN_MS_MAX = 10 * 366 * 24 * 60 * 60 * 1000;

/**
 * A payment to queue. The payer is the account that is logged in, even when its session has expired. The same payment with the same id is
 * queued once, however often it is given. An `id` of yours counts as sent already, with its answer missing, unless `earlierSendsAnswered`: it
 * cannot be dropped, and after its time its bank is asked. `expiresAt` and `expiresInMs` are by this machine's clock here, and by the clock of the payer's
 * bank there.
 */
export type NewQueuedTransfer = Omit<NewTransfer, 'wait'>;

/** The row for a new payment; checks what can be checked without a gateway. Throws InvalidArgumentError. */
export function newRow(payment: NewQueuedTransfer, from: string, state: QueueState, nowMs: number): QueueRow {
  const { id, earlierSendsAnswered, to, amount, memo } = payment;
  const { request, isNew } = toPayment({ id, earlierSendsAnswered, to, amount, memo });
  const expiresAt = expiry(payment, nowMs);
  return {
    id: request.id,
    from,
    to: formatAccountName(request.to),
    amount: { currency: amount.currency, minorUnits: amount.minorUnits },
    memo: request.memo,
    state,
    createdAt: new Date(nowMs),
    ...(expiresAt && { expiresAt }),
    attempts: 0,
    unanswered: !isNew,
    badAnswers: 0,
  };
}

function expiry({ expiresAt, expiresInMs }: NewQueuedTransfer, nowMs: number): Date | undefined {
  const field = expiresAt === undefined ? 'expiresInMs' : 'expiresAt';
  if (expiresAt !== undefined && expiresInMs !== undefined) {
    throw invalid('INVALID_EXPIRY', 'expiresInMs', 'give expiresAt or expiresInMs, not both');
  }
  if (expiresAt === undefined && expiresInMs === undefined) return undefined;
  const inMs = expiresAt instanceof Date ? expiresAt.getTime() - nowMs : expiresInMs;
  if (typeof inMs !== 'number' || !(inMs > 0 && inMs <= EXPIRES_IN_MS_MAX)) {
    throw invalid('INVALID_EXPIRY', field, `${field} must be in the future, and at most ten years away`);
  }
  return new Date(Math.ceil(nowMs + inMs));
}

/** Throws ConflictError unless the payment that is queued under this id is the one that is wanted. */
export function requireSame(kept: QueueRow, wanted: QueueRow): void {
  const field = (['from', 'to', 'memo'] as const).find((name) => kept[name] !== wanted[name]);
  const isSameAmount = kept.amount.currency === wanted.amount.currency && kept.amount.minorUnits === wanted.amount.minorUnits;
  if (!field && isSameAmount) return;
  throw new ConflictError('the id is queued already, for another payment', {
    code: 'TRANSFER_ID_REUSED',
    outcome: 'not_applied',
    field: field ?? 'amount',
    transferId: kept.id,
  });
}

/** Throws for a payment that has ended. */
export function requireOpen(row: QueueRow): QueueRow {
  if (row.state !== 'done' && row.state !== 'declined' && row.state !== 'expired') return row;
  throw new StrifeError(`the payment has ended: ${row.state}`, { code: 'QUEUE_ENDED', transferId: row.id });
}

export function mayBeApplied(row: QueueRow): StrifeError {
  return new StrifeError('the payment was sent and its answer is missing: its money may have moved, so it cannot be dropped', {
    code: 'QUEUE_MAY_BE_APPLIED',
    outcome: 'unknown',
    transferId: row.id,
  });
}

export function notFound(id: string): never {
  throw new NotFoundError(`no payment ${id.trim()} in the queue`, { code: 'NOT_IN_QUEUE', field: 'id' });
}

export function invalid(code: string, field: string, message: string): InvalidArgumentError {
  return new InvalidArgumentError(message, { code, field, outcome: 'not_applied' });
}
