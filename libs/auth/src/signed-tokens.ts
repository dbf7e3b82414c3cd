// Signing and verifying of one kind of JWT: what session tokens and grants have in common.
// A verified text is remembered, since a verification costs about 100 us and calls carry the same text again and again.

import { SignJWT, decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose';
import { LRUCache } from 'lru-cache';
import type { KeyRing } from './keys.ts';

/** What can be wrong with a token's text. */
export type TokenFault = 'MISSING' | 'MALFORMED' | 'EXPIRED' | 'FORGED' | 'ISSUER';

export interface SignedTokens<Content> {
  /** Signs the claims. Expiry is cut to whole seconds, as JWT counts them. */
  sign(claims: JWTPayload, expiresAtMs: number): Promise<{ text: string; expiresAtMs: number }>;
  /** @throws what `refuse` makes of the fault */
  verify(text: string): Promise<Content>;
  /** The content of a text that was verified before and has not expired since; undefined says nothing. */
  verifyCached(text: string): Content | undefined;
}

export interface SignedTokensOptions<Content> {
  readonly keys: KeyRing;
  readonly typ: string;
  readonly issuer: string;
  readonly audience: string;
  readonly nowMs: () => number;
  /** Reads the claims, or returns undefined when one is missing or has the wrong shape. */
  readonly read: (claims: JWTPayload, expiresAtMs: number) => Content | undefined;
  readonly refuse: (fault: TokenFault) => Error;
}

/** A header with a longer text is refused unread. */
export const TOKEN_BYTES_MAX = 8 * 1024;

export function createSignedTokens<Content extends { readonly expiresAtMs: number }>(
  { keys, typ, issuer, audience, nowMs, read, refuse }: SignedTokensOptions<Content>,
): SignedTokens<Content> {
  const verified = new LRUCache<string, Readonly<Content>>({ max: VERIFIED_TEXTS_MAX });

  async function verifyUncached(text: string): Promise<Readonly<Content>> {
    if (text === '') throw refuse('MISSING');
    if (text.length > TOKEN_BYTES_MAX || !COMPACT_JWS.test(text)) throw refuse('MALFORMED');
    let claims: JWTPayload;
    try {
      ({ payload: claims } = await jwtVerify(text, ({ kid }) => {
        const key = kid === undefined ? undefined : keys.verificationKey(kid);
        if (!key) throw new errors.JWKSNoMatchingKey();
        return key;
      }, { algorithms: [ALGORITHM], typ, issuer, audience, requiredClaims: ['exp'], currentDate: new Date(nowMs()) }));
    } catch (error) {
      // jose's errors carry the claims, so they never become a cause.
      const fault = faultOf(error, text, issuer);
      throw fault ? refuse(fault) : error;
    }
    const expiresAtMs = Number(claims.exp) * 1000;
    const content = Number.isSafeInteger(expiresAtMs) ? read(claims, expiresAtMs) : undefined;
    if (!content) throw refuse('MALFORMED');
    const shared = Object.freeze(content);
    verified.set(text, shared);
    return shared;
  }

  function verifyCached(text: string): Readonly<Content> | undefined {
    const content = verified.get(text);
    return content && content.expiresAtMs > nowMs() ? content : undefined;
  }

  return {
    async sign(claims, expiresAtMs) {
      const exp = Math.floor(expiresAtMs / 1000);
      const text = await new SignJWT({ ...claims, iss: issuer, aud: audience, iat: Math.floor(nowMs() / 1000), exp })
        .setProtectedHeader({ alg: ALGORITHM, typ, kid: keys.kid })
        .sign(keys.signingKey);
      return { text, expiresAtMs: exp * 1000 };
    },
    verifyCached,
    async verify(text) {
      return verifyCached(text) ?? verifyUncached(text);
    },
  };
}

/** Reads a claim that must be a string with something in it. */
export function textClaim(claims: JWTPayload, name: string): string | undefined {
  const value = claims[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** ISO 4217, alphabetic. */
export function currencyClaim(claims: JWTPayload): string | undefined {
  const value = textClaim(claims, 'currency');
  return value !== undefined && /^[A-Z]{3}$/.test(value) ? value : undefined;
}

const ALGORITHM = 'EdDSA';
/** About 10 MB at the usual length of a token. */
const VERIFIED_TEXTS_MAX = 10_000;
/** RFC 7515 section 7.1. jose itself would also accept blanks and padding, and so many spellings of one token. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]*$/;

function faultOf(error: unknown, text: string, issuer: string): TokenFault | undefined {
  if (!(error instanceof errors.JOSEError)) return undefined;
  if (error instanceof errors.JWTExpired) return 'EXPIRED';
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JOSEAlgNotAllowed) return 'FORGED';
  if (error instanceof errors.JWTClaimValidationFailed) return error.claim === 'iss' || error.claim === 'aud' ? 'ISSUER' : 'MALFORMED';
  // The key is not ours, so what the text says is worth nothing but a better explanation of the refusal.
  if (error instanceof errors.JWKSNoMatchingKey) return claimedIssuer(text) === issuer ? 'FORGED' : 'ISSUER';
  return 'MALFORMED';
}

function claimedIssuer(text: string): string | undefined {
  try {
    return decodeJwt(text).iss;
  } catch {
    return undefined;
  }
}
