// strife.gateway.v1.SessionService: logs users in at their own bank and out again.

import type { Revocations, SessionContext, SessionTokens } from '@strife/auth';
import { namePattern, nameRule } from '@strife/service';
import type { SessionServiceImplementation } from '@strife/stubs/gateway';
import type { Clock } from '@strife/two-phase-commit';
import { Status } from 'nice-grpc-common';
import { callBank } from './bank-calls.ts';
import type { BankNetwork } from './bank-network.ts';
import { invalidArgument, toRpcError } from './failures.ts';
import type { GatewayPeers } from './gateway-peers.ts';

export interface SessionApiOptions {
  readonly network: BankNetwork;
  readonly tokens: SessionTokens;
  readonly revocations: Revocations;
  readonly peers: Pick<GatewayPeers, 'revoke'>;
  readonly clock: Clock;
}

const NAME_CHARACTERS_MAX = 63;
const PASSWORD_CHARACTERS_MAX = 1024;

export function createSessionApi({ network, tokens, revocations, peers, clock }: SessionApiOptions): SessionServiceImplementation<Partial<SessionContext>> {
  return {
    async login({ bank, username, password }, context) {
      requireText('bank', bank, NAME_CHARACTERS_MAX);
      if (!namePattern.test(bank)) throw toRpcError(invalidArgument('bank', 'MALFORMED_NAME', nameRule));
      requireText('username', username, NAME_CHARACTERS_MAX);
      requireText('password', password, PASSWORD_CHARACTERS_MAX);
      await refuseSecondLogin(context.metadata.get('authorization'));
      const granted = await callBank(network, bank, context, (client, options) => client.authenticate({ username, password }, options));
      const account = { bank, account: granted.account };
      const { currency, grant } = granted;
      const { token, expiresAtMs } = await tokens.issue({ account, currency, grant, grantExpiresAtMs: Number(granted.expiresAtUnixMs) });
      return { token, expiresAtUnixMs: BigInt(expiresAtMs), account, currency };
    },

    async logout(_request, { session }) {
      if (session === undefined) throw new Error('logout is served without the auth middleware');
      const { issuer, jti, expiresAtMs } = session;
      await revocations.revoke(issuer, jti, expiresAtMs);
      await peers.revoke([{ issuer, jti, expiresAtMs }]);
      return {};
    },
  };

  /** A login that carries a session that is still good is a mistake of the caller's. Other sessions of the user are none of its business. */
  async function refuseSecondLogin(authorization: string | undefined): Promise<void> {
    if (authorization === undefined) return;
    const session = await tokens.verify(authorization.replace(/^Bearer /i, '')).catch(() => undefined);
    if (session === undefined || session.expiresAtMs <= clock.nowMs() || revocations.isRevoked(session.issuer, session.jti)) return;
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
}

function requireText(field: string, value: string, charactersMax: number): void {
  if (value === '') throw toRpcError(invalidArgument(field, 'MISSING', 'is missing'));
  if (value.length > charactersMax) throw toRpcError(invalidArgument(field, 'TOO_LONG', `must have at most ${charactersMax} characters`));
}
