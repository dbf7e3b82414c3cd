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
function signedToken(parts: TokenParts, key: KeyObject): string {
  const text = unsigned(parts);
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`;
}

/** As an HS256 token: what a verifier accepts that takes a public key for a shared secret. */
function hmacToken({ header, claims }: TokenParts, secret: Uint8Array): string {
  const text = unsigned({ header: { ...header, alg: 'HS256' }, claims });
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** Without a signature, `alg: none`. */
function bareToken({ header, claims }: TokenParts): string {
  return `${unsigned({ header: { ...header, alg: 'none' }, claims })}.`;
}

export interface ForgersTools {
  /** One that is good. */
  readonly token: string;
  /** Whose token it is. */
  readonly gateway: KeyRing;
  readonly bank: KeyRing;
  readonly stranger: KeyRing;
}

/** By what is wrong with them. */
export function forgedTokens({ token, gateway, bank, stranger }: ForgersTools): Record<string, string> {
  const parts = partsOf(token);
  const { header, claims } = parts;
  const ours = (changed: object, headerChange: object = {}): string => signedToken({ header: { ...header, ...headerChange }, claims: { ...claims, ...changed } }, gateway.signingKey);
  const publicKey = Buffer.from(gateway.publicJwks().keys[0]!.x, 'base64url');
  const past = Math.floor(Date.now() / 1000) - 60;
  return {
    expired: ours({ iat: past - 3600, exp: past }),
    'without an expiry': ours({ exp: undefined }),
    'with an expiry that is no number': ours({ exp: 'tomorrow' }),
    "of another gateway's key": signedToken({ header: { ...header, kid: stranger.kid }, claims }, stranger.signingKey),
    'signed by another key under our name': signedToken(parts, stranger.signingKey),
    "signed by the user's bank": signedToken({ header: { ...header, kid: bank.kid }, claims }, bank.signingKey),
    'of another issuer': ours({ iss: 'strife-gateway/g2' }),
    'for another audience': ours({ aud: 'somebody-else' }),
    'of another type': ours({}, { typ: 'JWT' }),
    'without a signature': `${token.split('.').slice(0, 2).join('.')}.`,
    'with alg none': bareToken(parts),
    'with the public key as a shared secret': hmacToken(parts, publicKey),
    'with another account in it': token.split('.').map((part, index) => (index === 1 ? Buffer.from(JSON.stringify({ ...claims, account: 'carol' })).toString('base64url') : part)).join('.'),
    'without a grant': ours({ grant: undefined }),
    'cut short': token.slice(0, -10),
    'that is no token': 'letmein',
    'of 9 KB': 'a.b.'.padEnd(9000, 'c'),
  };
}

/** The keys of a service, as its file holds them; new ones where there is no file. */
export function keysOf(dataDirectory: string, service: string): Promise<KeyRing> {
  return openKeyRing({ file: `${dataDirectory}/${service}.jwk` });
}

function read(part = ''): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
}

function unsigned({ header, claims }: TokenParts): string {
  return [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
}
