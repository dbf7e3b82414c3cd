// Serves unary calls straight from grpc-js: nice-grpc's own way to a handler, through async generators, an abort controller and copies of all
// metadata for each call, costs 15 us of processor time more, a sixth of a whole call. Streams go that way.
import { Metadata as GrpcMetadata, type ServerInterceptor } from '@grpc/grpc-js';
import { ServerError, Status, type CallContext, type Metadata, type ServerMiddlewareCall } from 'nice-grpc-common';
import { admit, askIntentions, NOBODY, type Access } from './access.ts';
import { describeFailure, fail, throwWithDetails } from './call-failures.ts';
import type { CallLog, CallRecord } from './call-log.ts';
import { MetadataView } from './call-metadata.ts';
import { decodeRequest, type MethodCodec } from './codec.ts';
import type { IntentionGate } from './intentions.ts';
import type { PeerIdentity } from './identity.ts';
import { REQUEST_ID_KEY, requestIdOf } from './request-ids.ts';
import type { ContextMiddleware, ServiceContext } from './service-context.ts';
import { forward, stopping } from './terminator.ts';
import type { Peer } from './verified-peer.ts';

export interface UnaryMethod {
  readonly codec: MethodCodec;
  readonly access: Access;
  /** Runs once the caller is let through, before the request is read. */
  readonly middleware: ContextMiddleware<unknown> | undefined;
  readonly handler: (request: unknown, context: ServiceContext) => unknown;
}

export interface UnaryCallsOptions {
  readonly log: CallLog;
  readonly intentions: IntentionGate | undefined;
  /** Aborted when the server stops. */
  readonly stop: AbortSignal;
}

type Call = Parameters<ServerInterceptor>[1];

/**
 * Serves the call: it takes what grpc-js receives itself, in place of the listener that `start` is called with. Does what the middleware of streams
 * does, in the same order: identity, access, intentions, stop, the service's middleware, the request, the handler, the log.
 */
export function serveUnary(call: Call, method: UnaryMethod, peer: Peer, options: UnaryCallsOptions): void {
  const start = call.start.bind(call);
  call.start = () => start(new UnaryCall(call, method, peer, options));
}

/** What grpc-js tells of one call. */
class UnaryCall {
  readonly #call: Call;
  readonly #method: UnaryMethod;
  readonly #peer: Peer;
  readonly #options: UnaryCallsOptions;
  #metadata: GrpcMetadata | undefined;
  #request: Uint8Array | undefined;
  #context: UnaryContext | undefined;
  #isOver = false;

  constructor(call: Call, method: UnaryMethod, peer: Peer, options: UnaryCallsOptions) {
    this.#call = call;
    this.#method = method;
    this.#peer = peer;
    this.#options = options;
  }

  onReceiveMetadata(metadata: GrpcMetadata): void {
    this.#metadata = metadata;
    this.#call.startRead();
  }

  onReceiveMessage(bytes: Uint8Array): void {
    if (this.#request !== undefined) return this.#refuseShape('a second request message');
    this.#request = bytes;
    this.#call.startRead();
  }

  onReceiveHalfClose(): void {
    // It may come after the end, such as that of the call's time.
    if (this.#isOver) return;
    if (this.#request === undefined) this.#refuseShape('no request message');
    else void this.#serve(this.#request);
  }

  /** Called at the end of every call, however it ends. */
  onCancel(): void {
    this.#isOver = true;
    if (this.#context === undefined) this.#options.log.lost(this.#method.codec.path, this.#peer.shown);
    this.#context?.cancel();
  }

  async #serve(bytes: Uint8Array): Promise<void> {
    const { codec, access, middleware, handler } = this.#method;
    const { log, intentions, stop } = this.#options;
    const context = (this.#context = new UnaryContext(this.#call, this.#metadata!, stop));
    const record: CallRecord = { method: codec.path, peer: this.#peer.shown, requestId: context.requestId, startedAtMs: performance.now() };
    try {
      context.peer = admit(codec.service, access, this.#peer);
      const asked = askIntentions(intentions, access, this.#peer);
      if (asked !== undefined) await asked;
      if (stop.aborted) throw stopping('not_applied');
      const added = middleware?.(codec.path, context);
      if (added !== undefined) Object.assign(context, added instanceof Promise ? await added : added);
      record.requestBytes = bytes.byteLength;
      record.request = decodeRequest(codec, bytes);
      const response = await handler(record.request, context);
      const answer = codec.encodeResponse(response);
      record.response = response;
      record.responseBytes = answer.byteLength;
      log.succeeded(record);
      context.end();
      // Not once the message is written, as grpc-js does it: then the status, which the caller waits for, leaves in a packet of its own, later.
      this.#call.sendMessage(answer, noticeNothing);
      this.#call.sendStatus({ code: Status.OK, details: 'OK', metadata: context.trailers });
    } catch (error) {
      const told = describeFailure(context.isEndedByStop(error) ? stopping('unknown') : error, { record, log, isCancelled: context.isCancelled });
      context.end();
      this.#call.sendStatus({ ...(await statusOf(told, context)), metadata: context.trailers });
    }
  }

  #refuseShape(what: string): void {
    this.#call.sendStatus({ code: Status.UNIMPLEMENTED, details: `Received ${what} for unary method ${this.#method.codec.path}` });
  }
}

const noticeNothing = (): void => undefined;

/** The status that says so; the details of the error go into the trailer. */
async function statusOf(error: unknown, context: UnaryContext): Promise<{ code: Status; details: string }> {
  try {
    return await throwWithDetails(error, ANY_UNARY, context as unknown as CallContext).next() as never;
  } catch (thrown) {
    if (thrown instanceof ServerError) return { code: thrown.code, details: thrown.details };
    return { code: Status.CANCELLED, details: 'The operation was cancelled' };
  }
}

const ANY_UNARY: ServerMiddlewareCall<undefined, never> = {
  method: { path: '', requestStream: false, responseStream: false, options: {} }, requestStream: false, request: undefined, responseStream: false, next: fail,
};

/** What the handler of a unary call gets. What few handlers look at is only made when they do, so it must not be copied by spreading it. */
class UnaryContext implements ServiceContext {
  /** Set once the access table has let the caller through. */
  peer: PeerIdentity = NOBODY;
  readonly requestId: string;
  readonly trailers = new GrpcMetadata();
  readonly #call: Call;
  readonly #received: GrpcMetadata;
  readonly #stop: AbortSignal;
  #headers: GrpcMetadata | undefined;
  #abort: AbortController | undefined;
  #abortForStop: (() => void) | undefined;
  #isEnded = false;
  #isCancelled = false;

  constructor(call: Call, received: GrpcMetadata, stop: AbortSignal) {
    this.#call = call;
    this.#received = received;
    this.#stop = stop;
    this.requestId = requestIdOf(received.get(REQUEST_ID_KEY));
    this.trailers.set(REQUEST_ID_KEY, this.requestId);
  }

  get metadata(): Metadata {
    return new MetadataView(this.#received);
  }

  get header(): Metadata {
    return new MetadataView((this.#headers ??= new GrpcMetadata()));
  }

  get trailer(): Metadata {
    return new MetadataView(this.trailers);
  }

  /** Aborts when the caller goes away before the answer. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#isCancelled) this.#abort.abort();
    return this.#abort.signal;
  }

  sendHeader(): void {
    if (this.#headers !== undefined) this.#call.sendMetadata(this.#headers);
  }

  abortOnTerminate(): void {
    const { signal } = this;
    if (this.#abortForStop !== undefined) return;
    this.#abortForStop = () => this.#abort?.abort(this.#stop.reason);
    if (!signal.aborted) forward(this.#stop, this.#abortForStop);
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Whether the handler failed because it had asked to be aborted when the server stops. */
  isEndedByStop(error: unknown): boolean {
    return this.#abort?.signal.aborted === true && !this.#isCancelled && !(error instanceof ServerError);
  }

  /** The caller is gone; without effect after `end`. */
  cancel(): void {
    if (this.#isEnded) return;
    this.#isCancelled = true;
    this.#abort?.abort();
  }

  /** The handler has ended. */
  end(): void {
    this.#isEnded = true;
    this.sendHeader();
    if (this.#abortForStop !== undefined) this.#stop.removeEventListener('abort', this.#abortForStop);
  }
}
