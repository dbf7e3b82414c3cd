// What a failed call to a bank means.

import { ClientError, Status } from 'nice-grpc-common';

/** The bank refused the call because its queue is full, before it did anything. */
export function isOverloaded(error: unknown): boolean {
  return error instanceof ClientError && error.code === Status.RESOURCE_EXHAUSTED;
}

/** One line for a log or a message. */
export function describeFailure(error: unknown): string {
  return error instanceof ClientError ? `${Status[error.code]}: ${error.details}` : String(error);
}
