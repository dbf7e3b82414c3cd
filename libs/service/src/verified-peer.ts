// How a verified caller travels from the interceptor, which sees the certificate, to the middleware, which gets one text: its
// identity, and the serial number of its certificate.
import { parseIdentity, type PeerIdentity } from './identity.ts';

export interface VerifiedPeer {
  readonly identity: PeerIdentity;
  /** Hexadecimal, as Node writes it: `0A3F`. */
  readonly serial: string;
}

/** Whoever is at the other end of a connection. */
export interface Peer {
  /** What the middleware of streams gets. */
  readonly text: string;
  /** For logs: the identity's URI, or whatever else the text is. */
  readonly shown: string;
  readonly verified: VerifiedPeer | undefined;
}

const PEER = /^(\S+) serial=([0-9A-F]+)$/;

export function formatPeer(uri: string, serial: string): string {
  return `${uri} serial=${serial}`;
}

/** Verified only if the text is one that `formatPeer` made of an identity; an address is not. */
export function peerOf(text: string): Peer {
  return { text, shown: PEER.exec(text)?.[1] ?? text, verified: parsePeer(text) };
}

/** Undefined for any text that `formatPeer` did not make of an identity, such as an address. */
export function parsePeer(text: string): VerifiedPeer | undefined {
  const [, uri, serial] = PEER.exec(text) ?? [];
  const identity = uri === undefined ? undefined : parseIdentity(uri);
  return identity === undefined || serial === undefined ? undefined : { identity, serial };
}
