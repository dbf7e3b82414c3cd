// What a failed call means: gRPC status and error details, and a batch's item failures, to the SDK's errors.

import { ClientError, Status } from 'nice-grpc-common';
import { RichClientError, type ErrorInfo } from 'nice-grpc-error-details';
import type { TransferFailure } from '@strife/stubs/gateway';
import { Outcome as WireOutcome } from '@strife/stubs/type';
import {
  AuthenticationError,
  ConflictError,
  InvalidArgumentError,
  NotFoundError,
  StrifeError,
  UnavailableError,
  type Outcome,
  type StrifeErrorDetails,
} from './errors.ts';

/** The domain that the gateway's ErrorInfo carries. */
const ERROR_DOMAIN = 'strife';

const CLASS_OF_STATUS: Partial<Record<number, typeof StrifeError>> = {
  [Status.UNAUTHENTICATED]: AuthenticationError,
  [Status.PERMISSION_DENIED]: AuthenticationError,
  [Status.INVALID_ARGUMENT]: InvalidArgumentError,
  [Status.OUT_OF_RANGE]: InvalidArgumentError,
  [Status.ALREADY_EXISTS]: ConflictError,
  [Status.NOT_FOUND]: NotFoundError,
  [Status.UNAVAILABLE]: UnavailableError,
  [Status.RESOURCE_EXHAUSTED]: UnavailableError,
  [Status.DEADLINE_EXCEEDED]: UnavailableError,
  [Status.ABORTED]: UnavailableError,
};

/**
 * Statuses that refuse a request before anything is done for it, even when no details came along. Of any other bare
 * status nothing is known about the money.
 */
const REFUSALS: ReadonlySet<number> = new Set([
  Status.UNAUTHENTICATED,
  Status.PERMISSION_DENIED,
  Status.INVALID_ARGUMENT,
  Status.OUT_OF_RANGE,
  Status.ALREADY_EXISTS,
  Status.UNIMPLEMENTED,
]);

/**
 * Reasons that a gateway gives only after it has read its decision log, so that "not applied" also holds for what it was sent before.
 * Any other reason, of this release or a later one, may turn a request away at the door: it speaks of this request only, never of an
 * earlier send of the same payment. BANK_REFUSED_LEG and GRANT_REFUSED are not among them: a bank that applies a payment by itself
 * says so before it looks for the id.
 */
const REASONS_AFTER_A_LOOK: ReadonlySet<string> = new Set([
  'PREPARE_TIMEOUT',
  'BANK_UNREACHABLE',
  'ATTEMPT_FENCED',
  'ATTEMPT_GIVEN_UP',
  'ID_CONTESTED',
  'OVERLOADED',
]);

/** Reasons that are this gateway's own trouble: another one may have none. */
const GATEWAYS_FAULTS: ReadonlySet<string> = new Set(['UNAVAILABLE', 'REVOCATIONS_STALE', 'SERVER_STOPPING', 'INTENTIONS_UNKNOWN', 'CLOCKS_DIFFER']);

const OUTCOMES: Partial<Record<string, Outcome>> = {
  NOT_APPLIED: 'not_applied',
  APPLIED: 'applied',
  UNKNOWN: 'unknown',
};

/** What is known of a call that failed. */
export interface CallFailure {
  error: StrifeError;
  /** The gateway is known to have looked the transfer up before it said so; it did not turn the request away at the door. */
  lookedUp: boolean;
  /** The trouble is this gateway's own, not that of a bank or of the request: others are asked first for a while. */
  isGatewaysFault: boolean;
}

/**
 * A failed call as a StrifeError. Anything but an error of the call itself is returned as it is in `cause` of an INTERNAL error.
 *
 * @param moves whether the call moves money; only then has the error an `outcome`
 */
export function callFailure(thrown: unknown, moves: { transferId: string } | undefined): CallFailure {
  if (thrown instanceof StrifeError) return { error: thrown, lookedUp: false, isGatewaysFault: thrown.code === 'BAD_RESPONSE' };
  if (!(thrown instanceof ClientError)) return { error: interruption(thrown, moves), lookedUp: false, isGatewaysFault: true };
  const info = errorInfo(thrown);
  const said = info?.metadata ?? {};
  const told = OUTCOMES[said['outcome']?.toUpperCase() ?? ''];
  const outcome = told ?? (REFUSALS.has(thrown.code) ? 'not_applied' : 'unknown');
  return statusFailure(thrown.code, thrown.details, told !== undefined, {
    code: info?.reason || Status[thrown.code] || 'UNKNOWN',
    retryable: said['retryable'] === undefined ? thrown.code === Status.UNAVAILABLE : said['retryable'] === 'true',
    outcome: moves && outcome,
    transferId: said['transfer_id'] || moves?.transferId,
    requestId: said['request_id'] || undefined,
    field: said['field'] || undefined,
    cause: thrown,
  });
}

/** A failed item of a batch as a StrifeError. */
export function itemFailure(failure: TransferFailure, transferId: string): CallFailure {
  const told = failure.outcome !== WireOutcome.UNSPECIFIED;
  return statusFailure(failure.code, failure.message, told, {
    code: failure.reason || Status[failure.code] || 'UNKNOWN',
    retryable: failure.retryable,
    outcome: itemOutcome(failure.outcome),
    transferId,
    field: failure.field || undefined,
  });
}

function itemOutcome(outcome: WireOutcome): Outcome {
  switch (outcome) {
    case WireOutcome.NOT_APPLIED:
      return 'not_applied';
    case WireOutcome.APPLIED:
      return 'applied';
    default:
      return 'unknown';
  }
}

function statusFailure(status: number, message: string, told: boolean, details: StrifeErrorDetails): CallFailure {
  const ErrorClass = CLASS_OF_STATUS[status] ?? StrifeError;
  const error = new ErrorClass(message || details.code, details);
  return { error, isGatewaysFault: GATEWAYS_FAULTS.has(details.code), lookedUp: told && REASONS_AFTER_A_LOOK.has(details.code) };
}

/** The same failure as one that passes by itself. */
export function asRetryable({ message, code, outcome, transferId, requestId, field, cause }: StrifeError): UnavailableError {
  return new UnavailableError(message, { code, retryable: true, outcome, transferId, requestId, field, cause });
}

/** The call ended on this side: its time was over, it was cancelled, or something broke. */
function interruption(thrown: unknown, moves: { transferId: string } | undefined): StrifeError {
  const details = { outcome: moves && ('unknown' as const), transferId: moves?.transferId, cause: thrown };
  if (nameOf(thrown) === 'AbortError' || nameOf(thrown) === 'TimeoutError') {
    return new UnavailableError('the gateway did not answer in time', { code: 'DEADLINE_EXCEEDED', retryable: true, ...details });
  }
  return new StrifeError('the call could not be made', { code: 'INTERNAL', ...details });
}

function errorInfo(error: ClientError): ErrorInfo | undefined {
  if (!(error instanceof RichClientError)) return undefined;
  return error.extra.find(
    (detail): detail is ErrorInfo => detail.$type === 'google.rpc.ErrorInfo' && detail.domain === ERROR_DOMAIN,
  );
}

function nameOf(thrown: unknown): string {
  return typeof thrown === 'object' && thrown !== null && 'name' in thrown ? String(thrown.name) : '';
}
