// The text of refresh tokens: `<session id>.<generation>.<mac>`. Nothing of it is stored: the bank's secret makes the mac anew.

import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a refresh token names, once its mac was found right. */
export interface RefreshClaim {
  readonly sessionId: string;
  /** 1 for the one that a login gave, and one more for each that took the place of another. */
  readonly generation: number;
}

export interface RefreshTokens {
  write(claim: RefreshClaim): string;
  /** What a token names that this bank gave out; undefined for any other text. */
  read(text: string): RefreshClaim | undefined;
  /** What is stored of a request id: enough to tell whether another one is the same. */
  digest(requestId: string): string;
}

/** Longer texts are refused unread. */
export const REFRESH_TOKEN_CHARACTERS_MAX = 256;

/**
 * The mac covers the bank's name, so that banks which share a secret by mistake do not share tokens. It does not cover the request
 * that a token was given for: a token of any age can still be told from a made-up one, and only a genuine one may end a session.
 */
export function createRefreshTokens(secret: Uint8Array, bank: string): RefreshTokens {
  // JSON keeps the parts apart whatever characters they have.
  const mac = (...parts: readonly (string | number)[]): Buffer => createHmac('sha256', secret).update(JSON.stringify([bank, ...parts])).digest();
  return {
    write: ({ sessionId, generation }) => `${sessionId}.${generation}.${mac('token', sessionId, generation).toString('base64url')}`,
    read(text) {
      const match = SHAPE.exec(text);
      if (match === null) return undefined;
      const [, sessionId, digits, given] = match as unknown as [string, string, string, string];
      const generation = Number(digits);
      // One token has one spelling: the last character of the mac has bits that do not count.
      const bytes = Buffer.from(given, 'base64url');
      if (bytes.toString('base64url') !== given || !timingSafeEqual(bytes, mac('token', sessionId, generation))) return undefined;
      return { sessionId, generation };
    },
    digest: (requestId) => mac('request', requestId).toString('base64url'),
  };
}

/** The session that a text names, if it looks like a refresh token. It proves nothing: only its bank can tell whether it is one. */
export function sessionIdOf(text: string): string | undefined {
  return SHAPE.exec(text)?.[1];
}

/** Of 16 bytes, a number without leading zeros, and 32 bytes. */
const SHAPE = /^([\w-]{22})\.([1-9]\d{0,8})\.([\w-]{43})$/;
