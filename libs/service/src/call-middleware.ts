// The outermost middleware of streams: says who calls and refuses those who may not, logs one line, and turns whatever is thrown
// into an error that tells the caller enough and no more. And what stands before each of their handlers: it reads the request, once all others
// have let the call through. Unary calls do the same in unary-calls.ts.
import { ServerError, Status, type CallContext, type ServerMiddleware, type ServerMiddlewareCall } from 'nice-grpc-common';
import { admit, askIntentions, type Access } from './access.ts';
import { describeFailure, throwWithDetails } from './call-failures.ts';
import type { CallLog, CallRecord } from './call-log.ts';
import { decodeRequest, type MethodCodec } from './codec.ts';
import { reasonOf } from './errors.ts';
import type { IntentionGate } from './intentions.ts';
import { REQUEST_ID_KEY, requestIdOf } from './request-ids.ts';
import type { CallIdentity, ContextMiddleware, ServiceContext } from './service-context.ts';
import { STREAMED_CALLS, type StreamedCalls } from './streamed-calls.ts';
import { peerOf } from './verified-peer.ts';

export interface CallMiddlewareOptions {
  /** By method path. */
  codecs: ReadonlyMap<string, MethodCodec>;
  /** Who may call a service. One that is missing is closed to all. */
  access: ReadonlyMap<string, Access>;
  /** Asked about a caller that the access table lists by its role; without it that is enough. */
  intentions?: IntentionGate | undefined;
  log: CallLog;
}

export function callMiddleware({ codecs, access, intentions, log }: CallMiddlewareOptions): ServerMiddleware<CallIdentity> {
  return async function* handleCall<Request, Response>(
    call: ServerMiddlewareCall<Request, Response, CallIdentity>,
    context: CallContext,
  ): AsyncGenerator<Response, Response | void, undefined> {
    const requestId = requestIdOf(context.metadata.getAll(REQUEST_ID_KEY));
    context.trailer.set(REQUEST_ID_KEY, requestId);
    const caller = peerOf(context.peer);
    const record: CallRecord = { method: call.method.path, peer: caller.shown, requestId, startedAtMs: performance.now() };
    let ended = false;
    try {
      const codec = codecs.get(call.method.path)!;
      const allowed = access.get(codec.service) ?? [];
      const peer = admit(codec.service, allowed, caller);
      await askIntentions(intentions, allowed, caller);
      // `peer` here takes the place of nice-grpc's address, which only the types still know of.
      const inner = { ...context, peer, requestId, [READ]: () => decodeCall(call, codec, record) } as unknown as CallContext & CallIdentity;
      if (call.responseStream) {
        record.responses = 0;
        const streaming = Object.assign(inner, { [STREAMED_CALLS]: callsOf(codec, record, log, context.signal) });
        for await (const response of call.next(call.request as Request, streaming)) {
          record.responses += 1;
          yield codec.encodeResponse(response) as Response;
        }
        ended = true;
        log.succeeded(record);
        return;
      }
      const response = yield* call.next(call.request as Request, inner);
      const bytes = codec.encodeResponse(response);
      record.response = response;
      record.responseBytes = bytes.byteLength;
      ended = true;
      log.succeeded(record);
      return bytes as Response;
    } catch (error) {
      ended = true;
      const told = describeFailure(error, { record, log, isCancelled: context.signal.aborted });
      return yield* throwWithDetails(told, call, context);
    } finally {
      // The consumer of a stream went away without an error.
      if (!ended) log.failed(record, Status.CANCELLED);
    }
  };
}

/** The service's own middleware, as nice-grpc takes it. */
export function extendContext<Ext, Base extends object>(middleware: ContextMiddleware<Ext>): ServerMiddleware<Ext, Base> {
  return async function* extend(call, context) {
    const added = await middleware(call.method.path, context as unknown as ServiceContext);
    return yield* call.next(call.request, { ...context, ...added } as typeof context & Ext);
  };
}

/** How `readRequests` gets at a call's request; the key keeps it out of the handlers' sight. */
const READ = Symbol('read the request');

type Handler = (request: unknown, context: object) => unknown;

/**
 * The same handlers for requests that are still bytes, which are decoded last: what a message costs is only spent on callers whom the
 * access table, the intentions and the service's own middleware have let through.
 */
export function readRequests(methods: readonly string[], handlers: object): Record<string, Handler> {
  const byName = handlers as Record<string, Handler>;
  return Object.fromEntries(methods.map((method): [string, Handler] => [method, (_bytes, context) => byName[method]!((context as Readable)[READ](), context)]));
}

interface Readable {
  readonly [READ]: () => unknown;
}

function callsOf({ service }: MethodCodec, { peer, requestId }: CallRecord, log: CallLog, signal: AbortSignal): StreamedCalls {
  return {
    begin(method, request) {
      const record: CallRecord = { method: `/${service}/${method}`, peer, requestId, startedAtMs: performance.now(), request };
      return {
        succeeded(response) {
          record.response = response;
          log.succeeded(record);
        },
        failed(error) {
          const told = describeFailure(error, { record, log, isCancelled: signal.aborted });
          if (!(told instanceof ServerError)) return { code: Status.CANCELLED, message: 'cancelled', reason: 'CANCELLED' };
          return { code: told.code, message: told.details, reason: reasonOf(told) ?? Status[told.code] };
        },
      };
    },
  };
}

function decodeCall(call: ServerMiddlewareCall<unknown, unknown>, codec: MethodCodec, record: CallRecord): unknown {
  if (call.requestStream) return decodeStream(call.request as AsyncIterable<Uint8Array>, codec);
  const bytes = call.request as Uint8Array;
  record.requestBytes = bytes.byteLength;
  record.request = decodeRequest(codec, bytes);
  return record.request;
}

async function* decodeStream(requests: AsyncIterable<Uint8Array>, codec: MethodCodec): AsyncGenerator {
  for await (const bytes of requests) yield decodeRequest(codec, bytes);
}
