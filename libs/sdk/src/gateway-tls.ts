// The secure side of a connection: mutual TLS by identity (a SPIFFE URI in the certificate) instead of by host name.

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect as tlsConnect, type PeerCertificate } from 'node:tls';
import { ChannelCredentials } from '@grpc/grpc-js';
import { TlsError } from './errors.ts';
import type { TlsOptions } from './tls-source.ts';

/** A gateway's name as the development authority writes it, and as Consul does; in front of each stands the trust domain. */
const GATEWAY_PATHS = [/^\/gateway\/[A-Za-z0-9._-]+$/, /^\/ns\/default\/dc\/[A-Za-z0-9_-]+\/svc\/strife-gateway-[A-Za-z0-9-]+$/];
const TRUST_DOMAIN = /^URI:spiffe:\/\/([A-Za-z0-9.-]+)(\/.*)$/;

/** Errors of the network under TLS: nobody listens, or the line broke. Anything else in a handshake is about trust. */
const NETWORK_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
]);

/** Credentials for channels to gateways. Throws TlsError for what is no certificate or key, or a key of another one. */
export function gatewayCredentials(tls: TlsOptions): ChannelCredentials {
  try {
    return ChannelCredentials.createSsl(Buffer.from(tls.ca), Buffer.from(tls.key), Buffer.from(tls.cert), {
      checkServerIdentity: identityCheck(tls),
    });
  } catch (cause) {
    throw new TlsError(`the TLS certificates cannot be used: ${(cause as Error).message}`, {
      code: 'TLS_MATERIAL_INVALID',
      cause,
    });
  }
}

/**
 * Accepts a gateway's certificate and no other role's: exactly one URI name, as SPIFFE asks, that of a gateway, and in the trust domain
 * of this client's own certificate. The chain up to the authority is checked before this is called.
 */
function identityCheck(tls: TlsOptions): (host: string, certificate: PeerCertificate) => Error | undefined {
  const [own] = uriNames(new X509Certificate(tls.cert).subjectAltName);
  const ownDomain = TRUST_DOMAIN.exec(own ?? '')?.[1];
  return (_host, certificate) => {
    const names = uriNames(certificate.subjectaltname);
    const [, domain, path = ''] = TRUST_DOMAIN.exec(names[0] ?? '') ?? [];
    const isGateway = names.length === 1 && GATEWAY_PATHS.some((pattern) => pattern.test(path));
    if (isGateway && (ownDomain === undefined || domain === ownDomain)) return undefined;
    return new Error(`the server is not a gateway: its certificate says ${names.join(', ') || 'no identity'}`);
  };
}

function uriNames(altNames: string | undefined): string[] {
  return (altNames ?? '').split(', ').filter((name) => name.startsWith('URI:'));
}

/**
 * Why a secure connection fails: tries one, and says so if it is a matter of trust; undefined if the address cannot be
 * reached, or if all is well. gRPC itself reports both alike, as "unavailable".
 */
export async function diagnoseTls(
  address: { host: string; port: number },
  tls: TlsOptions,
  signal: AbortSignal,
): Promise<TlsError | undefined> {
  let ending = await probe(address, tls, signal);
  // Node's servers turn a certificate down by closing without a word. So does one that dies; but not twice.
  if (ending.kind === 'closed') ending = await probe(address, tls, signal);
  const where = `${address.host}:${address.port}`;
  switch (ending.kind) {
    case 'closed':
      return new TlsError(`${where} does not accept this client's certificate`, { code: 'TLS_CLIENT_REFUSED' });
    case 'failed': {
      const cause = ending.error;
      return new TlsError(`no secure connection to ${where}: ${cause.message}`, { code: 'TLS_FAILED', cause });
    }
    case 'undetermined':
      return undefined;
  }
}

type ProbeEnding =
  /** The server spoke, nobody could be reached, or there was no time to find out. */
  | { kind: 'undetermined' }
  /** The handshake was done on this side, and then the server hung up before it said anything. */
  | { kind: 'closed' }
  | { kind: 'failed'; error: Error };

/**
 * A connection up to the server's first byte. Not only up to the handshake: under TLS 1.3 a server turns a client's
 * certificate down after the client has finished its part.
 */
function probe(address: { host: string; port: number }, tls: TlsOptions, signal: AbortSignal): Promise<ProbeEnding> {
  return new Promise((resolve) => {
    let isSecure = false;
    const { host, port } = address;
    const servername = isIP(host) ? '' : host;
    const socket = tlsConnect({ host, port, servername, ...tls, ALPNProtocols: ['h2'], checkServerIdentity: identityCheck(tls) });
    const finish = (ending: ProbeEnding): void => {
      signal.removeEventListener('abort', giveUp);
      socket.destroy();
      resolve(ending);
    };
    const giveUp = (): void => finish({ kind: 'undetermined' });
    const hungUp = (): void => finish({ kind: isSecure ? 'closed' : 'undetermined' });
    socket.once('secureConnect', () => (isSecure = true));
    socket.once('data', giveUp).once('close', hungUp);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (NETWORK_CODES.has(error.code ?? '')) hungUp();
      else finish({ kind: 'failed', error });
    });
    signal.addEventListener('abort', giveUp);
    if (signal.aborted) giveUp();
  });
}
