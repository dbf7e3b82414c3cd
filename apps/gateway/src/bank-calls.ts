// Reads and logins at a user's own bank: one call with a deadline, and failures in the caller's terms.

import { receivedDetails, withTimeLimit } from '@strife/service';
import { toRpcError, unknownBank } from './failures.ts';
import type { Failure } from './failures.ts';
import type { BankServiceClient } from '@strife/stubs/bank';
import type { BankName } from '@strife/two-phase-commit';
import { ClientError, Status } from 'nice-grpc-common';
import type { CallOptions } from 'nice-grpc-common';
import type { BankNetwork } from './bank-network.ts';
import { describeFailure } from './call-failures.ts';

const BANK_CALL_TIMEOUT_MS = 5000;

/** The one UNAVAILABLE that the bank itself says, and not the way to it. */
const PASSWORDS_UNAVAILABLE = 'PASSWORDS_UNAVAILABLE';

/** Statuses that a bank means for the user; any other failure is between the gateway and the bank. */
const forTheUser: ReadonlySet<Status> = new Set([
  Status.INVALID_ARGUMENT, Status.UNAUTHENTICATED, Status.NOT_FOUND, Status.RESOURCE_EXHAUSTED, Status.FAILED_PRECONDITION,
]);

/**
 * Calls the bank once. Reads may be repeated by whoever asked.
 *
 * @throws an RPC error: NOT_FOUND for a bank that does not exist, UNAVAILABLE for one that cannot be reached, or the bank's own refusal.
 */
export async function callBank<Reply>(
  network: Pick<BankNetwork, 'find'>,
  bank: BankName,
  { signal }: { readonly signal: AbortSignal },
  call: (client: BankServiceClient, options: CallOptions) => Promise<Reply>,
): Promise<Reply> {
  const client = network.find(bank);
  if (client === 'unknown') throw toRpcError(unknownBank('bank', bank));
  if (client === 'unreachable') throw toRpcError(unreachable(bank));
  try {
    return await withTimeLimit(BANK_CALL_TIMEOUT_MS, (limited) => call(client, { signal: limited }), signal);
  } catch (error) {
    if (!(error instanceof ClientError)) throw toRpcError(unreachable(bank), undefined);
    const details = receivedDetails(error);
    const isForTheUser = forTheUser.has(error.code) || details?.reason === PASSWORDS_UNAVAILABLE;
    if (!isForTheUser) throw toRpcError({ ...unreachable(bank), message: `bank ${bank} did not answer: ${describeFailure(error)}` });
    const told = details ?? { reason: `BANK_${Status[error.code]}`, retryable: error.code === Status.RESOURCE_EXHAUSTED };
    throw toRpcError({ ...told, code: error.code, message: error.details, outcome: 'not_applied' });
  }
}

function unreachable(bank: BankName): Failure {
  return { code: Status.UNAVAILABLE, reason: 'BANK_UNREACHABLE', message: `bank ${bank} cannot be reached; try again`, outcome: 'not_applied', retryable: true };
}
