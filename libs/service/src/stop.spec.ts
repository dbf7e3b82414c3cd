// A stop lets unary calls finish, aborts streams, takes nothing new, and ends in time.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HealthDefinition } from 'nice-grpc-server-health';
import { createClient, Status, type ServiceContext } from './index.ts';
import { rejection, startLocalServer, type LocalServer } from './local-server.spec-kit.ts';

let bank: LocalServer;
let entered: PromiseWithResolvers<ServiceContext>;
let release: PromiseWithResolvers<void>;

beforeEach(async () => {
  entered = Promise.withResolvers();
  release = Promise.withResolvers();
  bank = await startLocalServer({
    getAccount: async (_request, context) => {
      entered.resolve(context);
      await release.promise;
      return { balance: { account: { bank: 'alpha', account: 'alice' } } };
    },
  });
});

afterEach(async () => {
  release.resolve();
  await bank.close();
});

describe('stop', () => {
  it('lets a running unary call finish, its signal untouched', async () => {
    const call = (await bank.bank()).getAccount({});
    const context = await entered.promise;
    const stopped = bank.server.stop(10_000);
    expect(context.signal.aborted).toBe(false);
    release.resolve();
    await expect(call).resolves.toMatchObject({ balance: { account: { account: 'alice' } } });
    await stopped;
  });

  it('says NOT_SERVING on a running watch, and then aborts it with UNAVAILABLE', async () => {
    const watch = createClient(HealthDefinition, await bank.channel()).watch({ service: '' });
    const statuses: number[] = [];
    const ended = (async () => {
      for await (const { status } of watch) {
        statuses.push(status);
        if (statuses.length === 1) void bank.server.stop(10_000);
      }
    })();
    expect(await rejection(ended)).toMatchObject({ code: Status.UNAVAILABLE, details: 'the server is stopping' });
    expect(statuses[0]).toBe(1);
  });

  it('aborts a unary call that asked for it', async () => {
    const waiting = await startLocalServer({
      getAccount: (_request, context) => {
        context.abortOnTerminate();
        entered.resolve(context);
        return new Promise((_resolve, reject) => context.signal.addEventListener('abort', () => reject(context.signal.reason)));
      },
    });
    const call = (await waiting.bank()).getAccount({});
    await entered.promise;
    void waiting.server.stop(10_000);
    expect(await rejection(call)).toMatchObject({ code: Status.UNAVAILABLE });
    await waiting.close();
  });

  it('cuts off what still runs at the end of the drain timeout', async () => {
    const call = rejection((await bank.bank()).getAccount({}));
    const context = await entered.promise;
    await bank.server.stop(50);
    expect((await call).code).toBeDefined();
    expect(context.signal.aborted).toBe(true);
  });

  it('takes no new connections, and may be repeated', async () => {
    await Promise.all([bank.server.stop(1_000), bank.server.stop(1_000)]);
    expect((await rejection((await bank.bank()).getAccount({}))).code).toBe(Status.UNAVAILABLE);
  });
});

describe('setServing', () => {
  it('decides what health says, for the server and its services', async () => {
    const health = createClient(HealthDefinition, await bank.channel());
    for (const service of ['', 'strife.bank.v1.BankService']) {
      bank.server.setServing(true);
      await expect(health.check({ service })).resolves.toMatchObject({ status: 1 });
      bank.server.setServing(false);
      await expect(health.check({ service })).resolves.toMatchObject({ status: 2 });
    }
    expect((await rejection(health.check({ service: 'no.such.Service' }))).code).toBe(Status.NOT_FOUND);
  });
});

describe('a client that cancels', () => {
  it('aborts the signal of the handler', async () => {
    const abort = new AbortController();
    const call = rejection((await bank.bank()).getAccount({}, { signal: abort.signal }));
    const context = await entered.promise;
    const aborted = new Promise((resolve) => context.signal.addEventListener('abort', resolve));
    abort.abort();
    await aborted;
    await call;
  });
});
