// Logins, refreshes and logouts at a gateway whose bank the test plays: who is asked, in which order, and what is revoked.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { isLoginRevoked, RevocationsFullError } from '@strife/auth';
import type { RevocationRow, Session } from '@strife/auth';
import { reasonOf, rpcError } from '@strife/service';
import type { BankServiceClient, RefreshGrantResponse } from '@strife/stubs/bank';
import { ClientError, Status } from 'nice-grpc-common';
import { RichClientError } from 'nice-grpc-error-details';
import { createSessionApi } from './session-api.ts';

const NOW_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const ID = 'i'.repeat(22);
const TOKEN = `${ID}.1.${'m'.repeat(43)}`;
const REQUEST = { bank: 'alpha', refreshToken: TOKEN, requestId: 'request-0123456789' };
const granted: RefreshGrantResponse = {
  account: 'alice', currency: 'EUR', grant: 'grant', expiresAtUnixMs: BigInt(NOW_MS + HOUR_MS), refreshToken: 'next', refreshExpiresAtUnixMs: BigInt(NOW_MS + 9 * HOUR_MS), sessionId: ID,
};
const session: Session = {
  account: { bank: 'alpha', account: 'alice' }, currency: 'EUR', grant: 'grant', login: { id: ID, expiresAtMs: NOW_MS + 9 * HOUR_MS },
  issuer: 'strife-gateway/g1', jti: 'token-1', expiresAtMs: NOW_MS + HOUR_MS,
};
const context = { signal: new AbortController().signal } as never;

let calls: string[];
let rows: Map<string, RevocationRow>;
let bank: Partial<BankServiceClient>;
let isBankThere: boolean;
let trouble: Error | undefined;
let pushed: (readonly RevocationRow[])[];

beforeEach(() => {
  [calls, rows, isBankThere, pushed, trouble] = [[], new Map(), true, [], undefined];
  bank = {
    refreshGrant: async ({ requestId }) => {
      calls.push(`refresh ${requestId}`);
      return granted;
    },
    endSession: async ({ grant }) => {
      calls.push(`end ${grant}`);
      return {};
    },
  };
});

const revocations = {
  isRevoked: (issuer: string, jti: string) => rows.has(`${issuer} ${jti}`),
  learn: async (learnt: readonly RevocationRow[]) => {
    if (trouble !== undefined) throw trouble;
    calls.push('written');
    for (const row of learnt) rows.set(`${row.issuer} ${row.jti}`, row);
  },
  revoke: async () => undefined,
};

const api = () => createSessionApi({
  network: { find: () => (isBankThere ? (bank as BankServiceClient) : 'unreachable') },
  tokens: {
    issue: async ({ login, grantExpiresAtMs }) => ({ token: `token of ${login.id}`, expiresAtMs: grantExpiresAtMs, jti: 'j' }),
    verify: () => Promise.reject(new Error('not asked')),
    verifyCached: () => undefined,
  },
  revocations,
  peers: {
    async revoke(told) {
      calls.push('pushed');
      pushed.push(told);
    },
  },
  clock: { nowMs: () => NOW_MS },
});

const refresh = () => api().refresh(REQUEST, context);

function refuseAtBank(reason: string, status: Status = Status.UNAUTHENTICATED): void {
  bank.refreshGrant = () => {
    const { code, details, extra } = rpcError({ code: status, reason, message: `refresh_token: ${reason}`, field: 'refresh_token', retryable: false });
    return Promise.reject(new RichClientError('/strife.bank.v1.BankService/RefreshGrant', code, details, extra));
  };
}

const lifetimes = () => [...rows.values()].map(({ issuer, jti, expiresAtMs }) => [issuer, jti, (expiresAtMs - NOW_MS) / HOUR_MS]);

describe('a refresh', () => {
  it('gives a token for the session that the bank names, and the next refresh token', async () => {
    expect(await refresh()).toEqual({
      token: `token of ${ID}`, expiresAtUnixMs: BigInt(NOW_MS + HOUR_MS), account: { bank: 'alpha', account: 'alice' }, currency: 'EUR',
      refreshToken: 'next', refreshExpiresAtUnixMs: granted.refreshExpiresAtUnixMs,
    });
    expect(calls).toEqual([`refresh ${REQUEST.requestId}`]);
  });

  it.each([
    ['PASSWORDS_UNAVAILABLE', 'refresh_token: PASSWORDS_UNAVAILABLE'],
    ['SERVER_STOPPING', expect.stringMatching(/^bank alpha did not answer/)],
  ])('tells UNAVAILABLE %s as the bank\'s own word only where it is', async (reason, details) => {
    refuseAtBank(reason, Status.UNAVAILABLE);
    await expect(refresh()).rejects.toMatchObject({ code: Status.UNAVAILABLE, details });
  });

  it('is for another gateway where the clocks differ by more than the grant lasts', async () => {
    bank.refreshGrant = async () => ({ ...granted, expiresAtUnixMs: BigInt(NOW_MS) });
    const refusal = { code: Status.UNAVAILABLE, details: expect.stringContaining("by this gateway's clock") };
    await expect(refresh()).rejects.toMatchObject(refusal);
  });

  it('of a session that was logged out is refused before the bank is asked', async () => {
    rows.set(`strife-bank/alpha ${ID}`, { issuer: '', jti: '', expiresAtMs: 0 });
    await expect(refresh()).rejects.toMatchObject({ code: Status.UNAUTHENTICATED, details: 'refresh_token: the session was ended; log in again' });
    expect(calls).toEqual([]);
  });

  it('of a session that was logged out while the bank was asked is refused', async () => {
    bank.refreshGrant = async () => {
      rows.set(`strife-bank/alpha ${ID}`, { issuer: '', jti: '', expiresAtMs: 0 });
      return granted;
    };
    await expect(refresh()).rejects.toMatchObject({ code: Status.UNAUTHENTICATED });
  });

  it('that the bank calls a second use ends the session at every gateway', async () => {
    refuseAtBank('REFRESH_TOKEN_REUSED');
    await expect(refresh()).rejects.toMatchObject({ code: Status.UNAUTHENTICATED, details: 'refresh_token: REFRESH_TOKEN_REUSED' });
    expect([calls, lifetimes()]).toEqual([['written', 'pushed'], [['strife-bank/alpha', ID, 2]]]);
    expect(isLoginRevoked(revocations, 'alpha', ID)).toBe(true);
    expect(isLoginRevoked(revocations, 'beta', ID)).toBe(false);
  });

  it.each(['REFRESH_TOKEN_INVALID', 'REFRESH_TOKEN_EXPIRED', 'SESSION_REVOKED'])('that the bank refuses as %s is refused so, and revokes nothing', async (reason) => {
    refuseAtBank(reason);
    await expect(refresh()).rejects.toMatchObject({ details: `refresh_token: ${reason}` });
    expect(calls).toEqual([]);
  });
});

describe('a logout', () => {
  const logout = () => api().logout({}, { session } as never);

  it('is durable before anybody is told, and kept for two hours once the bank has ended the session', async () => {
    await logout();
    expect(calls[0]).toBe('written');
    expect(calls.slice(1).sort()).toEqual(['end grant', 'pushed']);
    expect(lifetimes()).toEqual([['strife-gateway/g1', 'token-1', 1], ['strife-bank/alpha', ID, 2]]);
    expect(pushed.map((told) => told.length)).toEqual([2]);
  });

  it.each([
    ['cannot be reached', () => void (isBankThere = false)],
    ['fails', () => void (bank.endSession = () => Promise.reject(new ClientError('/EndSession', Status.UNAVAILABLE, 'away')))],
    ['does not answer', () => void (bank.endSession = (_request, options) =>
      new Promise((_resolve, reject) => options?.signal?.addEventListener('abort', () => reject(new Error('aborted')))))],
  ])('is kept for as long as the refresh token lives when the bank %s', async (_how, break_) => {
    break_();
    await logout();
    expect(lifetimes()).toEqual([['strife-gateway/g1', 'token-1', 1], ['strife-bank/alpha', ID, 9]]);
    expect(pushed.map((told) => told.length)).toEqual([2, 1]);
  });

  it.each([
    ['for want of room, so that it may be tried again', new RevocationsFullError(), 'LOGOUT_NOT_KEPT'],
    ['for a reason of its own', new Error('disk full'), undefined],
  ])('that cannot be written down here still ends the session at the bank, is told on, and fails: %s', async (_why, error, reason) => {
    trouble = error;
    const failure: unknown = await Promise.resolve(logout()).catch((thrown: unknown) => thrown);
    expect(calls.sort()).toEqual(['end grant', 'pushed']);
    if (reason === undefined) return expect(failure).toBe(error);
    expect(reasonOf(failure)).toBe(reason);
    expect(failure).toMatchObject({ code: Status.UNAVAILABLE, extra: [expect.objectContaining({ metadata: expect.objectContaining({ retryable: 'true' }) })] });
  });
});
