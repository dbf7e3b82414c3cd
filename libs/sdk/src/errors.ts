// Everything that the SDK throws. One base class with a stable `code`; subclasses for what callers tell apart.

import type { ErrorCode } from './error-codes.ts';
import type { DeclineReason, Transfer } from './model.ts';

/**
 * What a failure means for the money.
 *
 * - `not_applied`: nothing moved, and nothing will move under what was sent. The same id may be sent again.
 * - `applied`: the money has moved.
 * - `unknown`: not known here. Ask again with the same id; that never moves money twice.
 */
export type Outcome = 'not_applied' | 'applied' | 'unknown';

/** What an error says beside its message. */
export interface StrifeErrorDetails {
  /** For a program; stable over releases: `INVALID_AMOUNT`. `ERROR_CODES` has them all. */
  code: ErrorCode | (string & {});
  /** The same call may be made again, with the same transfer id, and may then succeed. */
  retryable?: boolean | undefined;
  /** Set on every failed payment; absent on calls that move no money. */
  outcome?: Outcome | undefined;
  /** The id of the payment that failed. */
  transferId?: string | undefined;
  /** The gateway's name for the failed request, as its log has it. */
  requestId?: string | undefined;
  /** The argument at fault, such as `amount`. */
  field?: string | undefined;
  /** What was behind it. */
  cause?: unknown;
}

/** The base of all errors that the SDK throws on purpose. */
export class StrifeError extends Error {
  readonly code: ErrorCode | (string & {});
  readonly retryable: boolean;
  readonly outcome: Outcome | undefined;
  readonly transferId: string | undefined;
  readonly requestId: string | undefined;
  readonly field: string | undefined;

  constructor(message: string, details: StrifeErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = details.code;
    this.retryable = details.retryable ?? false;
    this.outcome = details.outcome;
    this.transferId = details.transferId;
    this.requestId = details.requestId;
    this.field = details.field;
  }
}

const DECLINE_TEXTS: Record<DeclineReason, string> = {
  insufficient_funds: 'insufficient funds',
  no_such_payer: "the payer's account does not exist",
  no_such_payee: "the payee's account does not exist",
  payer_frozen: "the payer's account is frozen",
  payee_frozen: "the payee's account is frozen",
  payer_currency: "the payer's account is in another currency",
  payee_currency: "the payee's account is in another currency",
  limit_exceeded: "the payee's account cannot hold that much",
  expired: 'it had expired before it reached the bank',
  unspecified: 'the bank gave no reason',
};

/** Why a transfer was declined, for a person. */
export function describeDecline(reason: DeclineReason): string {
  return DECLINE_TEXTS[reason];
}

/** A bank said no, for ever: the same id always gets the same answer. Nothing moved. */
export class TransferDeclinedError extends StrifeError {
  readonly reason: DeclineReason;
  readonly transfer: Transfer;

  constructor(reason: DeclineReason, transfer: Transfer) {
    super(`the transfer was declined: ${describeDecline(reason)}`, {
      code: 'TRANSFER_DECLINED',
      outcome: 'not_applied',
      transferId: transfer.id,
    });
    this.reason = reason;
    this.transfer = transfer;
  }
}

/** Not logged in, a wrong password, an expired or revoked session, or a certificate without the right. */
export class AuthenticationError extends StrifeError {}

/** An argument that no repetition can make right; `field` names it. */
export class InvalidArgumentError extends StrifeError {}

/** The transfer id was used before, with other content. What was asked for now has not happened. */
export class ConflictError extends StrifeError {}

/** No such transfer, account or bank. */
export class NotFoundError extends StrifeError {}

/** No gateway could be reached, or it could not reach what it needs. */
export class UnavailableError extends StrifeError {}

/** A payment was sent and no certain answer came. Ask again with the same `transferId`. */
export class OutcomeUnknownError extends StrifeError {
  constructor(message: string, details: { transferId: string; requestId?: string | undefined; cause?: unknown }) {
    super(message, { code: 'OUTCOME_UNKNOWN', retryable: true, outcome: 'unknown', ...details });
  }
}

/** The secure connection could not be made: a certificate that is not trusted, expired, or of another role. */
export class TlsError extends StrifeError {}
