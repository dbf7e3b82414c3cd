// Mutual TLS 1.3 on every link. The host name is never checked: the SPIFFE URI in the certificate says who answers.
import { createSecureContext, type PeerCertificate } from 'node:tls';
import { ChannelCredentials, ServerCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { createChannel, type Channel } from 'nice-grpc';
import { identityFromAltNames, TRUST_DOMAIN, type Role } from './identity.ts';
import { KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS, MESSAGE_BYTES_MAX } from './limits.ts';
import { IDENTITY_FAILURE } from './tls-failure.ts';
import type { TlsMaterial } from './tls-files.ts';

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
 * A channel that talks only to a server of the expected role (and name), proved by the certificate's only URI SAN.
 *
 * It connects lazily and reconnects by itself, backing off from 50 ms to 1 s. The caller closes it.
 */
export function createPeerChannel({ address, tls, expect, channelOptions }: PeerChannelOptions): Channel {
  const context = createSecureContext({ ca: tls.ca, cert: tls.cert, key: tls.key, minVersion: TLS_VERSION_MIN });
  const credentials = ChannelCredentials.createFromSecureContext(context, {
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkPeer(certificate, expect),
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

/** Server credentials that require a client certificate signed by `tls.ca` at the handshake. */
export function createServerCredentials(tls: TlsMaterial): ServerCredentials {
  return new MutualTlsCredentials(tls);
}

/** grpc-js has no public way to set the TLS version of a server, but it takes any subclass of its credentials. */
class MutualTlsCredentials extends ServerCredentials {
  constructor(tls: TlsMaterial) {
    super(
      { requestCert: true, rejectUnauthorized: true, minVersion: TLS_VERSION_MIN, handshakeTimeout: HANDSHAKE_TIMEOUT_MS },
      { ca: tls.ca, cert: tls.cert, key: tls.key },
    );
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function checkPeer(certificate: PeerCertificate, expect: ExpectedPeer): Error | undefined {
  const identity = identityFromAltNames(certificate.subjectaltname);
  if (typeof identity === 'string') return new Error(`${IDENTITY_FAILURE}: ${identity}`);
  if (identity.role === expect.role && (expect.name === undefined || identity.name === expect.name)) return undefined;
  return new Error(`${IDENTITY_FAILURE}: expected ${expect.role}/${expect.name ?? '*'}, but ${identity.role}/${identity.name} answered`);
}
