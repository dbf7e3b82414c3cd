// Refresh tokens and payments that expire, at two gateways and real banks: each token counts once, a logout ends all, expired stays expired.

import { randomUUID } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { newTransferId } from '@strife/sdk';
import { AdminServiceDefinition } from '@strife/stubs/bank';
import { AccountServiceDefinition, SessionServiceDefinition, TransferServiceDefinition } from '@strife/stubs/gateway';
import type { RefreshResponse } from '@strife/stubs/gateway';
import { DeclineReason, TransferState } from '@strife/stubs/type';
import { ClientError, Status } from 'nice-grpc';
import { bearer } from '../support/callers.ts';
import { expectCleanBooks } from '../support/books.ts';
import { onThisMachine } from '../support/patience.ts';
import { expectWellWorded, refusalOf } from '../support/refusal.ts';
import type { Refusal } from '../support/refusal.ts';
import { passwordOf, startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';

const CANARY = 'canary-memo';

type GatewayName = 'g1' | 'g2';

let cluster: TestCluster;
let people = 0;
let username: string;

beforeAll(async () => {
  cluster = await startTestCluster({ gateways: ['g1', 'g2'], env: { STRIFE_METRICS_PORT: '0' } });
}, 120_000);
afterAll(() => cluster?.end());

beforeEach(async () => {
  username = `r${(people += 1)}`;
  await (await operator()).openAccount({ username, password: passwordOf(username), currency: 'EUR', openingMinor: 10_000n });
});

const operator = () => cluster.callers.client(AdminServiceDefinition, cluster.service('alpha').address, 'operator/root');
const sessions = (gateway: GatewayName) => cluster.callers.client(SessionServiceDefinition, cluster.service(gateway).address, 'client/dev');
const accounts = (gateway: GatewayName) => cluster.callers.client(AccountServiceDefinition, cluster.service(gateway).address, 'client/dev');
const transfers = (gateway: GatewayName) => cluster.callers.client(TransferServiceDefinition, cluster.service(gateway).address, 'client/dev');

async function login(gateway: GatewayName): Promise<RefreshResponse> {
  return (await sessions(gateway)).login({ bank: 'alpha', username, password: passwordOf(username) });
}

async function refresh(gateway: GatewayName, refreshToken: string, requestId: string = randomUUID()): Promise<RefreshResponse> {
  return (await sessions(gateway)).refresh({ bank: 'alpha', refreshToken, requestId });
}

async function balance(gateway: GatewayName, token: string): Promise<bigint | undefined> {
  return (await (await accounts(gateway)).getAccount({}, { metadata: bearer(token) })).balance?.posted?.minorUnits;
}

/** The call, again and again while a service that has just restarted is not found yet. */
async function patiently<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== Status.UNAVAILABLE) throw error;
      await delay(20);
    }
  }
}

async function restart(...names: string[]): Promise<void> {
  await Promise.all(names.map((name) => cluster.service(name).restart()));
  const other = { bank: 'alpha', username: 'alice', password: passwordOf('alice') };
  for (const gateway of ['g1', 'g2'] as const) await patiently(async () => (await sessions(gateway)).login(other));
}

async function refusalCalled(reason: string, call: Promise<unknown>): Promise<Refusal> {
  const refusal = await refusalOf(call);
  expectWellWorded(refusal);
  expect(refusal).toMatchObject({ reason, status: 'UNAUTHENTICATED', retryable: 'false' });
  return refusal;
}

describe('a refresh token', () => {
  it('of a login at one gateway keeps the session going at the other', async () => {
    const first = await login('g1');
    const second = await refresh('g2', first.refreshToken);
    expect(second).toMatchObject({ account: { bank: 'alpha', account: username }, currency: 'EUR', refreshExpiresAtUnixMs: first.refreshExpiresAtUnixMs });
    expect(await balance('g1', second.token)).toBe(10_000n);
    const third = await refresh('g1', second.refreshToken);
    expect(new Set([first, second, third].map(({ refreshToken }) => refreshToken)).size).toBe(3);
    expect(Number(first.refreshExpiresAtUnixMs) - Date.now()).toBeGreaterThan(29 * 24 * 3_600_000);
    // The token before lives on until it expires.
    expect(await balance('g2', first.token)).toBe(10_000n);
  });

  it('answers a request whose answer was lost again, from any gateway and after a restart of the bank', async () => {
    const { refreshToken } = await login('g1');
    const requestId = randomUUID();
    const { refreshToken: next } = await refresh('g1', refreshToken, requestId);
    expect((await refresh('g2', refreshToken, requestId)).refreshToken).toBe(next);
    await restart('alpha');
    const again = await refresh('g2', refreshToken, requestId);
    expect(again.refreshToken).toBe(next);
    expect(await balance('g1', again.token)).toBe(10_000n);
    await refresh('g1', next);
  });

  it('that comes a second time ends its session, its tokens and its payments, at every gateway, for good', async () => {
    const first = await login('g1');
    const other = await login('g1');
    const second = await refresh('g1', first.refreshToken);
    expect((await refusalCalled('REFRESH_TOKEN_REUSED', refresh('g2', first.refreshToken))).field).toBe('refresh_token');
    const dead = async (): Promise<void> => {
      await refusalCalled('SESSION_REVOKED', refresh('g1', second.refreshToken));
      await refusalCalled('SESSION_REVOKED', refresh('g2', second.refreshToken));
      for (const { token } of [first, second]) await refusalCalled('TOKEN_REVOKED', balance('g1', token));
      await refusalCalled('TOKEN_REVOKED', balance('g2', second.token));
    };
    await dead();
    await restart('alpha', 'g2');
    await dead();
    expect(await balance('g2', other.token)).toBe(10_000n);
    await refresh('g2', other.refreshToken);
  });

  it('ends with a logout, at every gateway, and with it the older tokens of its session', async () => {
    const first = await login('g1');
    const second = await refresh('g1', first.refreshToken);
    await (await sessions('g1')).logout({}, { metadata: bearer(second.token) });
    for (const gateway of ['g1', 'g2'] as const) {
      await refusalCalled('SESSION_REVOKED', refresh(gateway, second.refreshToken));
      await refusalCalled('TOKEN_REVOKED', balance(gateway, first.token));
    }
  });

  it('ends within a second of a logout also while its bank is away, and stays ended when that is back', async () => {
    const { token, refreshToken } = await login('g1');
    const g1 = await sessions('g1');
    process.kill(cluster.service('alpha').pid, 'SIGSTOP');
    try {
      const g2 = await sessions('g2');
      const startMs = performance.now();
      await g1.logout({}, { metadata: bearer(token) });
      await refusalCalled('SESSION_REVOKED', g2.refresh({ bank: 'alpha', refreshToken, requestId: randomUUID() }));
      expect(performance.now() - startMs).toBeLessThan(onThisMachine(1000));
    } finally {
      process.kill(cluster.service('alpha').pid, 'SIGCONT');
    }
    await restart('g2');
    await refusalCalled('SESSION_REVOKED', refresh('g2', refreshToken));
  });

  it('is not used up while the account is frozen', async () => {
    const { refreshToken } = await login('g1');
    await (await operator()).freezeAccount({ account: username, frozen: true });
    await refusalCalled('ACCOUNT_FROZEN', refresh('g1', refreshToken));
    await (await operator()).freezeAccount({ account: username, frozen: false });
    await refresh('g1', refreshToken);
  });

  it.each<[string, object, string, string]>([
    ['no bank', { bank: '' }, 'INVALID_ARGUMENT', 'bank'],
    ['a malformed bank', { bank: 'Al pha' }, 'INVALID_ARGUMENT', 'bank'],
    ['an unknown bank', { bank: 'nowhere' }, 'NOT_FOUND', 'bank'],
    ['no refresh token', { refreshToken: '' }, 'INVALID_ARGUMENT', 'refresh_token'],
    ['a huge refresh token', { refreshToken: 'x'.repeat(100_000) }, 'INVALID_ARGUMENT', 'refresh_token'],
    ['a refresh token of nobody', { refreshToken: 'x' }, 'UNAUTHENTICATED', 'refresh_token'],
    ['no request id', { requestId: '' }, 'INVALID_ARGUMENT', 'request_id'],
    ['a short request id', { requestId: 'x'.repeat(15) }, 'INVALID_ARGUMENT', 'request_id'],
    ['a long request id', { requestId: 'x'.repeat(65) }, 'INVALID_ARGUMENT', 'request_id'],
    ['a request id with a line break', { requestId: `${'x'.repeat(20)}\n` }, 'INVALID_ARGUMENT', 'request_id'],
  ])('is refused with %s, by the name of the field, and not used up', async (_what, change, status, field) => {
    const { refreshToken } = await login('g1');
    const refusal = await refusalOf((await sessions('g1')).refresh({ bank: 'alpha', refreshToken, requestId: randomUUID(), ...change }));
    expectWellWorded(refusal);
    expect(refusal).toMatchObject({ status, field });
    await refresh('g1', refreshToken);
  });

  it('of one bank is worth nothing at another, nor with anything changed in it', async () => {
    const { refreshToken } = await login('g1');
    const elsewhere = (await sessions('g1')).refresh({ bank: 'beta', refreshToken, requestId: randomUUID() });
    await refusalCalled('REFRESH_TOKEN_INVALID', elsewhere);
    const [id, generation, mac] = refreshToken.split('.') as [string, string, string];
    for (const forged of [`${id}.2.${mac}`, `${id}.${generation}.${'A'.repeat(43)}`, `${'A'.repeat(22)}.${generation}.${mac}`]) {
      await refusalCalled('REFRESH_TOKEN_INVALID', refresh('g1', forged));
    }
    await refresh('g1', refreshToken);
  });

  it('is made by a secret that only its bank may read', () => {
    const file = join(cluster.directories.data, 'bank-alpha.refresh-secret');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

describe('a payment that expires', () => {
  const payment = (to: string, expiresAtMs: number) => {
    const [bank, account] = to.split('/') as [string, string];
    return { id: newTransferId(), to: { bank, account }, amount: { currency: 'EUR', minorUnits: 100n }, expiresAtUnixMs: BigInt(expiresAtMs) };
  };
  const expired = { state: TransferState.DECLINED, declineReason: DeclineReason.EXPIRED };

  it.each(['beta/bob', 'alpha/carol'])('is declined when it comes too late, for ever, at every gateway and after restarts: to %s', async (to) => {
    const { token } = await login('g1');
    const metadata = bearer(token);
    const late = payment(to, Date.now() - 60_000);
    expect((await (await transfers('g1')).createTransfer(late, { metadata })).transfer).toMatchObject({ ...expired, replayed: false });
    await restart('alpha');
    for (const gateway of ['g1', 'g2'] as const) {
      const { transfer } = await (await transfers(gateway)).createTransfer({ ...late, expiresAtUnixMs: 0n }, { metadata });
      expect(transfer).toMatchObject({ ...expired, replayed: true });
    }
    expect(await balance('g1', token)).toBe(10_000n);
  });

  it.each(['beta/bob', 'alpha/carol'])('that was made in time stays made, also when it is sent again too late: to %s', async (to) => {
    const { token } = await login('g1');
    const metadata = bearer(token);
    const inTime = payment(to, Date.now() + 3_600_000);
    expect((await (await transfers('g1')).createTransfer(inTime, { metadata })).transfer).toMatchObject({ state: TransferState.SUCCEEDED });
    for (const gateway of ['g1', 'g2'] as const) {
      const { transfer } = await (await transfers(gateway)).createTransfer({ ...inTime, expiresAtUnixMs: 1n }, { metadata });
      expect(transfer).toMatchObject({ state: TransferState.SUCCEEDED, replayed: true });
    }
    expect(await balance('g1', token)).toBe(9_900n);
  });

  it('takes an expiry at the end of time, and refuses one before all time by its field', async () => {
    const metadata = bearer((await login('g1')).token);
    const client = await transfers('g1');
    const far = { ...payment('beta/bob', 0), expiresAtUnixMs: 2n ** 63n - 1n };
    expect((await client.createTransfer(far, { metadata })).transfer).toMatchObject({ state: TransferState.SUCCEEDED });
    expect(await refusalOf(client.createTransfer(payment('beta/bob', -1), { metadata }))).toMatchObject({ status: 'INVALID_ARGUMENT', field: 'expires_at_unix_ms' });
  });
});

describe('the metrics', () => {
  async function metricsOf(service: string): Promise<string> {
    const lines = readFileSync(cluster.service(service).logFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { metrics?: string });
    const url = lines.findLast(({ metrics }) => metrics !== undefined)!.metrics!;
    return (await fetch(url)).text();
  }

  it('of a gateway and a bank tell calls, transfers, batches, and what is in doubt', async () => {
    const { token } = await login('g1');
    const metadata = bearer(token);
    const items = ['beta', 'beta', 'alpha'].map((bank) => ({
      id: newTransferId(), to: { bank, account: bank === 'beta' ? 'bob' : 'carol' }, amount: { currency: 'EUR', minorUnits: 1n }, memo: CANARY,
    }));
    items.push({ ...items[0]!, id: newTransferId(), amount: { currency: 'EUR', minorUnits: 1_000_000n } });
    await (await transfers('g1')).batchCreateTransfers({ items }, { metadata });
    const [gateway, bank] = await Promise.all(['g1', 'alpha'].map(metricsOf));
    for (const line of [
      /^strife_rpc_total\{method="\/strife\.gateway\.v1\.TransferService\/BatchCreateTransfers",status="OK"\} [1-9]/m,
      /^strife_transfers_total\{outcome="succeeded",reason=""\} [3-9]/m,
      /^strife_transfers_total\{outcome="declined",reason="insufficient_funds"\} [1-9]/m,
      /^strife_batch_items_count\{kind="decisions"\} [1-9]/m,
      /^strife_queue_depth 0$/m, /^strife_in_doubt 0$/m, /^strife_oldest_in_doubt_seconds 0$/m, /^nodejs_eventloop_lag_p99_seconds /m,
    ]) expect(gateway).toMatch(line);
    for (const line of [
      /^strife_rpc_duration_seconds_count\{method="\/strife\.bank\.v1\.ParticipantService\/Prepare",status="OK"\} [1-9]/m,
      /^strife_batch_items_count\{kind="write"\} [1-9]/m, /^strife_in_doubt 0$/m, /^strife_oldest_in_doubt_seconds 0$/m,
    ]) expect(bank).toMatch(line);
    for (const secret of [CANARY, token, username]) expect(`${gateway}${bank}`).not.toContain(secret);
  });
});

it('ends with clean books', async () => {
  await expectCleanBooks(cluster);
});
