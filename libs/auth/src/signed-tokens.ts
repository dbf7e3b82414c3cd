// Signing and verifying of one kind of JWT: what session tokens and grants have in common.
// A verified text is remembered, since a verification costs about 100 us and calls carry the same text again and again.

// The parts that are used: all of it is three times as many modules, in every start.
import type { JWTPayload } from 'jose';
import * as errors from 'jose/errors';
import { decodeJwt } from 'jose/jwt/decode';
import { SignJWT } from 'jose/jwt/sign';
import { jwtVerify } from 'jose/jwt/verify';
import { LRUCache } from 'lru-cache';
import type { KeyRing } from './keys.ts';
import type { VerificationKeys } from './public-keys.ts';

/** What can be wrong with a token's text. */
export type TokenFault = 'MISSING' | 'MALFORMED' | 'EXPIRED' | 'FORGED' | 'ISSUER';

export interface SignedTokens<Content> {
  /** Signs the claims. Expiry is cut to whole seconds, as JWT counts them. */
  sign(claims: JWTPayload, expiresAtMs: number): Promise<{ text: string; expiresAtMs: number }>;
  /** @throws what `refuse` makes of the fault */
  verify(text: string): Promise<Content>;
  /** The content of a text that was verified before, has not expired since, and whose key still counts; undefined says nothing. */
  verifyCached(text: string): Content | undefined;
}

export interface SignedTokensOptions<Content> {
  /** Of this issuer: they sign, and verify its own tokens. */
  readonly keys: KeyRing;
  /** The keys of another issuer whose tokens count here, too; undefined when they do not. Asked at every verification. */
  readonly trusted?: ((issuer: string) => VerificationKeys | undefined) | undefined;
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
  { keys, trusted, typ, issuer, audience, nowMs, read, refuse }: SignedTokensOptions<Content>,
): SignedTokens<Content> {
  const verified = new LRUCache<string, Verified<Content>>({ max: VERIFIED_TEXTS_MAX });

  function keysOf(someIssuer: string): VerificationKeys | undefined {
    return someIssuer === issuer ? keys : trusted?.(someIssuer);
  }

  async function verifyUncached(text: string): Promise<Readonly<Content>> {
    if (text === '') throw refuse('MISSING');
    if (text.length > TOKEN_BYTES_MAX || !COMPACT_JWS.test(text)) throw refuse('MALFORMED');
    // What the text says of its issuer only chooses the keys: it counts once that issuer's key has verified it.
    const claimed = claimedIssuer(text);
    const isTrusted = claimed !== undefined && keysOf(claimed) !== undefined;
    const signer = isTrusted ? { issuer: claimed, keys: keysOf(claimed)! } : { issuer, keys };
    let claims: JWTPayload;
    let kid = '';
    try {
      ({ payload: claims, protectedHeader: { kid = '' } } = await jwtVerify(text, (header) => {
        const key = header.kid === undefined ? undefined : signer.keys.verificationKey(header.kid);
        if (!key) throw new errors.JWKSNoMatchingKey();
        return key;
      }, { algorithms: [ALGORITHM], typ, issuer: signer.issuer, audience, requiredClaims: ['exp'], currentDate: new Date(nowMs()) }));
    } catch (error) {
      // jose's errors carry the claims, so they never become a cause.
      const fault = faultOf(error, claimed, signer.issuer);
      throw fault ? refuse(fault) : error;
    }
    const expiresAtMs = Number(claims.exp) * 1000;
    const content = Number.isSafeInteger(expiresAtMs) ? read(claims, expiresAtMs) : undefined;
    if (!content) throw refuse('MALFORMED');
    const shared = Object.freeze(content);
    verified.set(tailOf(text), { text, content: shared, issuer: signer.issuer, kid });
    return shared;
  }

  function verifyCached(text: string): Readonly<Content> | undefined {
    const known = verified.get(tailOf(text));
    if (known?.text !== text || known.content.expiresAtMs <= nowMs()) return undefined;
    return keysOf(known.issuer)?.verificationKey(known.kid) ? known.content : undefined;
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

/** A text's content, and the key that its worth hangs on. */
interface Verified<Content> {
  readonly text: string;
  readonly content: Readonly<Content>;
  readonly issuer: string;
  readonly kid: string;
}

/**
 * What a text is looked up by: the end of its signature, which no two have in common. The text itself is new in each call, and to hash its 700 characters
 * costs more than to compare them.
 */
function tailOf(text: string): string {
  return text.slice(-TAIL_CHARS);
}

const TAIL_CHARS = 32;

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

function faultOf(error: unknown, claimed: string | undefined, issuer: string): TokenFault | undefined {
  if (!(error instanceof errors.JOSEError)) return undefined;
  if (error instanceof errors.JWTExpired) return 'EXPIRED';
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JOSEAlgNotAllowed) return 'FORGED';
  if (error instanceof errors.JWTClaimValidationFailed) return error.claim === 'iss' || error.claim === 'aud' ? 'ISSUER' : 'MALFORMED';
  // The key is not ours, so what the text says is worth nothing but a better explanation of the refusal.
  if (error instanceof errors.JWKSNoMatchingKey) return claimed === issuer ? 'FORGED' : 'ISSUER';
  return 'MALFORMED';
}

function claimedIssuer(text: string): string | undefined {
  try {
    const { iss } = decodeJwt(text);
    return typeof iss === 'string' ? iss : undefined;
  } catch {
    return undefined;
  }
}
