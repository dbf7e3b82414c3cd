import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:net';
import { Status } from 'nice-grpc-common';
import { createAuthority, spiffeUri } from '@strife/certs';
import { connect, eur, money, type ConnectOptions, type Strife } from './index.ts';
import { hang, refusal, startTestGateway, TEST_PASSWORD, type TestGateway } from './testing/index.ts';

const alice = { bank: 'alpha', username: 'alice', password: TEST_PASSWORD };

let gateway: TestGateway;
let strife: Strife;

beforeAll(async () => {
  gateway = await startTestGateway();
});

afterAll(() => gateway.kill());

beforeEach(async () => {
  gateway.calls.length = 0;
  strife = await client();
});

afterEach(() => strife.close());

function client(options: Partial<ConnectOptions> = {}): Promise<Strife> {
  return connect({ gateways: [gateway.address], tls: gateway.tls, ...options });
}

describe('a session', () => {
  it('begins with a login and is plain data that can be used again', async () => {
    const session = await strife.login(alice);
    expect(session).toMatchObject({ account: 'alpha/alice', currency: 'EUR', expiresAtMs: expect.any(Number) });
    expect(strife.session).toEqual(session);

    await using other = await client({ session: JSON.parse(JSON.stringify(session)) });
    expect(await other.balance()).toMatchObject({ account: 'alpha/alice' });
  });

  it('does not begin with a wrong password, and the one from before stays', async () => {
    await strife.login(alice);
    const failed = strife.login({ ...alice, password: 'wrong' });
    await expect(failed).rejects.toMatchObject({ name: 'AuthenticationError', code: 'WRONG_CREDENTIALS', retryable: false });
    expect(strife.session).toMatchObject({ account: 'alpha/alice' });
  });

  it('is revoked by logout', async () => {
    const session = await strife.login(alice);
    await strife.logout();
    expect(strife.session).toBeUndefined();
    await expect(strife.balance()).rejects.toMatchObject({ code: 'NOT_LOGGED_IN' });

    await using thief = await client({ session });
    await expect(thief.balance()).rejects.toMatchObject({ name: 'AuthenticationError', code: 'TOKEN_REVOKED' });
    await thief.logout();
    expect(thief.session).toBeUndefined();
  });

  it('stays when the gateway could not be told of the logout', async () => {
    await strife.login(alice);
    gateway.failNext('logout', async () => {
      throw refusal(Status.INTERNAL, 'broken', { reason: 'INTERNAL' });
    });
    await expect(strife.logout()).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(strife.session).toBeDefined();
  });

  it.each([
    ['INTENTION_DENIED', Status.PERMISSION_DENIED],
    ['ROLE_NOT_ALLOWED', Status.PERMISSION_DENIED],
    ['PEER_NOT_IDENTIFIED', Status.UNAUTHENTICATED],
    ['TOKEN_FORGED', Status.UNAUTHENTICATED],
  ])('stays when the logout is refused for a reason that does not prove its end: %s', async (reason, status) => {
    await strife.login(alice);
    gateway.failNext('logout', async () => {
      throw refusal(status, 'no', { reason, outcome: 'NOT_APPLIED', retryable: 'false' });
    });
    await expect(strife.logout()).rejects.toMatchObject({ code: reason });
    expect(strife.session).toBeDefined();
    await strife.logout();
    expect(strife.session).toBeUndefined();
  });

  it('has ended when its token is over and there is no refresh token', async () => {
    const { token, account, currency, expiresAtMs } = await strife.login(alice);
    await using other = await client({ session: { token, account, currency, expiresAtMs } });
    gateway.bank.expireTokens();
    await other.logout();
    expect(other.session).toBeUndefined();
  });
});

describe('the account', () => {
  beforeEach(async () => {
    await strife.login(alice);
  });

  it('has a balance', async () => {
    expect(await strife.balance()).toEqual({
      account: 'alpha/alice',
      posted: eur('100.00'),
      held: eur('0.00'),
      available: eur('100.00'),
    });
  });

  it('has a history, newest first, fetched page by page and only as far as it is read', async () => {
    await strife.transfers.createMany(['a', 'b', 'c'].map((memo) => ({ to: 'alpha/anna', amount: eur('1'), memo })));
    const all = [];
    for await (const { memo } of strife.history({ pageSize: 3 })) all.push(memo);
    expect(all).toEqual(['c', 'b', 'a', 'opening balance']);

    gateway.calls.length = 0;
    const some = [];
    for await (const entry of strife.history({ pageSize: 2, limit: 2 })) some.push(entry);
    expect(some).toMatchObject([
      { memo: 'c', counterparty: 'alpha/anna', amount: { currency: 'EUR', minorUnits: -100n }, settledAt: expect.any(Date) },
      { memo: 'b', posted: eur('98.00') },
    ]);
    expect(gateway.calls).toEqual(['listEntries']);
  });

  it('refuses a bad limit or page size', async () => {
    for (const options of [{ limit: 0 }, { limit: 1.5 }, { pageSize: 1_001 }, { pageSize: -1 }]) {
      await expect(strife.history(options).next()).rejects.toMatchObject({ name: 'InvalidArgumentError', code: 'INVALID_PAGE' });
    }
  });

  it('is asked for again when a gateway fails for now', async () => {
    gateway.failNext('getAccount', async () => {
      throw refusal(Status.UNAVAILABLE, 'later', { reason: 'BANK_UNAVAILABLE', retryable: 'true' });
    });
    expect(await strife.balance()).toMatchObject({ account: 'alpha/alice' });
  });

  it('is given up when the time is over', async () => {
    gateway.failNext('getAccount', hang);
    await expect(strife.balance({ timeoutMs: 100 })).rejects.toMatchObject({
      name: 'UnavailableError',
      code: 'DEADLINE_EXCEEDED',
      outcome: undefined,
    });
  });

  it('is no longer asked for when the caller cancels: the reason comes back', async () => {
    const cancel = new AbortController();
    gateway.failNext('getAccount', async (proceed, context) => {
      cancel.abort(new Error('enough'));
      return hang(proceed, context);
    });
    await expect(strife.balance({ signal: cancel.signal })).rejects.toThrow('enough');
  });
});

describe('closing', () => {
  it('cuts off the calls in flight and refuses new ones', async () => {
    await strife.login(alice);
    gateway.failNext('getAccount', async (proceed, context) => {
      void strife.close();
      return hang(proceed, context);
    });
    await expect(strife.balance()).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(strife.balance()).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(strife.login(alice)).rejects.toMatchObject({ code: 'CLOSED' });
    const payment = strife.transfers.create({ to: 'beta/bob', amount: eur('1') });
    await expect(payment).rejects.toMatchObject({ code: 'CLOSED' });
    await strife.close();
  });
});

describe('options', () => {
  it.each([[''], ['localhost'], ['localhost:0'], ['localhost:99999'], ['https://localhost:1'], ['a b:1']])(
    'refuses the gateway "%s"',
    async (address) => {
      await expect(client({ gateways: [address] })).rejects.toMatchObject({ name: 'InvalidArgumentError', field: 'gateways' });
    },
  );

  it('refuses no gateways, and a time that is none', async () => {
    await expect(client({ gateways: [] })).rejects.toMatchObject({ code: 'NO_GATEWAYS' });
    for (const timeoutMs of [0, -1, NaN, Infinity]) {
      await expect(client({ timeoutMs })).rejects.toMatchObject({ code: 'INVALID_TIMEOUT' });
    }
  });

  it.each<[string, object]>([
    ['gateways', { gateways: 'localhost:1' }],
    ['tls.key', { tls: { ca: 'x', cert: 'y' } }],
    ['tls.ca', { tls: undefined }],
    ['session', { session: { token: 'x' } }],
    ['sessionStore', { sessionStore: {} }],
    ['sessionStore', { sessionStore: null }],
    ['sessionStore', { sessionStore: { save: () => {}, lock: true } }],
    ['signal', { signal: {} }],
    ['coalesce', { coalesce: 'yes' }],
    ['timeoutMs', { timeoutMs: '5' }],
  ])('refuses a bad %s, and names it', async (field, options) => {
    await expect(client(options as Partial<ConnectOptions>)).rejects.toMatchObject({ name: 'InvalidArgumentError', field });
  });

  it('of calls are refused too, and named', async () => {
    await strife.login(alice);
    const signal = 'stop' as unknown as AbortSignal;
    await expect(strife.balance({ timeoutMs: -1 })).rejects.toMatchObject({ field: 'timeoutMs' });
    await expect(strife.balance({ signal })).rejects.toMatchObject({ field: 'signal' });
    await expect(strife.transfers.createMany([], { timeoutMs: 0 })).rejects.toMatchObject({ field: 'timeoutMs' });
    await expect(strife.login({ ...alice, username: '' })).rejects.toMatchObject({ field: 'username' });
    await expect(strife.login({ ...alice, username: 'a'.repeat(64) })).rejects.toMatchObject({ code: 'INVALID_ACCOUNT_NAME', field: 'username' });
    await expect(strife.login({ ...alice, bank: 'alpha/beta' })).rejects.toMatchObject({ code: 'INVALID_ACCOUNT_NAME', field: 'bank' });
    await expect(strife.login({ ...alice, password: 'x'.repeat(1_025) })).rejects.toMatchObject({ field: 'password' });
  });

  it('takes money as people write it, by the digits of its currency', () => {
    expect(money('KWD', '1.250')).toEqual({ currency: 'KWD', minorUnits: 1250n });
    expect(() => eur('1.234')).toThrow(expect.objectContaining({ name: 'InvalidArgumentError', field: 'amount' }));
    expect(() => money('XXY', '1')).toThrow(expect.objectContaining({ field: 'currency', code: 'INVALID_CURRENCY' }));
  });
});

describe('trust', () => {
  it('refuses certificates that are none', async () => {
    const broken = client({ tls: { ca: 'x', cert: 'y', key: 'z' } });
    await expect(broken).rejects.toMatchObject({ name: 'TlsError', code: 'TLS_MATERIAL_INVALID' });
  });

  it('refuses a gateway of another authority, at once', async () => {
    const other = await createAuthority();
    const stranger = await other.issue({ uris: [spiffeUri('client/test')] });
    await using client1 = await client({ tls: { ...gateway.tls, ca: stranger.ca } });
    const startedAtMs = performance.now();
    await expect(client1.login(alice)).rejects.toMatchObject({ name: 'TlsError', code: 'TLS_FAILED', retryable: false });
    expect(performance.now() - startedAtMs).toBeLessThan(3_000);
  });

  it('says when the gateway refuses this certificate', async () => {
    const other = await createAuthority();
    const { cert, key } = await other.issue({ uris: [spiffeUri('client/test')] });
    await using client1 = await client({ tls: { ca: gateway.tls.ca, cert, key } });
    await expect(client1.login(alice)).rejects.toMatchObject({ name: 'TlsError' });
  });

  it('refuses a server that is no gateway, and no payment is sent to it', async () => {
    const { authority, bank } = gateway;
    const impostor = await startTestGateway({ authority, bank, identity: 'bank/alpha' });
    const session = await strife.login(alice);
    await using client1 = await client({ gateways: [impostor.address], session });
    const payment = client1.transfers.create({ to: 'beta/bob', amount: eur('1.00') });
    await expect(payment).rejects.toMatchObject({
      name: 'TlsError',
      outcome: 'not_applied',
      message: expect.stringContaining('spiffe://strife.local/bank/alpha'),
    });
    expect(impostor.calls).toEqual([]);
    impostor.kill();
  });

  it('leaves an impostor for a true gateway', async () => {
    const { authority, bank } = gateway;
    const impostor = await startTestGateway({ authority, bank, identity: 'client/eve' });
    await using client1 = await client({ gateways: [impostor.address, gateway.address] });
    expect(await client1.login(alice)).toMatchObject({ account: 'alpha/alice' });
    impostor.kill();
  });

  it('takes a port where nobody speaks TLS for what it is', async () => {
    const chatter = createServer((socket) => socket.end('hello\n'));
    const port = await new Promise<number>((resolve) => {
      chatter.listen(0, '127.0.0.1', () => resolve((chatter.address() as { port: number }).port));
    });
    await using client1 = await client({ gateways: [`127.0.0.1:${port}`] });
    await expect(client1.login(alice)).rejects.toMatchObject({ name: 'TlsError' });
    chatter.close();
  });
});
