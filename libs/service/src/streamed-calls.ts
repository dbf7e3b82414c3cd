// Calls that travel as messages of a stream: each is logged and counted as a call of its own, and fails by itself.
import type { Status } from 'nice-grpc-common';

/** What the handler of a stream tells about the calls that it carries. */
export interface StreamedCalls {
  /** @param method the name that the call would have by itself, such as `Prepare`, of the stream's service */
  begin(method: string, request: unknown): StreamedCall;
}

export interface StreamedCall {
  succeeded(response: unknown): void;
  /** Logs what was thrown, and returns what the caller may know of it: a bug is called an internal error. */
  failed(error: unknown): { readonly code: Status; readonly message: string; readonly reason: string };
}

/** For the call middleware, which is what stands behind it; the key keeps it out of the handlers' sight. */
export const STREAMED_CALLS = Symbol('calls that a stream carries');

/** @throws TypeError in a unary call */
export function streamedCalls(context: object): StreamedCalls {
  const calls = (context as { [STREAMED_CALLS]?: StreamedCalls })[STREAMED_CALLS];
  if (calls === undefined) throw new TypeError('not a call that streams');
  return calls;
}

