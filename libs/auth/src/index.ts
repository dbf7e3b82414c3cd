export { AuthError, type AuthErrorCode } from './auth-error.ts';
export { createAuthMiddleware, type AuthMiddleware, type SessionContext } from './auth-middleware.ts';
export { createGrants, GRANT_LIFETIME_MS, GrantError, type Grant, type GrantErrorCode, type Grants } from './grants.ts';
export { PasswordsUnavailableError } from './hashing-process.ts';
export { KeyFileError, openSecret } from './secret-file.ts';
export { openKeyRing, type KeyRing, type KeyRingOptions } from './keys.ts';
export { createLoginLimiter, createRefreshLimiter, TooManyLoginsError, TooManyRefreshesError, type LoginLimiter, type RefreshLimiter } from './login-limiter.ts';
export {
  openLoginSessions,
  RefreshTokenError,
  type GoneOnSession,
  type LoginSessionRow,
  type LoginSessions,
  type LoginSessionStore,
  type RefreshTokenErrorCode,
} from './login-sessions.ts';
export { REFRESH_TOKEN_CHARACTERS_MAX, sessionIdOf } from './refresh-tokens.ts';
export { isLoginRevoked, isSessionRevoked, loginRevocation } from './session-revocation.ts';
export {
  createPasswords,
  PASSWORD_BYTES_MAX,
  PasswordOutOfRangeError,
  PasswordsBusyError,
  type Passwords,
} from './passwords.ts';
export { PUBLISHED_KEYS_CHARACTERS_MAX, readPublishedKeys, type PublicJwk, type VerificationKeys } from './public-keys.ts';
export {
  createRevocations,
  RevocationsFullError,
  type RevocationRow,
  type Revocations,
  type RevocationStore,
} from './revocations.ts';
export { createSessionTokens, SESSION_LIFETIME_MS, type AccountName, type LoginSession, type Session, type SessionTokens } from './session-tokens.ts';
