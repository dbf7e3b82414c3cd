import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Status } from 'nice-grpc-common';
import {
  connect,
  eur,
  gatewaysFromRegistryDirectory,
  type ConnectOptions,
  type GatewaySource,
  type Strife,
} from './index.ts';
import { hang, refusal, startTestGateway, startTestLine, TEST_PASSWORD, type TestGateway, type TestLine } from './testing/index.ts';

const alice = { bank: 'alpha', username: 'alice', password: TEST_PASSWORD };
const toBob = { to: 'beta/bob', amount: eur('0.01') };

let one: TestGateway;
let two: TestGateway;
const clients: Strife[] = [];
const lines: TestLine[] = [];

beforeEach(async () => {
  one = await startTestGateway();
  two = await startTestGateway({ authority: one.authority, bank: one.bank });
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((each) => each.close()));
  for (const line of lines.splice(0)) line.close();
  one.kill();
  two.kill();
});

async function client(gateways: ConnectOptions['gateways'], options: Partial<ConnectOptions> = {}): Promise<Strife> {
  const made = await connect({ gateways, tls: one.tls, ...options });
  clients.push(made);
  return made;
}

async function loggedIn(gateways: ConnectOptions['gateways'], options: Partial<ConnectOptions> = {}): Promise<Strife> {
  const made = await client(gateways, options);
  await made.login(alice);
  return made;
}

/** A source that a test feeds. */
function fedSource(...initially: string[]): GatewaySource & { tell(...addresses: string[]): void; isWatched(): boolean } {
  let listener: ((addresses: readonly string[]) => void) | undefined;
  return {
    watch(told) {
      listener = told;
      if (initially.length > 0) told(initially);
      return () => (listener = undefined);
    },
    tell: (...addresses) => listener?.(addresses),
    isWatched: () => listener !== undefined,
  };
}

describe('calls', () => {
  it('are spread over the gateways when there are many at once', async () => {
    const strife = await loggedIn([one.address, two.address]);
    while (one.calls.length === 0 || two.calls.length === 0) {
      await Promise.all(Array.from({ length: 20 }, () => strife.balance()));
    }
    one.calls.length = two.calls.length = 0;
    await Promise.all(Array.from({ length: 200 }, () => strife.balance()));
    expect(Math.min(one.calls.length, two.calls.length)).toBeGreaterThan(50);
  });

  it('leave a gateway that was killed, and none fails', async () => {
    const strife = await loggedIn([one.address, two.address]);
    const results = [];
    for (let round = 0; round < 40; round++) {
      if (round === 10) one.kill();
      results.push(...(await strife.transfers.createMany([toBob, toBob])), await strife.balance());
    }
    expect(results.filter((result) => 'ok' in result && !result.ok)).toEqual([]);
    expect(one.bank.accounts.get('beta/bob')?.posted).toBe(10_080n);
  });

  it('leave a gateway that went silent within a second or so, and come back to it by themselves', async () => {
    const line = await startTestLine(one.port);
    lines.push(line);
    const source = fedSource(line.address);
    const strife = await loggedIn(source, { timeoutMs: 60_000 });
    await strife.balance();
    source.tell(line.address, two.address);
    line.freeze();
    const startedAtMs = performance.now();
    // It is the only one that is connected, so this is sent there, and lost.
    expect(await strife.transfers.create(toBob)).toMatchObject({ state: 'succeeded' });
    expect(performance.now() - startedAtMs).toBeLessThan(4_500);
    expect(two.payments).toHaveLength(1);

    line.thaw();
    two.kill();
    const before = one.calls.length;
    await strife.balance();
    expect(one.calls.length).toBeGreaterThan(before);
  }, 60_000);

  it('leave a gateway that answers no call, though its connection stands', async () => {
    const source = fedSource(one.address);
    const strife = await loggedIn(source, { timeoutMs: 60_000 });
    source.tell(one.address, two.address);
    one.failNext('getAccount', hang);
    expect(await strife.balance()).toMatchObject({ account: 'alpha/alice' });
    expect(two.calls).toEqual(['getAccount']);
  }, 30_000);

  it('leave a gateway that refuses everybody for now', async () => {
    const strife = await loggedIn([one.address, two.address]);
    for (let i = 0; i < 50; i++) {
      one.failNext('createTransfer', async () => {
        throw refusal(Status.UNAVAILABLE, 'logouts are not heard', { reason: 'REVOCATIONS_STALE', outcome: 'NOT_APPLIED', retryable: 'true' });
      });
    }
    for (let i = 0; i < 5; i++) expect(await strife.transfers.create(toBob)).toMatchObject({ state: 'succeeded' });
    expect(one.calls.filter((call) => call === 'createTransfer').length).toBeLessThan(3);
  });

  it('about a payment that may have been applied go to the gateway that was sent it', async () => {
    const strife = await loggedIn([one.address, two.address]);
    while (one.calls.length === 0 || two.calls.length === 0) {
      await Promise.all(Array.from({ length: 20 }, () => strife.balance()));
    }
    for (const each of [one, two]) {
      for (let i = 0; i < 3; i++) {
        each.failNext('createTransfer', async () => {
          throw refusal(Status.ABORTED, 'not known yet', { reason: 'OUTCOME_UNKNOWN', outcome: 'UNKNOWN', retryable: 'true' });
        });
      }
    }
    expect(await strife.transfers.create(toBob)).toMatchObject({ state: 'succeeded' });
    const sends = [one, two].map(({ calls }) => calls.filter((call) => call === 'createTransfer').length);
    expect(new Set(sends)).toEqual(new Set([0, 4]));
  });
});

describe('a source of gateways', () => {
  it('is waited for, and followed until the client is closed', async () => {
    const source = fedSource();
    const strife = await client(source);
    const login = strife.login(alice);
    source.tell(one.address);
    await login;
    source.tell(two.address);
    await strife.balance();
    expect(two.calls).toEqual(['getAccount']);
    await strife.close();
    expect(source.isWatched()).toBe(false);
  });

  it('may name what is no address: the others count', async () => {
    const source = fedSource();
    const strife = await client(source);
    source.tell('nonsense', one.address);
    expect(await strife.login(alice)).toMatchObject({ account: 'alpha/alice' });
  });

  it('that knows no gateway makes calls fail as unavailable, and payments as not applied', async () => {
    const session = await (await client([one.address])).login(alice);
    const strife = await client(fedSource(), { session });
    await expect(strife.balance({ timeoutMs: 100 })).rejects.toMatchObject({ name: 'UnavailableError' });
    await expect(strife.transfers.create({ ...toBob, timeoutMs: 100 })).rejects.toMatchObject({ outcome: 'not_applied', retryable: true });
  });

  it('tells those who wait for a gateway', async () => {
    const source = fedSource();
    const strife = await client(source);
    await expect(strife.ready({ timeoutMs: 50 })).rejects.toMatchObject({ name: 'UnavailableError' });
    const ready = strife.ready();
    source.tell(one.address);
    await ready;
    await expect(strife.ready({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });
});

describe('the directory of the embedded registry', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-sdk-registry-'));
  });

  afterEach(() => rm(directory, { recursive: true, force: true }));

  async function register(id: string, { port }: TestGateway, heartbeatAt = new Date()): Promise<void> {
    const file = join(directory, 'gateway', `${id}.json`);
    await mkdir(join(directory, 'gateway'), { recursive: true });
    await writeFile(file, JSON.stringify({ instance: { service: 'gateway', id, host: '127.0.0.1', port, meta: {} } }));
    await utimes(file, heartbeatAt, heartbeatAt);
  }

  it('tells of gateways with a heartbeat, also of those that come later, and not of damaged files', async () => {
    await register('old', one, new Date(Date.now() - 60_000));
    await writeFile(join(directory, 'gateway', 'damaged.json'), '{');
    const strife = await client(gatewaysFromRegistryDirectory(directory));
    const login = strife.login(alice);
    await register('new', two);
    await login;
    expect(one.calls).toEqual([]);
  });

  it('needs a path', () => {
    expect(() => gatewaysFromRegistryDirectory('')).toThrow(expect.objectContaining({ field: 'directory' }));
  });
});
