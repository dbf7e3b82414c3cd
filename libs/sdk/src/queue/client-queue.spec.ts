import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Status } from 'nice-grpc-common';
import { connect, eur, type ConnectOptions, type QueuedTransfer, type Strife } from '../index.ts';
import { hang, refusal, startTestGateway, TEST_PASSWORD, type TestGateway } from '../testing/index.ts';

const alice = { bank: 'alpha', username: 'alice', password: TEST_PASSWORD };
const anna = { ...alice, username: 'anna' };
const toBob = { to: 'beta/bob', amount: eur('1.00') };

let folder: string;
let gateway: TestGateway;
let strife: Strife;
let clients: Strife[];
let gateways: TestGateway[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'strife-queue-'));
  gateways = [];
  clients = [];
  gateway = await start();
  strife = await client();
  await strife.login(alice);
});

afterEach(async () => {
  for (const each of clients) await each.close();
  for (const each of gateways) each.kill();
  rmSync(folder, { recursive: true });
});

async function start(options: Parameters<typeof startTestGateway>[0] = {}): Promise<TestGateway> {
  const started = await startTestGateway(options);
  gateways.push(started);
  return started;
}

async function client(options: Partial<ConnectOptions> = {}): Promise<Strife> {
  const queue = { file: join(folder, 'queue.db') };
  const made = await connect({ gateways: [gateway.address], tls: gateway.tls, queue, ...options });
  clients.push(made);
  return made;
}

/** The same banks behind a new gateway. */
const restart = (port: number): Promise<TestGateway> => start({ bank: gateway.bank, authority: gateway.authority, port });

async function results(count: number, from = strife): Promise<QueuedTransfer[]> {
  const found: QueuedTransfer[] = [];
  for await (const payment of from.queue.results({ after: 0 })) if (found.push(payment) === count) break;
  return found;
}

const states = (payments: readonly QueuedTransfer[]): string[] => payments.map(({ state }) => state);
const answers = (from: TestGateway): boolean[] => from.payments.map(({ earlierSendsAnswered }) => earlierSendsAnswered);

describe('a payment queued while the gateway is away', () => {
  it('is delivered when it is back, once', async () => {
    gateway.kill();
    const { id, state } = await strife.queue.enqueue({ ...toBob, memo: 'from the train' });
    expect(state).toBe('queued');
    await restart(gateway.port);
    expect(await results(1)).toMatchObject([{ id, state: 'done', memo: 'from the train', transfer: { state: 'succeeded' } }]);
    expect(gateway.bank.accounts.get('beta/bob')?.posted).toBe(10_100n);
  });

  it('is delivered elsewhere, as soon as the registry tells where', async () => {
    let tell = (_addresses: readonly string[]): void => {};
    const source = {
      watch(listener: typeof tell): () => void {
        tell = listener;
        listener([gateway.address]);
        return () => {};
      },
    };
    const other = await client({ gateways: source, session: strife.session, queue: { file: join(folder, 'other.db') } });
    gateway.kill();
    await other.queue.enqueue(toBob);
    const elsewhere = await restart(0);
    tell([elsewhere.address]);
    expect(states(await results(1, other))).toEqual(['done']);
    expect(elsewhere.payments).toHaveLength(1);
  });

  it('has the time on it until which it is wanted, for the bank to decline it', async () => {
    await strife.queue.enqueue({ ...toBob, expiresInMs: 60_000 });
    await results(1);
    expect(Math.abs(Number(gateway.payments[0]?.expiresAtUnixMs) - Date.now() - 60_000)).toBeLessThan(30_000);
  });
});

describe('a gateway that', () => {
  it('answers never, and is killed: the payment is asked about again, and happened once', async () => {
    let arrived = (): void => {};
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    gateway.failNext('createTransfer', async (proceed, context) => {
      await proceed();
      arrived();
      return hang(proceed, context);
    });
    const { id } = await strife.queue.enqueue(toBob);
    await arrival;
    await expect(strife.queue.drop(id)).rejects.toMatchObject({ code: 'QUEUE_MAY_BE_APPLIED' });
    gateway.kill();
    const again = await restart(gateway.port);
    expect(await results(1)).toMatchObject([{ state: 'done', attempts: 2, transfer: { replayed: true } }]);
    expect(answers(again)).toEqual([false]);
    expect(gateway.bank.accounts.get('beta/bob')?.posted).toBe(10_100n);
  });

  it('answers garbage, for one payment or for the whole message, holds nothing up for ever', async () => {
    gateway.failNext('createTransfer', async () => ({}));
    gateway.failNext('createTransfer', async () => ({ transfer: { id: 'something else' } }));
    gateway.failNext('batchCreateTransfers', async () => ({ results: [] }));
    for (let count = 0; count < 4; count++) await strife.queue.enqueue(toBob);
    expect(states(await results(4))).toEqual(['done', 'done', 'done', 'done']);
    expect(gateway.bank.transfers.size).toBe(4);
  });

  it('takes a payment to no bank at all: it is set aside with the reason', async () => {
    gateway.failNext('createTransfer', async () => {
      throw refusal(Status.NOT_FOUND, 'no bank is called gamma', { reason: 'UNKNOWN_BANK', outcome: 'NOT_APPLIED', retryable: 'false' });
    });
    await strife.queue.enqueue({ ...toBob, to: 'gamma/gina' });
    expect(await results(1)).toMatchObject([{ state: 'failed', unanswered: false, problem: { code: 'UNKNOWN_BANK' } }]);
  });
});

describe('a session', () => {
  it('whose token has expired is renewed, and nobody notices', async () => {
    gateway.bank.expireTokens();
    await strife.queue.enqueue(toBob);
    expect(await results(1)).toMatchObject([{ state: 'done', attempts: 1 }]);
  });

  it('that is refused pauses its payments, until its account logs in again', async () => {
    gateway.bank.logout(strife.session!.token);
    const refused = new Promise((resolve) => strife.queue.on('needs-login', resolve));
    const { id } = await strife.queue.enqueue(toBob);
    expect(await refused).toBe('alpha/alice');
    await strife.login(anna);
    const { from } = await strife.queue.enqueue({ ...toBob, memo: 'of anna' });
    expect(from).toBe('alpha/anna');
    expect(await results(1)).toMatchObject([{ memo: 'of anna', transfer: { from: 'alpha/anna' } }]);
    expect(await strife.queue.get(id)).toMatchObject({ state: 'needs-login', unanswered: false });

    await strife.login(alice);
    expect(await results(2)).toMatchObject([{ memo: 'of anna' }, { id, state: 'done', transfer: { from: 'alpha/alice' } }]);
  });

  it('that a gateway has not heard of yet is tried again: nobody has to log in for that', async () => {
    let needsLogin = 0;
    strife.queue.on('needs-login', () => (needsLogin += 1));
    for (let i = 0; i < 5; i++) {
      gateway.failNext('createTransfer', async () => {
        throw refusal(Status.UNAUTHENTICATED, 'who signed that?', { reason: 'TOKEN_ISSUER', outcome: 'NOT_APPLIED' });
      });
    }
    await strife.queue.enqueue(toBob);
    expect(states(await results(1))).toEqual(['done']);
    expect(needsLogin).toBe(0);
  });

  it('is not paused by an intention that the operator takes back: the payments go on by themselves', async () => {
    let needsLogin = 0;
    strife.queue.on('needs-login', () => (needsLogin += 1));
    for (let i = 0; i < 2; i++) {
      gateway.failNext('createTransfer', async () => {
        throw refusal(Status.PERMISSION_DENIED, 'an intention forbids it', { reason: 'INTENTION_DENIED', outcome: 'NOT_APPLIED', retryable: 'false' });
      });
    }
    await strife.queue.enqueue(toBob);
    expect(states(await results(1))).toEqual(['done']);
    expect(needsLogin).toBe(0);
  });

  it('whose renewal does not help pauses its payments', async () => {
    for (let i = 0; i < 100; i++) {
      gateway.failNext('createTransfer', async () => {
        throw refusal(Status.UNAUTHENTICATED, 'log in again', { reason: 'GRANT_REFUSED', outcome: 'NOT_APPLIED' });
      });
    }
    const paused = new Promise((resolve) => strife.queue.on('needs-login', resolve));
    await strife.queue.enqueue(toBob);
    expect(await paused).toBe('alpha/alice');
    expect(gateway.calls.filter((call) => call === 'createTransfer').length).toBe(3);
  });

  it('is not logged out over queued payments, unless they are to stay; they are delivered after the next login', async () => {
    gateway.kill();
    const { id } = await strife.queue.enqueue(toBob);
    await expect(strife.logout()).rejects.toMatchObject({ name: 'QueueNotEmptyError', code: 'QUEUE_NOT_EMPTY', count: 1 });
    expect(strife.session).toBeDefined();

    await expect(strife.logout({ keepQueue: true, timeoutMs: 200 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(strife.session).toBeDefined();
    gateway.bank.logout(strife.session!.token);
    await restart(gateway.port);
    await strife.logout({ keepQueue: true });
    expect(await strife.queue.get(id)).toMatchObject({ state: 'needs-login' });
    await expect(strife.queue.enqueue(toBob)).rejects.toMatchObject({ code: 'NOT_LOGGED_IN' });
    await strife.login(alice);
    expect(await results(1)).toMatchObject([{ id, state: 'done' }]);
    await strife.logout();
  });
});

describe('a client', () => {
  it('without a queue says so', async () => {
    const without = await client({ queue: undefined });
    expect(() => without.queue).toThrow(expect.objectContaining({ code: 'NO_QUEUE' }));
  });

  it('that is closed in the middle of a send leaves the payment to the next one, which knows that it may be applied', async () => {
    let arrived = (): void => {};
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    gateway.failNext('createTransfer', (proceed, context) => {
      arrived();
      return hang(proceed, context);
    });
    const { session } = strife;
    await strife.queue.enqueue(toBob);
    await arrival;
    await strife.close();
    const next = await client({ session });
    expect(states(await results(1, next))).toEqual(['done']);
    expect(answers(gateway)).toEqual([false]);
  });

  it('delivers a thousand payments in a few messages', async () => {
    gateway.kill();
    for (let count = 0; count < 1_000; count++) await strife.queue.enqueue({ ...toBob, amount: eur('0.01'), memo: String(count) });
    const again = await restart(gateway.port);
    const delivered = await results(1_000);
    expect(delivered.map(({ memo }) => Number(memo))).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
    expect(again.payments.map(({ memo }) => Number(memo))).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
    expect(again.calls.length).toBeLessThan(30);
  });
});
