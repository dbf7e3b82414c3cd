// Grants: a bank's signed leave for a gateway to act for one account, given at login and checked on each debit.

import type { KeyRing } from './keys.ts';
import { createSignedTokens, currencyClaim, textClaim, type TokenFault } from './signed-tokens.ts';

/** For which account a gateway may act, as told by a verified grant. Frozen and shared. */
export interface Grant {
  /** The account's name at the bank that issued the grant. */
  readonly account: string;
  /** ISO 4217. */
  readonly currency: string;
  /** The login session that it came of; it is worth nothing once that has ended. */
  readonly sessionId: string;
  readonly expiresAtMs: number;
}

export interface Grants {
  issue(grant: { account: string; currency: string; sessionId: string }): Promise<{ grant: string; expiresAtMs: number }>;
  /** @throws GrantError */
  verify(grant: string): Promise<Grant>;
  /**
   * The synchronous short cut for hot batches: the content of a text that `verify` accepted before and that has not expired
   * since, nor its session ended. Undefined means only that `verify` has to be asked.
   */
  verifyCached(grant: string): Grant | undefined;
}

export type GrantErrorCode = `GRANT_${TokenFault}` | 'SESSION_REVOKED';

/** A refused grant. The message never contains the grant or a part of it. */
export class GrantError extends Error {
  override readonly name = 'GrantError';
  readonly code: GrantErrorCode;
  constructor(code: GrantErrorCode) {
    super(MESSAGES[code]);
    this.code = code;
  }
}

/** How long a grant lasts, unless another time is asked for. */
export const GRANT_LIFETIME_MS = 3_600_000;

export function createGrants({ keys, bank, lifetimeMs = GRANT_LIFETIME_MS, hasEnded = () => false, nowMs }: {
  keys: KeyRing;
  /** The bank's name: issuer and audience, so that no other bank's grant is worth anything here. */
  bank: string;
  lifetimeMs?: number;
  /** Whether a login session has ended; asked for every grant, at every look. */
  hasEnded?: (sessionId: string) => boolean;
  nowMs: () => number;
}): Grants {
  const tokens = createSignedTokens<Grant>({
    keys, typ: 'strife-grant+jwt', issuer: bank, audience: bank, nowMs,
    refuse: (fault) => new GrantError(`GRANT_${fault}`),
    read(claims, expiresAtMs) {
      const account = textClaim(claims, 'account');
      const currency = currencyClaim(claims);
      const sessionId = textClaim(claims, 'sid');
      return account && currency && sessionId ? { account, currency, sessionId, expiresAtMs } : undefined;
    },
  });

  return {
    async issue({ account, currency, sessionId }) {
      const { text, expiresAtMs } = await tokens.sign({ account, currency, sid: sessionId }, nowMs() + lifetimeMs);
      return { grant: text, expiresAtMs };
    },
    async verify(text) {
      const grant = await tokens.verify(text);
      if (hasEnded(grant.sessionId)) throw new GrantError('SESSION_REVOKED');
      return grant;
    },
    verifyCached(text) {
      const grant = tokens.verifyCached(text);
      return grant === undefined || hasEnded(grant.sessionId) ? undefined : grant;
    },
  };
}

const MESSAGES: Record<GrantErrorCode, string> = {
  GRANT_MISSING: 'grant: missing; log in to get one',
  GRANT_MALFORMED: 'grant: not a grant; send it as Authenticate returned it',
  GRANT_EXPIRED: 'grant: expired; log in again',
  GRANT_FORGED: 'grant: the signature does not match; log in again',
  SESSION_REVOKED: 'grant: its session has ended; log in again',
  GRANT_ISSUER: 'grant: from another bank; log in at this bank',
};
