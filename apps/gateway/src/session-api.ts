// strife.gateway.v1.SessionService: logs users in at their own bank, keeps them logged in by refresh tokens, and logs them out.

import { isLoginRevoked, isSessionRevoked, loginRevocation, REFRESH_TOKEN_CHARACTERS_MAX, RevocationsFullError, SESSION_LIFETIME_MS, sessionIdOf } from '@strife/auth';
import type { RevocationRow, Revocations, Session, SessionContext, SessionTokens } from '@strife/auth';
import { namePattern, nameRule, reasonOf, requestIdPattern, requestIdRule } from '@strife/service';
import type { RefreshGrantResponse } from '@strife/stubs/bank';
import type { RefreshResponse, SessionServiceImplementation } from '@strife/stubs/gateway';
import type { Clock } from '@strife/two-phase-commit';
import { Status } from 'nice-grpc-common';
import { callBank } from './bank-calls.ts';
import type { BankNetwork } from './bank-network.ts';
import { invalidArgument, toRpcError } from './failures.ts';
import type { GatewayPeers } from './gateway-peers.ts';

export interface SessionApiOptions {
  readonly network: Pick<BankNetwork, 'find'>;
  readonly tokens: SessionTokens;
  readonly revocations: Revocations;
  readonly peers: Pick<GatewayPeers, 'revoke'>;
  readonly clock: Pick<Clock, 'nowMs'>;
}

const NAME_CHARACTERS_MAX = 63;
const PASSWORD_CHARACTERS_MAX = 1024;
/** How long a logout waits for the bank, while the other gateways are told. */
const END_SESSION_TIMEOUT_MS = 300;
/** How long a login is kept as revoked that its bank refuses, too: all session tokens of it are over then, at gateways whose clocks differ. */
const ENDED_KEPT_MS = 2 * SESSION_LIFETIME_MS;

export function createSessionApi({ network, tokens, revocations, peers, clock }: SessionApiOptions): SessionServiceImplementation<Partial<SessionContext>> {
  async function sessionFor(bank: string, granted: RefreshGrantResponse): Promise<RefreshResponse> {
    const { currency, grant, sessionId, refreshToken, refreshExpiresAtUnixMs } = granted;
    const account = { bank, account: granted.account };
    const login = { id: sessionId, expiresAtMs: Number(refreshExpiresAtUnixMs) };
    const grantExpiresAtMs = Number(granted.expiresAtUnixMs);
    // Just given, and over already: that is this gateway's clock, or the bank's.
    if (grantExpiresAtMs <= clock.nowMs()) throw toRpcError(clocksDiffer);
    const { token, expiresAtMs } = await tokens.issue({ account, currency, grant, login, grantExpiresAtMs });
    return { token, expiresAtUnixMs: BigInt(expiresAtMs), account, currency, refreshToken, refreshExpiresAtUnixMs };
  }

  /** Durable here, then pushed to the other gateways. */
  async function revoke(rows: readonly RevocationRow[]): Promise<void> {
    await revocations.learn(rows);
    await peers.revoke(rows);
  }

  /** Tells the bank that the session is over; whether it has taken note, durably. */
  async function endAtBank({ account, grant }: Session): Promise<boolean> {
    const signal = AbortSignal.timeout(END_SESSION_TIMEOUT_MS);
    try {
      await callBank(network, account.bank, { signal }, (client, options) => client.endSession({ grant }, options));
      return true;
    } catch {
      return false;
    }
  }

  function refuseRevoked(bank: string, sessionId: string): void {
    if (isLoginRevoked(revocations, bank, sessionId)) throw toRpcError(sessionRevoked);
  }

  /** A login that carries a session that is still good is a mistake of the caller's. Other sessions of the user are none of its business. */
  async function refuseSecondLogin(authorization: string | undefined): Promise<void> {
    if (authorization === undefined) return;
    const session = await tokens.verify(authorization.replace(/^Bearer /i, '')).catch(() => undefined);
    if (session === undefined || session.expiresAtMs <= clock.nowMs() || isSessionRevoked(revocations, session)) return;
    const { bank, account } = session.account;
    throw toRpcError({
      code: Status.FAILED_PRECONDITION,
      reason: 'ALREADY_LOGGED_IN',
      message: `authorization: already logged in as ${bank}/${account}; log out first`,
      field: 'authorization',
      outcome: 'not_applied',
      retryable: false,
    });
  }

  return {
    async login({ bank, username, password }, context) {
      requireBank(bank);
      requireText('username', username, NAME_CHARACTERS_MAX);
      requireText('password', password, PASSWORD_CHARACTERS_MAX);
      await refuseSecondLogin(context.metadata.get('authorization'));
      return sessionFor(bank, await callBank(network, bank, context, (client, options) => client.authenticate({ username, password }, options)));
    },

    async refresh({ bank, refreshToken, requestId }, context) {
      requireBank(bank);
      requireText('refresh_token', refreshToken, REFRESH_TOKEN_CHARACTERS_MAX);
      if (!requestIdPattern.test(requestId)) throw toRpcError(invalidArgument('request_id', 'MALFORMED_REQUEST_ID', requestIdRule));
      const sessionId = sessionIdOf(refreshToken);
      if (sessionId !== undefined) refuseRevoked(bank, sessionId);
      const granted = await callBank(network, bank, context, (client, options) => client.refreshGrant({ refreshToken, requestId }, options)).catch(
        async (error: unknown) => {
          // The bank has ended the session. What it had of tokens must not even see what gateways know by themselves.
          if (sessionId !== undefined && reasonOf(error) === 'REFRESH_TOKEN_REUSED') {
            await revoke([loginRevocation(bank, sessionId, clock.nowMs() + ENDED_KEPT_MS)]);
          }
          throw error;
        },
      );
      refuseRevoked(bank, granted.sessionId);
      return sessionFor(bank, granted);
    },

    async logout(_request, { session }) {
      if (session === undefined) throw new Error('logout is served without the auth middleware');
      const { issuer, jti, expiresAtMs, account, login } = session;
      const endMs = clock.nowMs() + ENDED_KEPT_MS;
      const rows = [{ issuer, jti, expiresAtMs }, loginRevocation(account.bank, login.id, endMs)];
      const kept = await settled(revocations.learn(rows));
      // Also told where it could not be written down here: the bank then refuses what the session could spend.
      const [isOverAtBank] = await Promise.all([endAtBank(session), peers.revoke(rows)]);
      if (kept.status === 'rejected') throw kept.reason instanceof RevocationsFullError ? toRpcError(logoutNotKept) : kept.reason;
      // A bank that took note refuses the refresh token for ever. Else the gateways refuse it, for as long as it lives.
      if (!isOverAtBank && login.expiresAtMs > endMs) await revoke([loginRevocation(account.bank, login.id, login.expiresAtMs)]);
      return {};
    },
  };
}

const logoutNotKept = {
  code: Status.UNAVAILABLE,
  reason: 'LOGOUT_NOT_KEPT',
  message: 'this gateway keeps too many logouts to take another one, so the token may still be accepted for reads; log out again, later or at another gateway',
  outcome: 'not_applied',
  retryable: true,
} as const;

const clocksDiffer = {
  code: Status.UNAVAILABLE,
  reason: 'CLOCKS_DIFFER',
  message: "by this gateway's clock the login that the bank has just granted is over; ask another gateway, or again later",
  outcome: 'not_applied',
  retryable: true,
} as const;

const sessionRevoked = {
  code: Status.UNAUTHENTICATED,
  reason: 'SESSION_REVOKED',
  message: 'refresh_token: the session was ended; log in again',
  field: 'refresh_token',
  outcome: 'not_applied',
  retryable: false,
} as const;

async function settled<Value>(work: Promise<Value>): Promise<PromiseSettledResult<Value>> {
  const [result] = await Promise.allSettled([work]);
  return result;
}

function requireBank(bank: string): void {
  requireText('bank', bank, NAME_CHARACTERS_MAX);
  if (!namePattern.test(bank)) throw toRpcError(invalidArgument('bank', 'MALFORMED_NAME', nameRule));
}

function requireText(field: string, value: string, charactersMax: number): void {
  if (value === '') throw toRpcError(invalidArgument(field, 'MISSING', 'is missing'));
  if (value.length > charactersMax) throw toRpcError(invalidArgument(field, 'TOO_LONG', `must have at most ${charactersMax} characters`));
}
