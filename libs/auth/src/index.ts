export { AuthError, type AuthErrorCode } from './auth-error.ts';
export { createAuthMiddleware, type SessionContext } from './auth-middleware.ts';
export { createGrants, GrantError, type Grant, type GrantErrorCode, type Grants } from './grants.ts';
export { KeyFileError, openKeyRing, type KeyRing, type PublicJwk } from './keys.ts';
export {
  createPasswords,
  PASSWORD_BYTES_MAX,
  PasswordOutOfRangeError,
  PasswordsBusyError,
  type Passwords,
} from './passwords.ts';
export {
  createRevocations,
  RevocationsFullError,
  type RevocationRow,
  type Revocations,
  type RevocationStore,
} from './revocations.ts';
export { createSessionTokens, type AccountName, type Session, type SessionTokens } from './session-tokens.ts';
