import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Status } from 'nice-grpc-common';
import { AuthenticationError, connect, eur, newTransferId, type ConnectOptions, type Session, type SessionStore, type Strife } from './index.ts';
import { refusal, startTestGateway, TEST_PASSWORD, type TestGateway } from './testing/index.ts';

const alice = { bank: 'alpha', username: 'alice', password: TEST_PASSWORD };
const bob = { bank: 'beta', username: 'bob', password: TEST_PASSWORD };
const toBob = { to: 'beta/bob', amount: eur('1.00') };

let gateway: TestGateway;
let strife: Strife;
let saved: (Session | undefined)[];
let store: SessionStore;
const clients: Strife[] = [];

beforeEach(async () => {
  gateway = await startTestGateway();
  saved = [];
  store = { load: () => saved.at(-1), save: (session) => void saved.push(session) };
});

afterEach(async () => {
  for (const each of clients.splice(0)) await each.close();
  gateway.kill();
});

async function client(options: Partial<ConnectOptions> = {}): Promise<Strife> {
  const made = await connect({ gateways: [gateway.address], tls: gateway.tls, sessionStore: store, ...options });
  clients.push(made);
  return made;
}

/** Runs one work after the other, as a lock between processes does. */
function lock(): NonNullable<SessionStore['lock']> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  };
}

/** A renewal of the token that has arrived at the gateway, and is answered when `release` is called. */
function heldRenewal(answer: (proceed: () => Promise<unknown>) => Promise<unknown>): { arrived: Promise<void>; release: () => void } {
  const arrived = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  gateway.bank.expireTokens();
  gateway.failNext('refresh', async (proceed) => {
    arrived.resolve();
    await released.promise;
    return answer(proceed);
  });
  return { arrived: arrived.promise, release: released.resolve };
}

const refused = async (): Promise<never> => {
  throw refusal(Status.UNAUTHENTICATED, 'over', { reason: 'SESSION_REVOKED', outcome: 'NOT_APPLIED', retryable: 'false' });
};

describe.each([
  ['a store', () => {}],
  ['a store with a lock', () => void (store.lock = lock())],
  ['a store that cannot tell what it holds', () => void delete store.load],
])('a login during a renewal of the login before, with %s,', (_which, prepare) => {
  beforeEach(async () => {
    prepare();
    strife = await client();
    await strife.login(alice);
  });

  it.each([
    ['answered', (proceed: () => Promise<unknown>) => proceed()],
    ['refused', refused],
  ])('is what the store holds afterwards, when the renewal is %s', async (_how, answer) => {
    const renewal = heldRenewal(answer);
    const payment = strife.transfers.create(toBob).catch((error: unknown) => error);
    await renewal.arrived;
    const login = strife.login(bob);
    // With a lock the login waits for the renewal; without one it is there first.
    if (store.lock) while (!gateway.calls.slice(-1).includes('login')) await new Promise((resolve) => setImmediate(resolve));
    else await login;
    renewal.release();
    await Promise.all([login, payment]);
    expect(saved.at(-1)).toEqual(strife.session);
    expect(strife.session).toMatchObject({ account: 'beta/bob' });
    if (answer !== refused) expect(await payment).toMatchObject({ state: 'succeeded', from: 'alpha/alice' });
    else expect(await payment).toMatchObject({ code: 'SESSION_ENDED', outcome: 'not_applied' });
  });

  it('is what the store holds where a payment of the login before needs a renewal afterwards', async () => {
    const arrived = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    gateway.failNext('createTransfer', async (proceed) => {
      arrived.resolve();
      await released.promise;
      return proceed();
    });
    const payment = strife.transfers.create(toBob);
    await arrived.promise;
    await strife.login(bob);
    gateway.bank.expireTokens();
    released.resolve();
    expect(await payment).toMatchObject({ state: 'succeeded', from: 'alpha/alice' });
    expect(saved.at(-1)).toEqual(strife.session);
    expect(strife.session).toMatchObject({ account: 'beta/bob' });
    expect(await strife.balance()).toMatchObject({ account: 'beta/bob' });
  });

  it('of the same user keeps its refresh token for itself', async () => {
    const arrived = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    gateway.failNext('createTransfer', async (proceed) => {
      arrived.resolve();
      await released.promise;
      return proceed();
    });
    const payment = strife.transfers.create(toBob);
    await arrived.promise;
    await strife.login(alice);
    gateway.bank.expireTokens();
    released.resolve();
    const [transfer, balance] = await Promise.all([payment, strife.balance()]);
    expect([transfer.state, balance.account]).toEqual(['succeeded', 'alpha/alice']);
    expect(saved.at(-1)).toEqual(strife.session);
  });
});

describe('logins that are made at once', () => {
  it('leave the one in use that the store holds, though the saves take their time', async () => {
    strife = await client();
    store.save = async (session) => {
      await new Promise((resolve) => setImmediate(resolve));
      saved.push(session);
    };
    await Promise.all([strife.login(alice), strife.login(bob), strife.login({ ...alice, username: 'anna' })]);
    expect(saved).toHaveLength(3);
    expect(saved.at(-1)).toEqual(strife.session);
  });
});

describe('a store that fails', () => {
  beforeEach(async () => {
    strife = await client();
    await strife.login(alice);
    gateway.bank.expireTokens();
    gateway.calls.length = 0;
  });

  const broken = new AuthenticationError('EROFS: read-only file system', { code: 'SESSION_REVOKED', outcome: 'applied', transferId: newTransferId() });
  const fail = (): never => {
    throw broken;
  };

  it.each<[string, Partial<SessionStore>]>([
    ['load', { load: fail }],
    ['load, later', { load: () => Promise.reject(broken) }],
    ['lock', { lock: fail }],
    ['lock, later', { lock: () => Promise.reject(broken) }],
    ['save', { save: fail }],
  ])('in %s keeps a payment from being sent, says why, and does not end the session', async (_where, failing) => {
    Object.assign(store, failing);
    const id = newTransferId();
    const error = await strife.transfers.create({ ...toBob, id, earlierSendsAnswered: true }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: 'StrifeError', code: 'SESSION_NOT_SAVED', outcome: 'not_applied', transferId: id,
      message: expect.stringContaining('EROFS: read-only file system'), cause: broken,
    });
    expect(gateway.bank.transfers.size).toBe(0);
    expect(gateway.calls).not.toContain('refresh');
    expect(strife.session).toMatchObject({ account: 'alpha/alice' });
  });

  it('in a lock that never runs its work does so too', async () => {
    store.lock = async () => undefined as never;
    await expect(strife.transfers.create(toBob)).rejects.toMatchObject({ code: 'SESSION_NOT_SAVED', outcome: 'not_applied' });
  });

  it('only in letting go of its lock has renewed the token all the same', async () => {
    store.lock = async (work) => {
      await work();
      throw broken;
    };
    expect(await strife.transfers.create(toBob)).toMatchObject({ state: 'succeeded' });
    expect(saved.at(-1)).toEqual(strife.session);
  });

  it('in its lock makes a login fail, and the session stays as it was', async () => {
    store.lock = fail;
    const before = strife.session;
    await expect(strife.login(bob)).rejects.toMatchObject({ code: 'SESSION_NOT_SAVED' });
    expect([strife.session, saved.at(-1)]).toEqual([before, before]);
  });
});

describe('a logout that the store does not take', () => {
  it('is one all the same: the queue takes no more payments of the account', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'strife-login-store-'));
    try {
      strife = await client({ queue: { file: join(folder, 'queue.db') } });
      await strife.login(alice);
      store.save = () => Promise.reject(new Error('disk full'));
      await expect(strife.logout()).rejects.toMatchObject({ code: 'SESSION_NOT_SAVED', message: expect.stringContaining('disk full') });
      expect(strife.session).toBeUndefined();
      await expect(strife.queue.enqueue(toBob)).rejects.toMatchObject({ code: 'NOT_LOGGED_IN' });
      expect(gateway.calls).toContain('logout');
      await strife.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
