// The bank's calls about logins, over sessions in memory: what counts as a refresh, and what a logout ends.

import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createRefreshLimiter, GrantError, openLoginSessions, PasswordsBusyError, PasswordsUnavailableError } from '@strife/auth';
import type { Grant, LoginSessionRow } from '@strife/auth';
import type { Account } from '@strife/ledger';
import { reasonOf } from '@strife/service';
import { Status } from 'nice-grpc-common';
import { createLoginApi } from './login-api.ts';
import type { LoginApi } from './login-api.ts';

const context = {} as never;
const request = (number: number): string => `request-${String(number).padStart(12, '0')}`;
let api: LoginApi;
let account: Account | undefined;
let hashed: number;
let trouble: Error | undefined;

beforeEach(() => {
  const rows = new Map<string, LoginSessionRow>();
  const change = (id: string, changes: Partial<LoginSessionRow>): void => void rows.set(id, { ...rows.get(id)!, ...changes });
  const sessions = openLoginSessions({
    store: {
      insert: (row) => void rows.set(row.id, row),
      find: (id) => rows.get(id),
      advance: (id, generation, requestDigest) => change(id, { generation, requestDigest }),
      end: (id, endedAtMs) => change(id, { endedAtMs }),
      endedAfter: () => [],
      removeOver: () => undefined,
    },
    secret: randomBytes(32), bank: 'alpha', lifetimeMs: 60_000, grantLifetimeMs: 1000, nowMs: () => 5_000, monotonicMs: () => 5_000,
  });
  account = { id: 1, kind: 'customer', name: 'alice', currency: 'EUR', posted: 0n, held: 0n, incoming: 0n, floor: 0n, frozen: false };
  hashed = 0;
  trouble = undefined;
  const verify = async (text: string): Promise<Grant> => {
    const [name = '', currency = '', sessionId = ''] = text.split(' ');
    if (sessions.hasEnded(sessionId)) throw new GrantError('SESSION_REVOKED');
    if (sessionId === '') throw new GrantError('GRANT_MALFORMED');
    return { account: name, currency, sessionId, expiresAtMs: 6_000 };
  };
  api = createLoginApi({
    store: { account: () => account, userHash: () => 'hash' },
    passwords: {
      verify: async () => {
        hashed += 1;
        if (trouble !== undefined) throw trouble;
        return true;
      },
    },
    logins: { attempt: (_username, check) => check() },
    refreshes: createRefreshLimiter({ refreshesMax: 3 }),
    sessions,
    grants: { issue: async ({ account: name, currency, sessionId }) => ({ grant: `${name} ${currency} ${sessionId}`, expiresAtMs: 6_000 }), verify, verifyCached: () => undefined },
  });
});

const login = async () => (await api.authenticate({ username: 'alice', password: 'p' }, context)) as { refreshToken: string; sessionId: string; grant: string };
const refresh = async (refreshToken: string, number = 1) => (await api.refreshGrant({ refreshToken, requestId: request(number) }, context)) as { refreshToken: string; sessionId: string };
const reason = (call: Promise<unknown>) => call.then(() => 'accepted', (error: unknown) => reasonOf(error) ?? String(error));

describe('a login', () => {
  it.each([
    ['LOGINS_BUSY', Status.RESOURCE_EXHAUSTED, new PasswordsBusyError()],
    ['PASSWORDS_UNAVAILABLE', Status.UNAVAILABLE, new PasswordsUnavailableError()],
  ])('that cannot be checked now may be tried again: %s', async (reasonToTell, code, error) => {
    trouble = error;
    const info = expect.objectContaining({ reason: reasonToTell, metadata: expect.objectContaining({ retryable: 'true', outcome: 'not_applied' }) });
    await expect(login()).rejects.toMatchObject({ code, extra: [info] });
  });
});

describe('a refresh', () => {
  it('goes on with the session of the login, without another password hash', async () => {
    const { refreshToken, sessionId } = await login();
    const next = await refresh(refreshToken);
    expect(next).toMatchObject({ account: 'alice', currency: 'EUR', sessionId, grant: `alice EUR ${sessionId}`, expiresAtUnixMs: 6_000n, refreshExpiresAtUnixMs: 65_000n });
    expect([next.refreshToken === refreshToken, hashed]).toEqual([false, 1]);
  });

  it('too often is refused before a token is used up, for that session alone', async () => {
    const { refreshToken } = await login();
    const other = await login();
    let token = refreshToken;
    for (let number = 0; number < 3; number += 1) token = (await refresh(token, number)).refreshToken;
    await expect(refresh(token, 4)).rejects.toMatchObject({ details: expect.stringContaining('refreshed too often') });
    expect(await reason(refresh(other.refreshToken))).toBe('accepted');
  });

  it('for an account that is frozen or gone is refused, and the token still counts later', async () => {
    const { refreshToken } = await login();
    const open = account!;
    for (account of [{ ...open, frozen: true }, undefined]) expect(await reason(refresh(refreshToken))).toBe('ACCOUNT_FROZEN');
    account = open;
    expect(await reason(refresh(refreshToken, 2))).toBe('accepted');
  });

  it.each([
    [{ refreshToken: '' }, 'refresh_token'], [{ refreshToken: 'x'.repeat(257) }, 'refresh_token'], [{ requestId: '' }, 'request_id'],
    [{ requestId: 'x'.repeat(15) }, 'request_id'], [{ requestId: 'x'.repeat(65) }, 'request_id'], [{ requestId: 'ü'.repeat(16) }, 'request_id'],
  ])('with bad input names the field: %j', async (change, field) => {
    const { refreshToken } = await login();
    await expect(api.refreshGrant({ refreshToken, requestId: request(1), ...change }, context)).rejects.toMatchObject({ details: expect.stringMatching(`^${field}: `) });
  });
});

describe('a session that is ended', () => {
  it('refuses its refresh token, and may be ended again', async () => {
    const { refreshToken, grant } = await login();
    for (let time = 0; time < 2; time += 1) expect(await reason(Promise.resolve(api.endSession({ grant }, context)))).toBe('accepted');
    expect(await reason(refresh(refreshToken))).toBe('SESSION_REVOKED');
  });

  it('is not ended by what is no grant', async () => {
    expect(await reason(Promise.resolve(api.endSession({ grant: 'nonsense' }, context)))).toBe('GRANT_MALFORMED');
  });
});
