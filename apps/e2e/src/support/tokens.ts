// Tokens that no gateway would issue: any header, any claims, signed by any key.

import { createHmac, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { openKeyRing } from '@strife/auth';
import type { KeyRing } from '@strife/auth';

export interface TokenParts {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** What a token says, without asking whether it is true. */
export function partsOf(token: string): TokenParts {
  const [header, claims] = token.split('.');
  return { header: read(header), claims: read(claims) };
}

/** An EdDSA token. */
export function signedToken(parts: TokenParts, key: KeyObject): string {
  const text = unsigned(parts);
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`;
}

/** As an HS256 token: what a verifier accepts that takes a public key for a shared secret. */
export function hmacToken({ header, claims }: TokenParts, secret: Uint8Array): string {
  const text = unsigned({ header: { ...header, alg: 'HS256' }, claims });
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** Without a signature, `alg: none`. */
export function bareToken({ header, claims }: TokenParts): string {
  return `${unsigned({ header: { ...header, alg: 'none' }, claims })}.`;
}

/** The keys of a service, as its file holds them. */
export function keysOf(dataDirectory: string, service: string): Promise<KeyRing> {
  return openKeyRing({ file: `${dataDirectory}/${service}.jwk` });
}

function read(part = ''): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
}

function unsigned({ header, claims }: TokenParts): string {
  return [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
}
