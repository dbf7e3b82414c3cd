// Errors to what a person, a script and the shell are told about them.

import type { StrifeError, TransferDeclinedError } from '@strife/sdk';
import { EXIT, type ExitCode } from './exit-codes.ts';

/** A mistake in how the program was called or set up. */
export class UsageError extends Error {
  /** The argument or setting at fault. */
  readonly field: string | undefined;
  /** What to do about it. */
  readonly hint: string | undefined;

  constructor(message: string, options: { field?: string; hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'UsageError';
    this.field = options.field;
    this.hint = options.hint;
  }
}

/** No session is stored here, or the stored one is over. */
export class NotLoggedInError extends Error {
  override readonly name = 'NotLoggedInError';
}

export interface Failure {
  exitCode: ExitCode;
  message: string;
  /** What to do next; one line or more. */
  hint: string | undefined;
  /** For `--json`: the value of `error`. */
  document: Record<string, unknown>;
}

/**
 * By the SDK's class names rather than its classes, so that failing (and `--help`) does not load the SDK.
 */
const EXIT_CODE_OF_SDK_ERROR: Partial<Record<string, ExitCode>> = {
  TransferDeclinedError: EXIT.declined,
  AuthenticationError: EXIT.authentication,
  InvalidArgumentError: EXIT.usage,
  ConflictError: EXIT.conflict,
  NotFoundError: EXIT.notFound,
  UnavailableError: EXIT.unavailable,
  OutcomeUnknownError: EXIT.outcomeUnknown,
  TlsError: EXIT.unavailable,
  QueueFullError: EXIT.unavailable,
  QueueNotEmptyError: EXIT.usage,
  QueueStorageError: EXIT.internal,
};

/** Refusals of a payment for what it says, by the code alone, where the queue kept no more of the error. A bad argument is any other. */
const EXIT_CODE_OF_REFUSAL: Partial<Record<string, ExitCode>> = {
  UNKNOWN_BANK: EXIT.notFound,
  NO_SUCH_ACCOUNT: EXIT.notFound,
  NO_SUCH_TRANSFER: EXIT.notFound,
  NOT_FOUND: EXIT.notFound,
  ID_TAKEN: EXIT.conflict,
  TRANSFER_ID_REUSED: EXIT.conflict,
  ALREADY_EXISTS: EXIT.conflict,
};

/** What was asked for cannot be done to this payment of the queue, and was not. */
const USAGE_CODES: ReadonlySet<string> = new Set(['QUEUE_ENDED', 'QUEUE_MAY_BE_APPLIED']);

const LOGIN_HINT = 'Log in: strife login <bank> <user>';

/** Never throws, and never shows a stack: that is left to `--verbose`. */
export function describeFailure(error: unknown): Failure {
  if (isSdkError(error)) return describeSdkError(error);
  if (error instanceof UsageError) {
    return failure(EXIT.usage, 'USAGE', error.message, error.hint, { field: error.field });
  }
  if (error instanceof NotLoggedInError) {
    return failure(EXIT.authentication, 'NOT_LOGGED_IN', error.message, LOGIN_HINT);
  }
  if (isInterruption(error)) return failure(EXIT.interrupted, 'INTERRUPTED', 'interrupted');
  const message = error instanceof Error ? error.message : String(error);
  return failure(EXIT.internal, 'INTERNAL', message || 'unexpected error');
}

/** For a payment that the queue has set aside, with nothing moved for certain: the exit code that it has when it is paid directly. */
export function exitCodeOfRefusal(code: string): ExitCode {
  return EXIT_CODE_OF_REFUSAL[code] ?? EXIT.usage;
}

function describeSdkError(error: StrifeError): Failure {
  const exitCode = sdkExitCode(error);
  const { code, retryable, outcome, transferId, requestId, field } = error;
  const helpsToLogIn = EXIT_CODE_OF_SDK_ERROR[error.name] === EXIT.authentication;
  return failure(exitCode, code, sdkMessage(error), helpsToLogIn ? LOGIN_HINT : undefined, {
    ...('reason' in error && { reason: (error as TransferDeclinedError).reason }),
    retryable,
    outcome,
    transferId,
    requestId,
    field,
  });
}

function sdkExitCode(error: StrifeError): ExitCode {
  if (USAGE_CODES.has(error.code)) return EXIT.usage;
  if (error.outcome === 'unknown') return EXIT.outcomeUnknown;
  if (error.code === 'CANCELLED') return EXIT.interrupted;
  return EXIT_CODE_OF_SDK_ERROR[error.name] ?? EXIT.internal;
}

function sdkMessage(error: StrifeError): string {
  if (error.name === 'InvalidArgumentError' && error.field && !error.message.includes(error.field)) {
    return `${error.field}: ${error.message}`;
  }
  return error.message;
}

function failure(
  exitCode: ExitCode,
  code: string,
  message: string,
  hint?: string,
  details: Record<string, unknown> = {},
): Failure {
  return { exitCode, message, hint, document: { code, message, exitCode, ...details } };
}

function isSdkError(error: unknown): error is StrifeError {
  return error instanceof Error && (error.name === 'StrifeError' || error.name in EXIT_CODE_OF_SDK_ERROR);
}

function isInterruption(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
