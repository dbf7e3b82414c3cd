// Aborts running streaming calls when the server stops, and lets unary calls finish. Named and shaped after
// nice-grpc-server-middleware-terminator; unary calls, which do not pass it, follow its `stop`.
import { setMaxListeners } from 'node:events';
import { ServerError, Status, type CallContext, type ServerMiddleware, type ServerMiddlewareCall } from 'nice-grpc-common';
import { rpcError, type ErrorOutcome } from './errors.ts';

export interface TerminatorContext {
  /** Makes a long unary call abort on stop too. Streaming calls do so by themselves. */
  abortOnTerminate(): void;
}

export type TerminatorMiddleware = ServerMiddleware<TerminatorContext> & {
  /** Aborts the `signal` of running streaming calls, and refuses calls that come later, with UNAVAILABLE. */
  terminate(): void;
  /** Aborted by `terminate`. */
  readonly stop: AbortSignal;
};

export function TerminatorMiddleware(): TerminatorMiddleware {
  const termination = new AbortController();
  // One for each running stream, which have a limit of their own.
  setMaxListeners(0, termination.signal);

  async function* terminatorMiddleware<Request, Response>(
    call: ServerMiddlewareCall<Request, Response, TerminatorContext>,
    context: CallContext,
  ): AsyncGenerator<Response, Response | void, undefined> {
    if (termination.signal.aborted) throw stopping('not_applied');
    const abort = new AbortController();
    const abortForCaller = () => abort.abort(context.signal.reason);
    const abortForStop = () => abort.abort(termination.signal.reason);
    forward(context.signal, abortForCaller);
    const abortOnTerminate = () => forward(termination.signal, abortForStop);
    if (call.requestStream || call.responseStream) abortOnTerminate();
    try {
      return yield* call.next(call.request, { ...context, signal: abort.signal, abortOnTerminate });
    } catch (error) {
      const endedByStop = abort.signal.aborted && !context.signal.aborted && !(error instanceof ServerError);
      throw endedByStop ? stopping('unknown') : error;
    } finally {
      context.signal.removeEventListener('abort', abortForCaller);
      termination.signal.removeEventListener('abort', abortForStop);
    }
  }

  return Object.assign(terminatorMiddleware, { terminate: () => termination.abort(), stop: termination.signal });
}

/** Calls the listener when the signal aborts, at once if it has. */
export function forward(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
}

/** What calls are told that the server does not take, or does not end, because it stops. */
export function stopping(outcome: ErrorOutcome): ServerError {
  return rpcError({ code: Status.UNAVAILABLE, message: 'the server is stopping', reason: 'SERVER_STOPPING', outcome, retryable: true });
}
