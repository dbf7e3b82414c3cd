// Each gateway: whether it can be reached, who it is, whether it serves, and what its clock says.

import { connect as http2Connect, constants, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type { TlsOptions } from '@strife/sdk';
import { validity } from './certificates.ts';
import { failure, ok, warning, type Finding } from './finding.ts';

const ANSWER_WITHIN_MS = 3000;
/** The date in an answer is in whole seconds, and the answer took some time. */
const SKEW_WARNING_MS = 5000;
/** Less than this may be the cut-off part of a second and the way here. */
const SKEW_SEEN_MS = 2000;
/** Beyond this, sessions and expiring payments go wrong. */
const SKEW_FAILURE_MS = 60_000;
const GATEWAY_NAME = /^URI:spiffe:\/\/[A-Za-z0-9.-]+\/(gateway\/|ns\/default\/dc\/[A-Za-z0-9_-]+\/svc\/strife-gateway-)[A-Za-z0-9._-]+$/;
/** The empty request of grpc.health.v1.Health/Check: the state of the server as a whole. */
const EMPTY_MESSAGE = Buffer.alloc(5);
const SERVING = '0801';
const MESSAGE_HEADER_BYTES = 5;

interface Answer {
  readonly certificate: PeerCertificate;
  readonly isServing: boolean;
  /** How far this machine's clock is ahead of the gateway's. */
  readonly skewMs: number | undefined;
}

/** All that one gateway tells of itself. */
export async function checkGateway(address: string, tls: TlsOptions): Promise<Finding[]> {
  const check = `gateway ${address}`;
  let answer: Answer;
  try {
    answer = await ask(address, tls);
  } catch (error) {
    return [failure(check, `no answer: ${(error as Error).message}`, 'Is it running, and is the address right? See strife config explain, gateways.')];
  }
  const { certificate, isServing, skewMs } = answer;
  const name = certificate.subjectaltname ?? 'no identity';
  return [
    isServing ? ok(check, 'serving') : failure(check, 'it answers, and says that it does not serve', 'It is starting or stopping; its log says more.'),
    GATEWAY_NAME.test(name)
      ? validity(`${check}: certificate`, name, new Date(certificate.valid_from), new Date(certificate.valid_to))
      : failure(`${check}: certificate`, `it is not a gateway: ${name}`, 'Something else listens at this address. Nothing was sent to it.'),
    clockFinding(`${check}: clock`, skewMs),
  ];
}

function clockFinding(check: string, skewMs: number | undefined): Finding {
  if (skewMs === undefined) return warning(check, 'it does not say what time it is');
  const seconds = Math.abs(skewMs) < SKEW_SEEN_MS ? 0 : Math.round(skewMs / 1000);
  const detail = seconds === 0 ? 'as here' : `this machine is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead' : 'behind'}`;
  if (Math.abs(skewMs) >= SKEW_FAILURE_MS) return failure(check, detail, 'Set the clock: sessions and payments with a last moment depend on it.');
  return Math.abs(skewMs) >= SKEW_WARNING_MS ? warning(check, detail, 'Set the clock.') : ok(check, detail);
}

/** One health check over a connection of its own. Rejects with what is wrong. */
async function ask(address: string, tls: TlsOptions): Promise<Answer> {
  const session = http2Connect(`https://${address}`, { ...tls, servername: '', checkServerIdentity: () => undefined });
  const timer = setTimeout(() => session.destroy(new Error(`nothing within ${ANSWER_WITHIN_MS / 1000} s`)), ANSWER_WITHIN_MS);
  try {
    return await healthOf(session);
  } finally {
    clearTimeout(timer);
    session.destroy();
  }
}

function healthOf(session: ClientHttp2Session): Promise<Answer> {
  return new Promise((resolve, reject) => {
    session.on('error', reject).once('close', () => reject(new Error('it hung up; it may not accept this certificate')));
    session.once('connect', () => {
      const certificate = (session.socket as TLSSocket).getPeerCertificate();
      const chunks: Buffer[] = [];
      let headers: IncomingHttpHeaders = {};
      const stream = session.request({
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.once('response', (received) => (headers = received));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      stream.once('end', () => {
        const message = Buffer.concat(chunks).subarray(MESSAGE_HEADER_BYTES).toString('hex');
        resolve({ certificate, isServing: message === SERVING, skewMs: skewOf(headers.date) });
      });
      stream.end(EMPTY_MESSAGE);
    });
  });
}

function skewOf(date: string | undefined): number | undefined {
  const theirsMs = date === undefined ? Number.NaN : Date.parse(date);
  // On average half a second was cut off.
  return Number.isNaN(theirsMs) ? undefined : Date.now() - theirsMs - 500;
}
