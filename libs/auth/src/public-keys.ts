// The public halves of signing keys: what they look like, and the short text in which a gateway makes its own known to others.

import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

export interface PublicJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly kid: string;
  readonly alg: 'EdDSA';
  readonly use: 'sig';
}

/** Whose signatures count. A key ring is one; so is what another service has published. */
export interface VerificationKeys {
  /** The public key of that name, when it counts. */
  verificationKey(kid: string): KeyObject | undefined;
}

/** One that signs, and one before or after it. */
export const KEYS_MAX = 2;
/** The longest text that a registry's metadata value holds everywhere: Consul's limit. */
export const PUBLISHED_KEYS_CHARACTERS_MAX = 512;

/** The text to publish: an RFC 7517 key set. The same keys give the same text, whichever of them signs. */
export function publishedKeys(jwks: readonly PublicJwk[]): string {
  return JSON.stringify({ keys: [...jwks].sort((a, b) => (a.kid < b.kid ? -1 : 1)) });
}

/** Reads a published text; undefined unless all of it is right: one or two whole Ed25519 keys, each under its own thumbprint. */
export function readPublishedKeys(text: string): VerificationKeys | undefined {
  if (text.length > PUBLISHED_KEYS_CHARACTERS_MAX) return undefined;
  try {
    const { keys } = JSON.parse(text) as { keys: { x?: unknown; kid?: unknown }[] };
    if (keys.length < 1 || keys.length > KEYS_MAX) return undefined;
    const byKid = new Map<string, KeyObject>();
    for (const { x, kid } of keys) {
      if (typeof x !== 'string' || kid !== thumbprint(x)) return undefined;
      byKid.set(kid, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }));
    }
    return { verificationKey: (kid) => byKid.get(kid) };
  } catch {
    return undefined;
  }
}

/** RFC 7638: SHA-256 over the required members (RFC 8037 names them for OKP), in lexical order, without spaces. */
export function thumbprint(x: string): string {
  return createHash('sha256').update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x })).digest('base64url');
}
