// A gateway's refusal with the error details that the contract asks for.

import type { Status } from 'nice-grpc-common';
import { ErrorInfo, RichServerError } from 'nice-grpc-error-details';

/** `reason` and the metadata of google.rpc.ErrorInfo. */
export type RefusalInfo = { reason: string } & Partial<
  Record<'outcome' | 'retryable' | 'field' | 'transfer_id' | 'request_id', string>
>;

export function refusal(code: Status, message: string, { reason, ...metadata }: RefusalInfo): RichServerError {
  return new RichServerError(code, message, [ErrorInfo.fromPartial({ domain: 'strife', reason, metadata })]);
}
