// What a caller is told when something fails: one table from reasons to gRPC status, outcome and words.

import { rpcError } from '@strife/service';
import type { TransferFailure } from '@strife/stubs/gateway';
import { Outcome } from '@strife/stubs/type';
import type { TransferResult } from '@strife/two-phase-commit';
import { Status } from 'nice-grpc-common';

/** A failure before it has a transfer id. */
export interface Failure {
  readonly code: Status;
  /** For programs, stable. */
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
  readonly outcome: 'not_applied' | 'unknown';
  readonly retryable: boolean;
}

export type NotApplied = Extract<TransferResult, { kind: 'not-applied' }>['why'];

const again = 'nothing was applied; send it again with the same id';
const askAgain = 'nothing was sent now, but an earlier send of this id may have been applied; ask again with the same id';

const notAppliedFailures = {
  timeout: { code: Status.UNAVAILABLE, reason: 'PREPARE_TIMEOUT', message: `a bank did not answer in time; ${again}` },
  unreachable: { code: Status.UNAVAILABLE, reason: 'BANK_UNREACHABLE', message: `a bank of this transfer cannot be reached; ${again}` },
  // This gateway applied nothing, but the one that holds the leg still may.
  busy: { code: Status.ABORTED, reason: 'TRANSFER_BUSY', message: 'another gateway is working on this id; ask again with the same id' },
  fenced: { code: Status.ABORTED, reason: 'ATTEMPT_FENCED', message: `this attempt was given up before it began; ${again}` },
  inquiry: { code: Status.ABORTED, reason: 'ATTEMPT_GIVEN_UP', message: `this attempt was given up; ${again}` },
  unauthorized: { code: Status.UNAUTHENTICATED, reason: 'GRANT_REFUSED', message: 'authorization: the bank no longer accepts this login; log in again' },
  mismatch: { code: Status.ABORTED, reason: 'ID_CONTESTED', message: `another transfer was tried under this id; ${again}` },
  invalid: { code: Status.INTERNAL, reason: 'BANK_REFUSED_LEG', message: 'a bank could not read its half of the transfer; nothing was applied' },
  overloaded: { code: Status.RESOURCE_EXHAUSTED, reason: 'OVERLOADED', message: `too many transfers are waiting; ${again}` },
} satisfies Record<NotApplied, { code: Status; reason: string; message: string }>;

const final = new Set<NotApplied>(['invalid', 'unauthorized']);

export function notAppliedFailure(why: NotApplied): Failure {
  return { ...notAppliedFailures[why], outcome: why === 'busy' ? 'unknown' : 'not_applied', retryable: !final.has(why) };
}

/** As `notAppliedFailure`, where an earlier send of the id may have been applied. */
export function unknownBecause(why: NotApplied): Failure {
  const { code, reason } = notAppliedFailures[why];
  return { code, reason, message: askAgain, outcome: 'unknown', retryable: !final.has(why) };
}

export const unknownOutcome: Failure = {
  code: Status.DEADLINE_EXCEEDED,
  reason: 'OUTCOME_UNKNOWN',
  message: 'the bank did not say whether it applied the transfer; ask again with the same id',
  outcome: 'unknown',
  retryable: true,
};

/**
 * Somebody may have logged out elsewhere; said before anything is done for the request, and before the log is read: an earlier send of the id
 * may be committed in it.
 */
export function revocationsStale(areEarlierSendsAnswered: boolean): Failure {
  return {
    code: Status.UNAVAILABLE,
    reason: 'REVOCATIONS_STALE',
    message: `this gateway does not hear of logouts at another one, so it takes no payments now; ${areEarlierSendsAnswered ? again : askAgain}`,
    outcome: areEarlierSendsAnswered ? 'not_applied' : 'unknown',
    retryable: true,
  };
}

export function mismatchFailure(field: string): Failure {
  return {
    code: Status.ALREADY_EXISTS,
    reason: 'ID_TAKEN',
    message: field === '' ? 'id: taken by another transfer' : `id: taken by another transfer, which differs in ${field}`,
    field: field === '' ? 'id' : field,
    outcome: 'not_applied',
    retryable: false,
  };
}

export const noSuchTransfer: Failure = {
  code: Status.NOT_FOUND, reason: 'NO_SUCH_TRANSFER', message: 'id: no such transfer', field: 'id', outcome: 'not_applied', retryable: false,
};

export const tooManyReads: Failure = {
  code: Status.RESOURCE_EXHAUSTED, reason: 'TOO_MANY_READS', message: 'too many reads of this account at once; try again', outcome: 'not_applied', retryable: true,
};

/** A request that is wrong in itself. */
export function invalidArgument(field: string, reason: string, message: string): Failure {
  return { code: Status.INVALID_ARGUMENT, reason, message: `${field}: ${message}`, field, outcome: 'not_applied', retryable: false };
}

export function unknownBank(field: string, bank: string): Failure {
  return { code: Status.NOT_FOUND, reason: 'UNKNOWN_BANK', message: `${field}: no bank is called ${bank}`, field, outcome: 'not_applied', retryable: false };
}

export function toWireFailure(failure: Failure, transferId: string): TransferFailure {
  const { code, message, reason, field = '', outcome, retryable } = failure;
  return { code, message, reason, field, outcome: outcome === 'unknown' ? Outcome.UNKNOWN : Outcome.NOT_APPLIED, retryable, transferId };
}

/** The error that a unary call throws. */
export function toRpcError(failure: Failure, transferId?: string): Error {
  return rpcError({ ...failure, ...(transferId === undefined ? {} : { transferId }) });
}
