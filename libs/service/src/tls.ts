// Mutual TLS 1.3 on every link. The host name is never checked: the SPIFFE URI in the certificate says who answers.
import { createSecureContext, type PeerCertificate, type SecureContextOptions } from 'node:tls';
import { ChannelCredentials, ServerCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { createChannel, type Channel } from 'nice-grpc';
import { identityFromAltNames, TRUST_DOMAIN, trustDomainOf, type Role } from './identity.ts';
import { KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS, MESSAGE_BYTES_MAX } from './limits.ts';
import { IDENTITY_FAILURE } from './tls-failure.ts';
import type { TlsMaterial } from './tls-source.ts';

export interface ExpectedPeer {
  role: Role;
  /** Any name of that role when left out. */
  name?: string;
}

export interface PeerChannelOptions {
  /** `host:port` */
  address: string;
  tls: TlsMaterial;
  expect: ExpectedPeer;
  channelOptions?: ChannelOptions;
}

const TLS_VERSION_MIN = 'TLSv1.3';
const HANDSHAKE_TIMEOUT_MS = 10_000;
const RECONNECT_BACKOFF_INITIAL_MS = 50;
const RECONNECT_BACKOFF_MAX_MS = 1_000;

/**
 * A channel that talks only to a server of the expected role (and name) in the trust domain of its own certificate, proved by
 * the server's certificate and its only URI SAN. It keeps the certificate that it got.
 *
 * It connects lazily and reconnects by itself, backing off from 50 ms to 1 s. The caller closes it.
 *
 * @throws when the material is damaged
 */
export function createPeerChannel({ address, tls, expect, channelOptions }: PeerChannelOptions): Channel {
  const trustDomain = trustDomainOf(tls.cert);
  const credentials = ChannelCredentials.createFromSecureContext(createSecureContext(contextOptions(tls)), {
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkPeer(certificate, expect, trustDomain),
  });
  return createChannel(address, credentials, {
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
    'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_BACKOFF_INITIAL_MS,
    'grpc.max_reconnect_backoff_ms': RECONNECT_BACKOFF_MAX_MS,
    // The name in the handshake must not be an address (RFC 6066); nobody looks at it.
    'grpc.ssl_target_name_override': TRUST_DOMAIN,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
    ...channelOptions,
  });
}

/**
 * Server credentials that require a client certificate signed by one of `ca` at the handshake. grpc-js has no public way to set the
 * TLS version of a server, but it takes any subclass of its credentials, and asks that for the certificates of a listener.
 */
export class MutualTlsCredentials extends ServerCredentials {
  constructor(tls: TlsMaterial) {
    super({ requestCert: true, rejectUnauthorized: true, handshakeTimeout: HANDSHAKE_TIMEOUT_MS }, contextOptions(tls));
  }

  /**
   * New connections get the new certificate; those that exist keep what they have.
   *
   * @throws when the material is damaged; nothing has changed then
   */
  exchange(tls: TlsMaterial): void {
    const options = contextOptions(tls);
    // Only to see that it works: with options that do not, grpc-js closes the listener to everyone.
    createSecureContext(options);
    this.updateSecureContextOptions(options);
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** All that an exchange of certificates sets anew, so the TLS version must be among them. */
function contextOptions({ ca, cert, key }: TlsMaterial): SecureContextOptions {
  return { ca, cert, key, minVersion: TLS_VERSION_MIN };
}

function checkPeer(certificate: PeerCertificate, expect: ExpectedPeer, trustDomain: string): Error | undefined {
  const identity = identityFromAltNames(certificate.subjectaltname, trustDomain);
  if (typeof identity === 'string') return new Error(`${IDENTITY_FAILURE}: ${identity}`);
  if (identity.role === expect.role && (expect.name === undefined || identity.name === expect.name)) return undefined;
  return new Error(`${IDENTITY_FAILURE}: expected ${expect.role}/${expect.name ?? '*'}, but ${identity.role}/${identity.name} answered`);
}
