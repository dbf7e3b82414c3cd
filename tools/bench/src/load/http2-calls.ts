// Unary gRPC calls over bare node:http2 with mutual TLS: framing by hand, and nothing of a gRPC client's own cost.

import { connect, constants, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import type { PeerCertificate } from 'node:tls';
import type { TlsMaterial } from '@strife/certs';

export interface Http2Calls {
  /**
   * One call: the message's bytes, without its frame. The answer's bytes, or the call's gRPC status other than OK.
   *
   * @throws Error when the connection or the stream breaks
   */
  call(path: string, token: string, message: Uint8Array): Promise<{ ok: true; message: Buffer } | { ok: false; status: number }>;
  close(): void;
}

const FRAME_HEADER_BYTES = 5;
const GATEWAY_IDENTITY = /URI:spiffe:\/\/[^/]+\/gateway\//;

/** Connects to a gateway. */
export async function openCalls(address: string, tls: TlsMaterial): Promise<Http2Calls> {
  const session = await openSession(address, tls);
  return {
    call: (path, token, message) => callOnce(session, path, token, message),
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

function callOnce(session: ClientHttp2Session, path: string, token: string, message: Uint8Array): ReturnType<Http2Calls['call']> {
  return new Promise((resolve, reject) => {
    const headers: OutgoingHttpHeaders = {
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc+proto',
      [constants.HTTP2_HEADER_TE]: 'trailers',
      authorization: `Bearer ${token}`,
    };
    const stream = session.request(headers);
    const chunks: Buffer[] = [];
    let status = '';
    const readStatus = (incoming: Record<string, unknown>): void => {
      const value = incoming['grpc-status'];
      if (typeof value === 'string') status = value;
    };
    stream.on('response', readStatus);
    stream.on('trailers', readStatus);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('error', reject);
    stream.once('end', () => {
      if (status === '0') resolve({ ok: true, message: messageOf(chunks) });
      else resolve({ ok: false, status: Number(status || 2) });
    });
    stream.end(frame(message));
  });
}

/** gRPC's length-prefixed message, uncompressed. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  framed.writeUInt8(0, 0);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, FRAME_HEADER_BYTES);
  return framed;
}

function messageOf(chunks: readonly Buffer[]): Buffer {
  const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  return whole.subarray(FRAME_HEADER_BYTES);
}
