// How long a call may take.

/**
 * Makes a call whose signal aborts after so long, and when `outer` does. Nothing of it outlives the call, unlike AbortSignal.timeout and
 * AbortSignal.any, whose timers and weak references wait for their time and for the garbage collector.
 *
 * @param call Ends soon after its signal aborts, as calls of nice-grpc do.
 */
export async function withTimeLimit<Reply>(limitMs: number, call: (signal: AbortSignal) => Promise<Reply>, outer?: AbortSignal): Promise<Reply> {
  const limit = new AbortController();
  const stop = (): void => limit.abort(outer?.reason);
  const timer = setTimeout(() => limit.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')), limitMs);
  if (outer?.aborted === true) stop();
  outer?.addEventListener('abort', stop);
  try {
    return await call(limit.signal);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener('abort', stop);
  }
}
