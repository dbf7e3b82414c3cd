export { AuthError, type AuthErrorCode } from './auth-error.ts';
export { createAuthMiddleware, type SessionContext } from './auth-middleware.ts';
export { createGrants, GrantError, type Grant, type GrantErrorCode, type Grants } from './grants.ts';
export { KeyFileError } from './key-file.ts';
export { openKeyRing, type KeyRing, type KeyRingOptions } from './keys.ts';
export { createLoginLimiter, TooManyLoginsError, type LoginLimiter } from './login-limiter.ts';
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
export { createSessionTokens, SESSION_LIFETIME_MS, type AccountName, type Session, type SessionTokens } from './session-tokens.ts';
