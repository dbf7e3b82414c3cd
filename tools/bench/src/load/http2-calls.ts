// Unary gRPC calls over bare node:http2 with mutual TLS: framing by hand, and nothing of a gRPC client's own cost.

import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import type { PeerCertificate } from 'node:tls';
import type { TlsMaterial } from '@strife/certs';

/** The answer's message, or the call's gRPC status other than OK. */
export type Answer = { readonly ok: true; readonly message: Buffer } | { readonly ok: false; readonly status: number };

/**
 * One call with a message in its frame, which must not change any more. Its answer, read to the end.
 *
 * @throws Error when the connection or the stream breaks
 */
export type Call = (framed: Uint8Array) => Promise<Answer>;

export interface Http2Calls {
  /** Calls of one method with one token: their headers are made once. */
  to(path: string, token: string): Call;
  close(): void;
}

export const FRAME_HEADER_BYTES = 5;
const GATEWAY_IDENTITY = /URI:spiffe:\/\/[^/]+\/gateway\//;

/** Connects to a gateway. */
export async function openCalls(address: string, tls: TlsMaterial): Promise<Http2Calls> {
  const session = await openSession(address, tls);
  return {
    to(path, token) {
      const headers = [
        constants.HTTP2_HEADER_METHOD, 'POST',
        constants.HTTP2_HEADER_SCHEME, 'https',
        constants.HTTP2_HEADER_AUTHORITY, address,
        constants.HTTP2_HEADER_PATH, path,
        constants.HTTP2_HEADER_CONTENT_TYPE, 'application/grpc+proto',
        constants.HTTP2_HEADER_TE, 'trailers',
        constants.HTTP2_HEADER_AUTHORIZATION, `Bearer ${token}`,
      ];
      return (framed) => new Promise((resolve, reject) => {
        const stream = session.request(headers) as ClientHttp2Stream & Called;
        stream[STATE] = { status: '', first: undefined, rest: undefined, resolve, reject };
        stream.on('response', readStatus);
        stream.on('trailers', readStatus);
        stream.on('data', readChunk);
        stream.on('error', fail);
        stream.on('end', answer);
        stream.end(framed);
      });
    },
    close: () => session.destroy(),
  };
}

function openSession(address: string, { ca, cert, key }: TlsMaterial): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connect(`https://${address}`, {
      ca, cert, key,
      minVersion: 'TLSv1.3',
      checkServerIdentity: (_host: string, { subjectaltname = '' }: PeerCertificate) =>
        GATEWAY_IDENTITY.test(subjectaltname) ? undefined : new Error(`not a gateway: ${subjectaltname}`),
    });
    session.once('connect', () => resolve(session));
    session.on('error', reject);
  });
}

/** What is known of a call: on its stream, so that all calls share their listeners. */
const STATE = Symbol('call');

interface Called {
  [STATE]: {
    status: string;
    first: Buffer | undefined;
    rest: Buffer[] | undefined;
    readonly resolve: (answer: Answer) => void;
    readonly reject: (error: Error) => void;
  };
}

function readStatus(this: Called, incoming: IncomingHttpHeaders): void {
  const value = incoming['grpc-status'];
  if (typeof value === 'string') this[STATE].status = value;
}

function readChunk(this: Called, chunk: Buffer): void {
  const state = this[STATE];
  if (state.first === undefined) state.first = chunk;
  else (state.rest ??= []).push(chunk);
}

function fail(this: Called, error: Error): void {
  this[STATE].reject(error);
}

function answer(this: Called): void {
  const { status, first = Buffer.alloc(0), rest, resolve } = this[STATE];
  if (status !== '0') return resolve({ ok: false, status: Number(status || 2) });
  const whole = rest === undefined ? first : Buffer.concat([first, ...rest]);
  resolve({ ok: true, message: whole.subarray(FRAME_HEADER_BYTES) });
}

/** gRPC's length-prefixed message, uncompressed. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  writeFrameHeader(framed, message.length);
  framed.set(message, FRAME_HEADER_BYTES);
  return framed;
}

/** For a message of `length` bytes, which follows. */
export function writeFrameHeader(framed: Buffer, length: number): void {
  framed.writeUInt8(0, 0);
  framed.writeUInt32BE(length, 1);
}
