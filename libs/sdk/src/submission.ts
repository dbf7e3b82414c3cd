// What is known about one payment while it is being sent, and what may be said about it at the end. Pure.
//
// The rule that all of this serves: "not applied" is only ever said when it is certain, for a caller acts on it by paying
// again under another id.

import type { CallFailure } from './call-failure.ts';
import { ConflictError, OutcomeUnknownError, StrifeError, type Outcome } from './errors.ts';
import type { Transfer } from './model.ts';

/** How a payment ended for its caller. A declined transfer is an answer too. */
export type Result = { ok: true; transfer: Transfer } | { ok: false; error: StrifeError };

/** What one attempt brought for one payment. */
export type Answer =
  | { kind: 'transfer'; transfer: Transfer }
  | { kind: 'failure'; failure: Pick<CallFailure, 'error' | 'lookedUp'> };

/**
 * A payment on its way. `Gateway` only needs identity: one address stands for one decision log.
 */
export type Submission<Gateway> =
  /**
   * May be sent (again). `unsettled` holds the gateways that were sent the payment and whose word on it is missing or
   * "unknown": any of them may still apply it. `earlier` holds those that may have been sent it before, by whoever: so may they.
   */
  | { kind: 'open'; id: string; unsettled: ReadonlySet<Gateway>; earlier: ReadonlySet<Gateway>; last: StrifeError | undefined }
  | { kind: 'closed'; id: string; result: Result };

/** @param earlier the gateways that may have been sent the payment already; empty for one that is new */
export function openSubmission<Gateway>(id: string, earlier: ReadonlySet<Gateway> = NOBODY): Submission<Gateway> {
  return { kind: 'open', id, unsettled: NOBODY, earlier, last: undefined };
}

/** Shared by all payments that were not sent yet. */
const NOBODY: ReadonlySet<never> = new Set<never>();

/** The payment after one gateway was sent it and answered, or was waited for in vain. */
export function afterAnswer<Gateway>(
  submission: Submission<Gateway>,
  gateway: Gateway,
  answer: Answer,
): Submission<Gateway> {
  if (submission.kind === 'closed') return submission;
  const { id, earlier } = submission;
  if (answer.kind === 'transfer') {
    const { transfer } = answer;
    if (transfer.state !== 'pending') return { kind: 'closed', id, result: { ok: true, transfer } };
    const last = new OutcomeUnknownError('the banks have not settled the transfer yet', { transferId: id });
    return { kind: 'open', id, unsettled: new Set([...submission.unsettled, gateway]), earlier, last };
  }
  const { error } = answer.failure;
  const unsettled = unsettledAfter(submission.unsettled, gateway, answer.failure);
  const open: Submission<Gateway> = { kind: 'open', id, unsettled, earlier: earlierAfter(earlier, gateway, answer.failure), last: error };
  return error.retryable || error.outcome !== 'not_applied' ? open : closed(open);
}

/** The payment after an attempt in which no gateway could be reached: nothing was sent. */
export function afterNoConnection<Gateway>(
  submission: Submission<Gateway>,
  error: StrifeError,
): Submission<Gateway> {
  if (submission.kind === 'closed') return submission;
  const last = submission.last ?? error;
  const open: Submission<Gateway> = { ...submission, last };
  return error.retryable ? open : closed({ ...open, last: error });
}

/**
 * Whether to send the payment again. One that is known not to be applied is only sent again when there is time for an
 * answer: otherwise a certain "not applied" would be traded for an "unknown".
 */
export function worthSending<Gateway>(submission: Submission<Gateway>, remainingMs: number, answerMs: number): boolean {
  if (submission.kind === 'closed') return false;
  return submission.last?.outcome !== 'not_applied' || mayBeElsewhere(submission) || answerMs < remainingMs;
}

/** What to say when no more attempt will be made. */
export function conclude<Gateway>(submission: Submission<Gateway>): Result {
  if (submission.kind === 'closed') return submission.result;
  const { id, last } = submission;
  if (last?.outcome === 'applied') return { ok: false, error: last };
  if (submission.unsettled.size > 0) return { ok: false, error: outcomeUnknown(id, last) };
  // What came of this call is certain; what came of an earlier one is not.
  return { ok: false, error: withOutcome(last, id, submission.earlier.size > 0 ? 'unknown' : 'not_applied') };
}

function mayBeElsewhere<Gateway>({ unsettled, earlier }: Submission<Gateway> & { kind: 'open' }): boolean {
  return unsettled.size > 0 || earlier.size > 0;
}

function closed<Gateway>(open: Submission<Gateway>): Submission<Gateway> {
  return { kind: 'closed', id: open.id, result: conclude(open) };
}

/**
 * A gateway that looked the transfer up and says "not applied" has a durable abort, and one that knows other content under the id
 * can never apply this: either settles whatever it was sent before. One that turned
 * this request away at the door (an expired session, unknown intentions) speaks of this request only.
 */
function unsettledAfter<Gateway>(
  before: ReadonlySet<Gateway>,
  gateway: Gateway,
  { error, lookedUp }: Pick<CallFailure, 'error' | 'lookedUp'>,
): ReadonlySet<Gateway> {
  const after = new Set(before);
  if (error.outcome !== 'not_applied') after.add(gateway);
  else if (lookedUp || error instanceof ConflictError) after.delete(gateway);
  return after;
}

/** A gateway settles what it was sent itself; that a bank has another payment under the id settles it for all. */
function earlierAfter<Gateway>(
  before: ReadonlySet<Gateway>,
  gateway: Gateway,
  { error, lookedUp }: Pick<CallFailure, 'error' | 'lookedUp'>,
): ReadonlySet<Gateway> {
  if (before.size === 0 || error.outcome !== 'not_applied') return before;
  if (error instanceof ConflictError) return NOBODY;
  if (!lookedUp) return before;
  const after = new Set(before);
  after.delete(gateway);
  return after;
}

function outcomeUnknown(transferId: string, last: StrifeError | undefined): OutcomeUnknownError {
  if (last instanceof OutcomeUnknownError && last.transferId === transferId) return last;
  const why = last ? `: ${last.message}` : '';
  return new OutcomeUnknownError(`it is not known whether the transfer was applied${why}`, {
    transferId,
    requestId: last?.requestId,
    cause: last,
  });
}

/** The same error, saying what it means for this payment. */
function withOutcome(error: StrifeError | undefined, transferId: string, outcome: Outcome): StrifeError {
  if (!error) return new StrifeError('the payment was not sent', { code: 'NOT_SENT', retryable: true, outcome, transferId });
  if (error.outcome === outcome && error.transferId === transferId) return error;
  const ErrorClass = error.constructor as typeof StrifeError;
  const { message, code, retryable, requestId, field, cause } = error;
  return new ErrorClass(message, { code, retryable, outcome, transferId, requestId, field, cause });
}
