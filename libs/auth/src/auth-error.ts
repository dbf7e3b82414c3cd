// Why a call's token was refused.

export type AuthErrorCode =
  | 'TOKEN_MISSING'
  | 'TOKEN_MALFORMED'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_FORGED'
  | 'TOKEN_ISSUER'
  | 'TOKEN_REVOKED';

/** A refused token. The message names the field and what to do; it never contains the token or a part of it. */
export class AuthError extends Error {
  override readonly name = 'AuthError';
  readonly code: AuthErrorCode;
  constructor(code: AuthErrorCode, message: string = MESSAGES[code]) {
    super(message);
    this.code = code;
  }
}

const MESSAGES: Record<AuthErrorCode, string> = {
  TOKEN_MISSING: 'authorization: missing; log in and send "Bearer <token>"',
  TOKEN_MALFORMED: 'authorization: not a session token; send "Bearer <token>" with the token that Login returned',
  TOKEN_EXPIRED: 'authorization: the token has expired; log in again',
  TOKEN_FORGED: 'authorization: the signature does not match; log in again',
  TOKEN_ISSUER: 'authorization: the token was issued by or for another service; log in at this gateway',
  TOKEN_REVOKED: 'authorization: the token was logged out; log in again',
};
