// The outermost middleware of every call: says who calls and refuses those who may not, logs one line, and turns whatever is thrown
// into an error that tells the caller enough and no more. And what stands before each handler: it reads the request, once all others have let
// the call through.
import { randomUUID } from 'node:crypto';
import { ServerError, Status, type CallContext, type ServerMiddleware, type ServerMiddlewareCall } from 'nice-grpc-common';
import { errorDetailsServerMiddleware, RichServerError } from 'nice-grpc-error-details';
import type { CallLog, CallRecord } from './call-log.ts';
import type { MethodCodec } from './codec.ts';
import { reasonOf, rpcError, withRequestId } from './errors.ts';
import type { PeerIdentity, Role } from './identity.ts';
import type { IntentionGate } from './intentions.ts';
import type { CallIdentity } from './service-context.ts';
import { STREAMED_CALLS, type StreamedCalls } from './streamed-calls.ts';
import { parsePeer, shownPeer, type VerifiedPeer } from './verified-peer.ts';

export interface CallMiddlewareOptions {
  /** By method path. */
  codecs: ReadonlyMap<string, MethodCodec>;
  /** Who may call a service. One that is missing is closed to all. */
  access: ReadonlyMap<string, Access>;
  /** Asked about a caller that the access table lists by its role; without it that is enough. */
  intentions?: IntentionGate | undefined;
  log: CallLog;
}

/** Roles; `peer` is any verified identity, `certificate` any certificate of the authority, with or without an identity. */
export type Access = readonly Role[] | 'peer' | 'certificate';

export const REQUEST_ID_KEY = 'x-request-id';

const REQUEST_ID = /^[A-Za-z0-9_-]{1,64}$/;

const NOBODY: PeerIdentity = { uri: '', trustDomain: '', role: 'client', name: '' };

export function callMiddleware({ codecs, access, intentions, log }: CallMiddlewareOptions): ServerMiddleware<CallIdentity> {
  return async function* handleCall<Request, Response>(
    call: ServerMiddlewareCall<Request, Response, CallIdentity>,
    context: CallContext,
  ): AsyncGenerator<Response, Response | void, undefined> {
    const requestId = requestIdOf(context);
    context.trailer.set(REQUEST_ID_KEY, requestId);
    const record: CallRecord = { method: call.method.path, peer: shownPeer(context.peer), requestId, startedAtMs: performance.now() };
    let ended = false;
    try {
      const codec = codecs.get(call.method.path)!;
      const allowed = access.get(codec.service) ?? [];
      const verified = parsePeer(context.peer);
      const peer = admit(codec.service, allowed, verified, record.peer);
      if (intentions !== undefined && verified !== undefined && Array.isArray(allowed)) await intentions.admit(verified);
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
      const told = describe(error, { record, log, signal: context.signal });
      return yield* errorDetailsServerMiddleware({ ...call, next: () => fail(told) }, context);
    } finally {
      // The consumer of a stream went away without an error.
      if (!ended) log.failed(record, Status.CANCELLED);
    }
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

/** @throws RichServerError UNAUTHENTICATED or PERMISSION_DENIED */
function admit(service: string, access: Access, verified: VerifiedPeer | undefined, shown: string): PeerIdentity {
  const identity = verified?.identity;
  if (access === 'certificate') return identity ?? NOBODY;
  if (identity === undefined) {
    throw rpcError({
      code: Status.UNAUTHENTICATED,
      message: `the client certificate does not say who calls (${shown})`,
      reason: 'PEER_NOT_IDENTIFIED',
      outcome: 'not_applied',
      retryable: false,
    });
  }
  if (access === 'peer' || access.includes(identity.role)) return identity;
  throw rpcError({
    code: Status.PERMISSION_DENIED,
    message: `${service} is closed to the role ${identity.role}`,
    reason: 'ROLE_NOT_ALLOWED',
    outcome: 'not_applied',
    retryable: false,
  });
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
          const told = describe(error, { record, log, signal });
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
  record.request = decode(bytes, codec);
  return record.request;
}

async function* decodeStream(requests: AsyncIterable<Uint8Array>, codec: MethodCodec): AsyncGenerator {
  for await (const bytes of requests) yield decode(bytes, codec);
}

function decode(bytes: Uint8Array, codec: MethodCodec): unknown {
  try {
    return codec.decodeRequest(bytes);
  } catch {
    throw rpcError({
      code: Status.INVALID_ARGUMENT,
      message: `request: not a valid message for ${codec.path.slice(1)}`,
      reason: 'MALFORMED_REQUEST',
      field: 'request',
      outcome: 'not_applied',
      retryable: false,
    });
  }
}

/** What a handler is that always throws: so the middleware for error details is only passed by calls that fail. */
async function* fail(error: unknown): AsyncGenerator<never, never, undefined> {
  throw error;
}

/** Logs the failure of a call, and returns what to throw to nice-grpc. */
function describe(error: unknown, { record, log, signal }: { record: CallRecord; log: CallLog; signal: AbortSignal }): unknown {
  if (error instanceof ServerError) {
    const rich = error instanceof RichServerError ? error : enrich(error);
    log.failed(record, rich.code, rich);
    return withRequestId(rich, record.requestId);
  }
  if (signal.aborted && isAbortError(error)) {
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

/** An error of a library that knows nothing of details gets its status as the reason. */
function enrich(error: ServerError): RichServerError {
  return rpcError({ code: error.code, message: error.details, reason: Status[error.code] ?? 'UNKNOWN' });
}

function requestIdOf(context: CallContext): string {
  const given = context.metadata.get(REQUEST_ID_KEY);
  return given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
}

function isAbortError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && (error as Error).name === 'AbortError';
}
