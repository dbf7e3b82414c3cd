// What the queue refuses, and how its storage fails.

import { formatAmount, type Money } from '@strife/ledger';
import { StrifeError, type StrifeErrorDetails } from '../errors.ts';

/** The caps of a queue. */
export type QueueLimit =
  /** How many payments are pending. */
  | { readonly name: 'payments'; readonly max: number }
  /** How much one payment may be. */
  | { readonly name: 'amountEach'; readonly max: Money }
  /** How much all pending payments of one currency may be together. */
  | { readonly name: 'amountInTotal'; readonly max: Money };

/** A cap of the queue is in the way: the payment is NOT queued. `limit` names the cap. */
export class QueueFullError extends StrifeError {
  readonly limit: QueueLimit;

  constructor(limit: QueueLimit, transferId: string) {
    super(`the payment is NOT queued: ${describeLimit(limit)}`, {
      code: 'QUEUE_FULL',
      outcome: 'not_applied',
      transferId,
      // Deliveries make room; a cap on one amount stays what it is.
      retryable: limit.name !== 'amountEach',
    });
    this.limit = limit;
  }
}

/**
 * The queue's storage cannot be used. `code`:
 *
 * - `QUEUE_NOT_SAVED`: what was asked for was not written (a full disk, a file that is read-only or locked); a payment is NOT queued
 * - `QUEUE_SAVE_UNCERTAIN`: the disk failed in the middle of writing; after a restart `get` tells whether it is queued, and
 *   `enqueue` with the same id never queues it twice
 * - `QUEUE_UNREADABLE`, `QUEUE_CORRUPT`, `QUEUE_CLOSED`
 * - when opening: `QUEUE_CANNOT_OPEN`, `QUEUE_FOREIGN_FILE`, `QUEUE_NEWER_VERSION`, `QUEUE_IN_USE`
 */
export class QueueStorageError extends StrifeError {
  /** The file. */
  readonly path: string;

  constructor(path: string, message: string, details: StrifeErrorDetails) {
    super(message, details);
    this.path = path;
  }
}

/** Logging out would leave payments behind that wait for this login; `count` of them. They stay queued with `keepQueue`. */
export class QueueNotEmptyError extends StrifeError {
  readonly count: number;

  constructor(payer: string, count: number) {
    const payments = count === 1 ? '1 payment' : `${count} payments`;
    super(`${payments} of ${payer} ${count === 1 ? 'is' : 'are'} still queued; they would wait for the next login`, {
      code: 'QUEUE_NOT_EMPTY',
    });
    this.count = count;
  }
}

/** A failure of the storage, said of the payment that was to be queued. */
export function notQueued({ path, message, code, cause }: QueueStorageError, transferId: string): QueueStorageError {
  if (code === 'QUEUE_SAVE_UNCERTAIN') {
    return new QueueStorageError(path, `it is not known whether the payment is queued: ${message}`, { code, cause, transferId, outcome: 'unknown' });
  }
  return new QueueStorageError(path, `the payment is NOT queued: ${message}`, { code, cause, transferId, outcome: 'not_applied' });
}

function describeLimit(limit: QueueLimit): string {
  switch (limit.name) {
    case 'payments':
      return `there are ${limit.max} payments in the queue already`;
    case 'amountEach':
      return `a queued payment may be at most ${formatAmount(limit.max)} ${limit.max.currency}`;
    case 'amountInTotal':
      return `all queued payments together may be at most ${formatAmount(limit.max)} ${limit.max.currency}`;
  }
}
