// How a verified caller travels from the interceptor, which sees the certificate, to the middleware, which gets one text: its
// identity, and the serial number of its certificate.
import { parseIdentity, type PeerIdentity } from './identity.ts';

export interface VerifiedPeer {
  readonly identity: PeerIdentity;
  /** Hexadecimal, as Node writes it: `0A3F`. */
  readonly serial: string;
}

const PEER = /^(\S+) serial=([0-9A-F]+)$/;

export function formatPeer(uri: string, serial: string): string {
  return `${uri} serial=${serial}`;
}

/** Undefined for any text that `formatPeer` did not make of an identity, such as an address. */
export function parsePeer(text: string): VerifiedPeer | undefined {
  const [, uri, serial] = PEER.exec(text) ?? [];
  const identity = uri === undefined ? undefined : parseIdentity(uri);
  return identity === undefined || serial === undefined ? undefined : { identity, serial };
}

/** For logs: the identity's URI, or whatever else the text is. */
export function shownPeer(text: string): string {
  return PEER.exec(text)?.[1] ?? text;
}
