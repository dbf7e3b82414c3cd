// What a failed call to a bank means.

import { tlsFailureReason } from '@strife/service';
import { ClientError, Status } from 'nice-grpc-common';

/** One line for a log or a message; a refused certificate is called that, and not a bank that is away. */
export function describeFailure(error: unknown): string {
  const refused = tlsFailureReason(error);
  if (refused !== undefined) return refused;
  return error instanceof ClientError ? `${Status[error.code]}: ${error.details}` : String(error);
}
