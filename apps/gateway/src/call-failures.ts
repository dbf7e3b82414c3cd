// What a failed call to a bank means.

import { receivedDetails, tlsFailureReason } from '@strife/service';
import { ClientError, Status } from 'nice-grpc-common';

/**
 * The bank refused the call because its queue is full, before it did anything. Its own reason says so; the bare status
 * RESOURCE_EXHAUSTED may also come from this side's gRPC, about a reply to work that was done.
 */
export function isOverloaded(error: unknown): boolean {
  return error instanceof ClientError && receivedDetails(error)?.reason === 'OVERLOADED';
}

/** One line for a log or a message; a refused certificate is called that, and not a bank that is away. */
export function describeFailure(error: unknown): string {
  const refused = tlsFailureReason(error);
  if (refused !== undefined) return refused;
  return error instanceof ClientError ? `${Status[error.code]}: ${error.details}` : String(error);
}
