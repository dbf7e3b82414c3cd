// strife.bank.v1.BankService, the calls about logins: who logs in, goes on by a refresh token, or logs out.

import {
  GrantError, PasswordOutOfRangeError, PasswordsBusyError, PasswordsUnavailableError, REFRESH_TOKEN_CHARACTERS_MAX, RefreshTokenError, TooManyLoginsError, TooManyRefreshesError,
} from '@strife/auth';
import type { GoneOnSession, Grants, LoginLimiter, LoginSessions, Passwords, RefreshLimiter } from '@strife/auth';
import type { Account } from '@strife/ledger';
import { requestIdPattern, requestIdRule, rpcError } from '@strife/service';
import type { BankServiceImplementation, RefreshGrantResponse } from '@strife/stubs/bank';
import type { LedgerStore } from '@strife/storage';
import { Status } from 'nice-grpc-common';

export interface LoginApiOptions {
  readonly store: Pick<LedgerStore, 'account' | 'userHash'>;
  readonly passwords: Pick<Passwords, 'verify'>;
  readonly logins: LoginLimiter;
  readonly refreshes: RefreshLimiter;
  readonly sessions: LoginSessions;
  readonly grants: Grants;
}

export type LoginApi = Pick<BankServiceImplementation, 'authenticate' | 'refreshGrant' | 'endSession'>;

export function createLoginApi({ store, passwords, logins, refreshes, sessions, grants }: LoginApiOptions): LoginApi {
  async function grantFor({ name, currency }: Account, session: GoneOnSession): Promise<RefreshGrantResponse> {
    const { grant, expiresAtMs } = await grants.issue({ account: name, currency, sessionId: session.id });
    return {
      account: name, currency, grant,
      expiresAtUnixMs: BigInt(expiresAtMs),
      refreshToken: session.refreshToken,
      refreshExpiresAtUnixMs: BigInt(session.expiresAtMs),
      sessionId: session.id,
    };
  }

  return {
    async authenticate({ username, password }) {
      // An unknown user takes as long as a wrong password, and gets the same answer.
      const right = await logins.attempt(username, () => passwords.verify(store.userHash(username), password)).catch(refusePassword);
      const account = store.account('customer', username);
      if (!right || account === undefined) {
        throw rpcError({ code: Status.UNAUTHENTICATED, reason: 'WRONG_CREDENTIALS', message: 'username or password is wrong', outcome: 'not_applied', retryable: false });
      }
      return grantFor(account, sessions.open(account.name));
    },

    async refreshGrant({ refreshToken, requestId }) {
      if (refreshToken === '') throw malformed('refresh_token', 'is missing');
      if (refreshToken.length > REFRESH_TOKEN_CHARACTERS_MAX) throw malformed('refresh_token', `must have at most ${REFRESH_TOKEN_CHARACTERS_MAX} characters`);
      if (!requestIdPattern.test(requestId)) throw malformed('request_id', requestIdRule);
      try {
        await refreshes.count(sessions.idOf(refreshToken));
        let account: Account | undefined;
        const session = sessions.refresh(refreshToken, requestId, (name) => {
          account = store.account('customer', name);
          if (account === undefined || account.frozen) throw accountFrozen;
        });
        return await grantFor(account!, session);
      } catch (error) {
        throw refusedRefresh(error);
      }
    },

    async endSession({ grant }) {
      try {
        sessions.end((await grants.verify(grant)).sessionId);
      } catch (error) {
        // It has ended already, which is what was asked for.
        if (!(error instanceof GrantError && error.code === 'SESSION_REVOKED')) refuseGrant(error);
      }
      return {};
    },
  };
}

export function malformed(field: string, message: string): Error {
  return rpcError({ code: Status.INVALID_ARGUMENT, reason: 'INVALID_ARGUMENT', field, message: `${field}: ${message}`, outcome: 'not_applied', retryable: false });
}

export function refusePassword(error: unknown): never {
  if (error instanceof PasswordOutOfRangeError) throw malformed('password', error.message.replace(/^password: /, ''));
  if (error instanceof TooManyLoginsError) {
    throw rpcError({ code: Status.RESOURCE_EXHAUSTED, reason: error.code, field: 'username', message: `username: ${error.message}`, outcome: 'not_applied', retryable: false });
  }
  if (error instanceof PasswordsUnavailableError) {
    throw rpcError({ code: Status.UNAVAILABLE, reason: error.code, message: error.message, outcome: 'not_applied', retryable: true });
  }
  if (!(error instanceof PasswordsBusyError)) throw error;
  throw rpcError({ code: Status.RESOURCE_EXHAUSTED, reason: 'LOGINS_BUSY', message: 'too many logins at once; try again', outcome: 'not_applied', retryable: true });
}

export function refuseGrant(error: unknown): never {
  if (!(error instanceof GrantError)) throw error;
  throw rpcError({ code: Status.UNAUTHENTICATED, reason: error.code, field: 'authorization', message: 'authorization: the bank no longer accepts this login; log in again', outcome: 'not_applied', retryable: false });
}

const accountFrozen = rpcError({
  code: Status.UNAUTHENTICATED, reason: 'ACCOUNT_FROZEN', field: 'refresh_token',
  message: 'refresh_token: the account is frozen or closed; the token was not used up, ask the bank', outcome: 'not_applied', retryable: false,
});

function refusedRefresh(error: unknown): unknown {
  if (error instanceof TooManyRefreshesError) {
    return rpcError({ code: Status.RESOURCE_EXHAUSTED, reason: error.code, field: 'refresh_token', message: `refresh_token: ${error.message}`, outcome: 'not_applied', retryable: true });
  }
  if (!(error instanceof RefreshTokenError)) return error;
  return rpcError({ code: Status.UNAUTHENTICATED, reason: error.code, field: 'refresh_token', message: error.message, outcome: 'not_applied', retryable: false });
}
