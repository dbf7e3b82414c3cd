import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Status } from 'nice-grpc-common';
import { connect, eur, type ConnectOptions, type Session, type SessionStore, type Strife } from './index.ts';
import { hang, refusal, startTestGateway, TEST_PASSWORD, type TestGateway } from './testing/index.ts';

const alice = { bank: 'alpha', username: 'alice', password: TEST_PASSWORD };
const toBob = { to: 'beta/bob', amount: eur('12.50') };

let gateway: TestGateway;
let strife: Strife;
let saved: (Session | undefined)[];
let store: SessionStore;
const clients: Strife[] = [];

beforeEach(async () => {
  gateway = await startTestGateway();
  saved = [];
  store = { load: () => saved.at(-1), save: (session) => void saved.push(session) };
  strife = await client({ sessionStore: store });
  await strife.login(alice);
  gateway.calls.length = 0;
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((each) => each.close()));
  gateway.kill();
});

async function client(options: Partial<ConnectOptions> = {}): Promise<Strife> {
  const made = await connect({ gateways: [gateway.address], tls: gateway.tls, ...options });
  clients.push(made);
  return made;
}

const refreshes = (): number => gateway.calls.filter((call) => call === 'refresh').length;
const aboutToEnd = (session: Session): Session => ({ ...session, expiresAtMs: Date.now() + 1_000 });

describe('a session that is about to end', () => {
  it('is renewed on use, once for all calls that need it, and goes on', async () => {
    const before = aboutToEnd(strife.session!);
    const other = await client({ session: before });
    const told: (Session | undefined)[] = [];
    other.onSession((session) => told.push(session));
    await Promise.all([other.balance(), other.transfers.create(toBob), other.balance()]);
    expect(refreshes()).toBe(1);
    expect(other.session).toMatchObject({ account: 'alpha/alice', refreshToken: expect.any(String) });
    expect(other.session?.token).not.toBe(before.token);
    expect(other.session?.refreshRequestId).toBeUndefined();
    expect(told).toEqual([other.session]);
  });

  it('goes on with its present token while it cannot be renewed', async () => {
    const other = await client({ session: aboutToEnd(strife.session!) });
    gateway.failNext('refresh', async () => {
      throw refusal(Status.FAILED_PRECONDITION, 'not now', { reason: 'NOT_NOW' });
    });
    expect(await other.balance()).toMatchObject({ account: 'alpha/alice' });
    expect(await other.balance()).toMatchObject({ account: 'alpha/alice' });
    expect(refreshes()).toBe(1);
  });

  it('is not renewed ahead of time where the clock is wrong: only a refusal tells', async () => {
    const other = await client({ session: { ...strife.session!, expiresAtMs: Date.now() - 3_600_000 } });
    gateway.bank.expireTokens();
    await other.balance();
    await other.balance();
    expect(refreshes()).toBe(1);
  });
});

describe('a token that the gateway takes for expired', () => {
  it('is renewed, and the call made again', async () => {
    gateway.bank.expireTokens();
    expect(await strife.balance()).toMatchObject({ account: 'alpha/alice' });
    expect(refreshes()).toBe(1);
  });

  it('is renewed for payments, alone and many at once, which then happen once', async () => {
    gateway.bank.expireTokens();
    await strife.transfers.create(toBob);
    gateway.bank.expireTokens();
    const results = await strife.transfers.createMany([toBob, { to: 'alpha/anna', amount: eur('1') }, toBob]);
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(refreshes()).toBe(2);
    expect(gateway.bank.accounts.get('alpha/alice')?.posted).toBe(6_150n);
  });

  it('is refused in the end where a new one does not help', async () => {
    for (let i = 0; i < 10; i++) {
      gateway.failNext('createTransfer', async () => {
        throw refusal(Status.UNAUTHENTICATED, 'expired', { reason: 'TOKEN_EXPIRED', outcome: 'NOT_APPLIED' });
      });
    }
    await expect(strife.transfers.create(toBob)).rejects.toMatchObject({ name: 'AuthenticationError', code: 'TOKEN_EXPIRED', outcome: 'not_applied' });
    expect(refreshes()).toBe(2);
  });

  it('leaves a payment unknown that may have been applied before', async () => {
    gateway.failNext('createTransfer', async (proceed) => {
      await proceed();
      gateway.bank.expireTokens();
      throw refusal(Status.UNAVAILABLE, 'lost', { reason: 'LOST', outcome: 'UNKNOWN', retryable: 'true' });
    });
    gateway.failNext('refresh', async () => {
      throw refusal(Status.UNAUTHENTICATED, 'no', { reason: 'SESSION_REVOKED' });
    });
    await expect(strife.transfers.create(toBob)).rejects.toMatchObject({ name: 'OutcomeUnknownError', outcome: 'unknown' });
  });
});

describe('a renewal', () => {
  it('has its request saved before it is sent, and its result before the call goes on', async () => {
    gateway.bank.expireTokens();
    const before = saved.at(-1)!;
    let savedAtSend: Session | undefined;
    gateway.failNext('refresh', async (proceed) => {
      savedAtSend = saved.at(-1);
      return proceed();
    });
    await strife.balance();
    expect(savedAtSend).toEqual({ ...before, refreshRequestId: expect.stringMatching(/^.{16,64}$/) });
    expect(saved.at(-1)).toEqual(strife.session);
  });

  it('is asked for again, as the same request, by a process that died before the answer', async () => {
    gateway.bank.expireTokens();
    gateway.failNext('refresh', async (proceed, context) => {
      await proceed();
      void strife.close();
      return hang(proceed, context);
    });
    await expect(strife.balance()).rejects.toMatchObject({ code: 'CLOSED' });
    const next = await client({ sessionStore: store });
    expect(await next.balance()).toMatchObject({ account: 'alpha/alice' });
    expect(next.session?.refreshRequestId).toBeUndefined();
  });

  it('is not sent while it cannot be saved', async () => {
    gateway.bank.expireTokens();
    store.save = () => Promise.reject(new Error('disk full'));
    await expect(strife.balance()).rejects.toMatchObject({ code: 'SESSION_NOT_SAVED' });
    expect(refreshes()).toBe(0);
  });

  it('of another process is taken over, not repeated', async () => {
    const other = await client({ sessionStore: store });
    gateway.bank.expireTokens();
    await other.balance();
    await strife.balance();
    expect(refreshes()).toBe(1);
    expect(strife.session).toEqual(other.session);
  });

  it('runs while no other process that shares the store runs one', async () => {
    let running = 0;
    const overlaps: number[] = [];
    let last = Promise.resolve();
    store.lock = (work) => {
      const turn = last.then(async () => {
        running += 1;
        overlaps.push(running);
        try {
          return await work();
        } finally {
          running -= 1;
        }
      });
      last = turn.then(() => {}, () => {});
      return turn;
    };
    const other = await client({ sessionStore: store });
    gateway.bank.expireTokens();
    await Promise.all([strife.balance(), other.balance()]);
    expect(overlaps).toEqual([1, 1]);
    expect(refreshes()).toBe(1);
  });

  it('is not made for a session that another process logged out, or whose place another login took', async () => {
    const other = await client({ sessionStore: store });
    await other.login({ ...alice, username: 'anna' });
    gateway.bank.expireTokens();
    await expect(strife.balance()).rejects.toMatchObject({ code: 'SESSION_ENDED', message: expect.stringContaining('another login') });
    expect(saved.at(-1)).toMatchObject({ account: 'alpha/anna' });
    saved.push(undefined);
    await expect(other.balance()).rejects.toMatchObject({ code: 'SESSION_ENDED', message: expect.stringContaining('logged out') });
    expect(refreshes()).toBe(0);
  });

  it('that is refused ends the session: it is forgotten, here and in the store', async () => {
    const thief = await client({ session: strife.session });
    gateway.bank.expireTokens();
    await thief.balance();
    await expect(strife.balance()).rejects.toMatchObject({ name: 'AuthenticationError', code: 'SESSION_ENDED', retryable: false });
    expect(strife.session).toBeUndefined();
    expect(saved.at(-1)).toBeUndefined();
    await expect(thief.balance()).rejects.toMatchObject({ name: 'AuthenticationError' });
  });

  it.each([
    ['ACCOUNT_FROZEN', Status.UNAUTHENTICATED],
    ['PEER_NOT_IDENTIFIED', Status.UNAUTHENTICATED],
    ['INTENTION_DENIED', Status.PERMISSION_DENIED],
  ])('that is refused for a reason that does not end the session is made again later: %s', async (reason, status) => {
    gateway.bank.expireTokens();
    gateway.failNext('refresh', async () => {
      throw refusal(status, 'not now', { reason, outcome: 'NOT_APPLIED', retryable: 'false' });
    });
    await expect(strife.balance()).rejects.toMatchObject({ name: 'AuthenticationError', code: reason });
    expect(saved.at(-1)).toEqual(strife.session);
    expect(await strife.balance()).toMatchObject({ account: 'alpha/alice' });
  });

  it.each(['REFRESH_TOKEN_INVALID', 'REFRESH_TOKEN_EXPIRED', 'REFRESH_TOKEN_REUSED', 'SESSION_REVOKED'])('that is refused with %s ends the session', async (reason) => {
    gateway.bank.expireTokens();
    gateway.failNext('refresh', async () => {
      throw refusal(Status.UNAUTHENTICATED, 'over', { reason, outcome: 'NOT_APPLIED', retryable: 'false' });
    });
    await expect(strife.balance()).rejects.toMatchObject({ code: 'SESSION_ENDED' });
    expect([strife.session, saved.at(-1)]).toEqual([undefined, undefined]);
  });

  it('is waited for no longer than a call may take', async () => {
    gateway.bank.expireTokens();
    gateway.failNext('refresh', hang);
    await expect(strife.balance({ timeoutMs: 200 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', retryable: true });
    gateway.failNext('refresh', hang);
    const payment = strife.transfers.create({ ...toBob, timeoutMs: 200 });
    await expect(payment).rejects.toMatchObject({ outcome: 'not_applied', retryable: true });
  });

  it('is waited for no longer than its caller wants', async () => {
    gateway.bank.expireTokens();
    const renewing = Promise.withResolvers<void>();
    gateway.failNext('refresh', (proceed, context) => {
      renewing.resolve();
      return hang(proceed, context);
    });
    const caller = new AbortController();
    const payment = expect(strife.transfers.create({ ...toBob, signal: caller.signal })).rejects.toMatchObject({
      code: 'CANCELLED', outcome: 'not_applied', retryable: true,
    });
    await renewing.promise;
    caller.abort();
    await payment;
  });
});

describe('a token whose signer the gateway has not heard of yet', () => {
  const unknownSigner = async (): Promise<never> => {
    throw refusal(Status.UNAUTHENTICATED, 'who signed that?', { reason: 'TOKEN_ISSUER', outcome: 'NOT_APPLIED' });
  };

  it('is tried again, for payments and other calls', async () => {
    gateway.failNext('getAccount', unknownSigner);
    gateway.failNext('createTransfer', unknownSigner);
    expect(await strife.balance()).toMatchObject({ account: 'alpha/alice' });
    expect(await strife.transfers.create(toBob)).toMatchObject({ state: 'succeeded', replayed: false });
    expect(refreshes()).toBe(0);
  });
});

describe('a logout', () => {
  it('ends the refresh token too, also when the token was over, and the store forgets the session', async () => {
    const copy = strife.session!;
    gateway.bank.expireTokens();
    await strife.logout();
    expect(saved.at(-1)).toBeUndefined();
    const thief = await client({ session: copy });
    await expect(thief.balance()).rejects.toMatchObject({ name: 'AuthenticationError' });
  });
});

describe('a logout during a renewal', () => {
  it('is the end: what the renewal brings is not taken', async () => {
    const answered = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    gateway.failNext('getAccount', async () => {
      throw refusal(Status.UNAUTHENTICATED, 'expired', { reason: 'TOKEN_EXPIRED', outcome: 'NOT_APPLIED' });
    });
    gateway.failNext('refresh', async (proceed) => {
      const answer = await proceed();
      answered.resolve();
      await release.promise;
      return answer;
    });
    const call = expect(strife.balance()).rejects.toMatchObject({ code: 'SESSION_ENDED' });
    await answered.promise;
    await strife.logout();
    expect([strife.session, saved.at(-1)]).toEqual([undefined, undefined]);
    release.resolve();
    await call;
    expect([strife.session, saved.at(-1)]).toEqual([undefined, undefined]);
  });

  it('is what the store keeps, also where a save of the renewal is slow', async () => {
    const saving = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    store.save = async (session) => {
      if (session?.refreshRequestId !== undefined) {
        saving.resolve();
        await release.promise;
      }
      saved.push(session);
    };
    gateway.failNext('getAccount', async () => {
      throw refusal(Status.UNAUTHENTICATED, 'expired', { reason: 'TOKEN_EXPIRED', outcome: 'NOT_APPLIED' });
    });
    const call = expect(strife.balance()).rejects.toMatchObject({ code: 'SESSION_ENDED' });
    await saving.promise;
    const logout = strife.logout();
    while (strife.session) await new Promise((resolve) => setImmediate(resolve));
    release.resolve();
    await Promise.all([logout, call]);
    expect(saved.at(-1)).toBeUndefined();
    expect(refreshes()).toBe(0);
  });
});

describe('a login', () => {
  it('fails when it cannot be saved, and the session stays as it was', async () => {
    const before = strife.session;
    store.save = () => Promise.reject(new Error('disk full'));
    await expect(strife.login({ ...alice, username: 'anna' })).rejects.toMatchObject({ code: 'SESSION_NOT_SAVED' });
    expect(strife.session).toBe(before);
  });

  it('of another user leaves payments with the one that made them', async () => {
    const payment = strife.transfers.create(toBob);
    const login = strife.login({ ...alice, username: 'anna' });
    gateway.failNext('createTransfer', async (proceed) => {
      await login;
      await proceed();
      throw refusal(Status.UNAVAILABLE, 'lost', { reason: 'LOST', outcome: 'UNKNOWN', retryable: 'true' });
    });
    expect(await payment).toMatchObject({ from: 'alpha/alice', replayed: true });
    expect(strife.session?.account).toBe('alpha/anna');
  });
});
