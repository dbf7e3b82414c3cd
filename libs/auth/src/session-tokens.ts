// Session tokens: what a gateway gives to a user who logged in, and what every later call carries.

import { randomUUID } from 'node:crypto';
import { AuthError } from './auth-error.ts';
import type { KeyRing } from './keys.ts';
import type { VerificationKeys } from './public-keys.ts';
import { createSignedTokens, currencyClaim, textClaim } from './signed-tokens.ts';

export interface AccountName {
  readonly bank: string;
  readonly account: string;
}

/** What a login began at the bank: all tokens, grants and refresh tokens that came of it end with it. */
export interface LoginSession {
  readonly id: string;
  /** When its refresh token ends by itself. */
  readonly expiresAtMs: number;
}

/** Who calls, as told by a verified token. Frozen, and shared by all calls that carry the same token. */
export interface Session {
  readonly account: AccountName;
  /** ISO 4217. */
  readonly currency: string;
  /** The bank's grant, sent along with every debit. A secret: never logged. */
  readonly grant: string;
  /** The login session at the bank, which this token is one of several of. */
  readonly login: LoginSession;
  readonly issuer: string;
  /** With the issuer, what a revocation names. */
  readonly jti: string;
  readonly expiresAtMs: number;
}

export interface SessionTokens {
  /**
   * Issues a token that ends after `lifetimeMs`, and never later than the grant.
   *
   * @throws AuthError TOKEN_EXPIRED when the grant has ended already
   */
  issue(session: {
    account: AccountName;
    currency: string;
    grant: string;
    login: LoginSession;
    grantExpiresAtMs: number;
  }): Promise<{ token: string; expiresAtMs: number; jti: string }>;

  /**
   * Returns the session of a token that this issuer or a trusted one signed, for this audience, and that has not expired. Does
   * not ask for revocations: the auth middleware does, on every call.
   *
   * @throws AuthError
   */
  verify(token: string): Promise<Session>;
  /** The session of a token that was verified before and would be again; undefined says nothing. As `verify`, it asks for no revocation. */
  verifyCached(token: string): Session | undefined;
}

/** The longest that a session lasts, unless a shorter one is asked for. */
export const SESSION_LIFETIME_MS = 3_600_000;

export function createSessionTokens({ keys, issuer, trusted, audience = 'strife', lifetimeMs = SESSION_LIFETIME_MS, nowMs, newId = randomUUID }: {
  keys: KeyRing;
  /** The gateway's name; gateways that share keys share it. */
  issuer: string;
  /** The public keys of other issuers whose sessions are good here, too. An issuer signs for itself only. */
  trusted?: (issuer: string) => VerificationKeys | undefined;
  audience?: string;
  lifetimeMs?: number;
  nowMs: () => number;
  newId?: () => string;
}): SessionTokens {
  const tokens = createSignedTokens<Session>({
    keys, trusted, typ: 'strife-session+jwt', issuer, audience, nowMs,
    refuse: (fault) => new AuthError(`TOKEN_${fault}`),
    read(claims, expiresAtMs) {
      const bank = textClaim(claims, 'bank');
      const account = textClaim(claims, 'account');
      const currency = currencyClaim(claims);
      const grant = textClaim(claims, 'grant');
      const jti = textClaim(claims, 'jti');
      const signedBy = textClaim(claims, 'iss');
      const sessionId = textClaim(claims, 'sid');
      const sessionEnd = claims['sid_exp'];
      if (!bank || !account || !currency || !grant || !jti || !signedBy || !sessionId || typeof sessionEnd !== 'number') return undefined;
      const login = Object.freeze({ id: sessionId, expiresAtMs: sessionEnd });
      return { account: Object.freeze({ bank, account }), currency, grant, login, issuer: signedBy, jti, expiresAtMs };
    },
  });

  return {
    async issue({ account: { bank, account }, currency, grant, login, grantExpiresAtMs }) {
      const now = nowMs();
      if (grantExpiresAtMs <= now) throw new AuthError('TOKEN_EXPIRED', 'authorization: the bank\'s grant has expired; log in again');
      const jti = newId();
      const claims = { bank, account, currency, grant, jti, sid: login.id, sid_exp: login.expiresAtMs };
      const { text, expiresAtMs } = await tokens.sign(claims, Math.min(now + lifetimeMs, grantExpiresAtMs));
      return { token: text, expiresAtMs, jti };
    },
    verify: (token) => tokens.verify(token),
    verifyCached: (token) => tokens.verifyCached(token),
  };
}
