// Whatever a call throws becomes an error that tells the caller enough and no more, and a line in the log.
import { ServerError, Status, type CallContext, type ServerMiddlewareCall } from 'nice-grpc-common';
import { errorDetailsServerMiddleware, RichServerError } from 'nice-grpc-error-details';
import type { CallLog, CallRecord } from './call-log.ts';
import { rpcError, withRequestId } from './errors.ts';

/** Logs the failure of a call, and returns what to tell the caller: a ServerError, or the AbortError of a caller that went away. */
export function describeFailure(error: unknown, { record, log, isCancelled }: { record: CallRecord; log: CallLog; isCancelled: boolean }): unknown {
  if (error instanceof ServerError) {
    const rich = error instanceof RichServerError ? error : enrich(error);
    log.failed(record, rich.code, rich);
    return withRequestId(rich, record.requestId);
  }
  if (isCancelled && isAbortError(error)) {
    log.failed(record, Status.CANCELLED);
    return error;
  }
  log.broke(record, error);
  return rpcError({
    code: Status.INTERNAL,
    message: `internal error; request id ${record.requestId}`,
    reason: 'INTERNAL',
    outcome: 'unknown',
    requestId: record.requestId,
  });
}

/** Throws the error, with its details in the trailer: what nice-grpc's middleware for them does around a handler that always throws. */
export function throwWithDetails<Request, Response>(error: unknown, call: ServerMiddlewareCall<Request, Response>, context: CallContext): AsyncGenerator<never, never, undefined> {
  return errorDetailsServerMiddleware({ ...call, next: () => fail(error) }, context) as AsyncGenerator<never, never, undefined>;
}

export async function* fail(error: unknown): AsyncGenerator<never, never, undefined> {
  throw error;
}

/** An error of a library that knows nothing of details gets its status as the reason. */
function enrich(error: ServerError): RichServerError {
  return rpcError({ code: error.code, message: error.details, reason: Status[error.code] ?? 'UNKNOWN' });
}

function isAbortError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && (error as Error).name === 'AbortError';
}
