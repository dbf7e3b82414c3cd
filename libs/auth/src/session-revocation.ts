// How a session is revoked at gateways: by its token, and by the login that it came of. Both are rows of (issuer, jti).

import type { RevocationRow, Revocations } from './revocations.ts';
import type { Session } from './session-tokens.ts';

/** Whether this token was revoked, or everything that came of its login. */
export function isSessionRevoked(revocations: Pick<Revocations, 'isRevoked'>, { issuer, jti, account, login }: Session): boolean {
  return revocations.isRevoked(issuer, jti) || isLoginRevoked(revocations, account.bank, login.id);
}

/** Whether everything that came of a login at the bank was revoked. */
export function isLoginRevoked(revocations: Pick<Revocations, 'isRevoked'>, bank: string, sessionId: string): boolean {
  return revocations.isRevoked(loginIssuer(bank), sessionId);
}

/** The row that revokes everything that came of a login: all session tokens, and the refresh token at every gateway. */
export function loginRevocation(bank: string, sessionId: string, expiresAtMs: number): RevocationRow {
  return { issuer: loginIssuer(bank), jti: sessionId, expiresAtMs };
}

/** Unlike the name of any gateway, so that no bank's session is taken for a gateway's token. */
function loginIssuer(bank: string): string {
  return `strife-bank/${bank}`;
}
