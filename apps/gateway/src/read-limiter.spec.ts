// Reads beyond what a customer may have under way: who waits, who is refused, and that every place is given back.

import { expect, it } from '@jest/globals';
import { reasonOf } from '@strife/service';
import { ServerError, Status } from 'nice-grpc-common';
import { createReadLimiter } from './read-limiter.ts';

type Outcome = PromiseWithResolvers<string>;

function start({ underWayMax = 2, waitingMax = 3 } = {}) {
  const begun: string[] = [];
  const ends = new Map<string, Outcome>();
  const { read } = createReadLimiter({ underWayMax, waitingMax }).limited({
    read(name: string, _context: object): Promise<string> {
      begun.push(name);
      const outcome = Promise.withResolvers<string>();
      ends.set(name, outcome);
      return outcome.promise;
    },
  });
  const ask = (name: string, account = 'alice', signal = new AbortController().signal): Promise<string> =>
    read(name, { signal, session: { account: { bank: 'alpha', account } } });
  return { begun, ask, end: (name: string) => ends.get(name)!.resolve(name), fail: (name: string, error: Error) => ends.get(name)!.reject(error) };
}

/** Lets everything happen that waits for nothing. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

it('begins so many reads of a customer at once, and the others in their order as those end', async () => {
  const { begun, ask, end } = start();
  const all = ['a', 'b', 'c', 'd'].map((name) => ask(name));
  await settled();
  expect(begun).toEqual(['a', 'b']);
  end('b');
  expect(await all[1]).toBe('b');
  await settled();
  expect(begun).toEqual(['a', 'b', 'c']);
  end('a');
  await settled();
  end('c');
  end('d');
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd']);
});

it('lets nobody wait for another customer', async () => {
  const { begun, ask } = start({ underWayMax: 1 });
  void ask('a');
  void ask('b');
  void ask('c', 'carol');
  await settled();
  expect(begun).toEqual(['a', 'c']);
});

it('refuses what is too much, as nothing that was done and may be asked again, and takes reads again once there is room', async () => {
  const { begun, ask, end } = start({ underWayMax: 1, waitingMax: 1 });
  void ask('a');
  void ask('b');
  const error: unknown = await ask('c').then(() => undefined, (thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ServerError);
  expect((error as ServerError).code).toBe(Status.RESOURCE_EXHAUSTED);
  expect(reasonOf(error)).toBe('TOO_MANY_READS');
  expect((error as { extra: unknown[] }).extra[0]).toMatchObject({ metadata: { outcome: 'not_applied', retryable: 'true' } });
  end('a');
  await settled();
  void ask('d');
  end('b');
  await settled();
  expect(begun).toEqual(['a', 'b', 'd']);
});

it('gives the place of a read that failed to the next', async () => {
  const { begun, ask, fail } = start({ underWayMax: 1 });
  const failing = ask('a');
  void ask('b');
  await settled();
  fail('a', new Error('the bank is away'));
  await expect(failing).rejects.toThrow('the bank is away');
  await settled();
  expect(begun).toEqual(['a', 'b']);
});

it('does not begin a read that was given up while it waited, and loses no place by it', async () => {
  const { begun, ask, end } = start({ underWayMax: 1 });
  const call = new AbortController();
  void ask('a');
  const given = ask('given up', 'alice', call.signal);
  void ask('b');
  await settled();
  call.abort();
  end('a');
  await expect(given).rejects.toMatchObject({ name: 'AbortError' });
  await settled();
  expect(begun).toEqual(['a', 'b']);
  end('b');
  await settled();
  void ask('c');
  await settled();
  expect(begun).toEqual(['a', 'b', 'c']);
});

it('takes what one connection can have under way without a refusal', async () => {
  const read = createReadLimiter().limited({ read: async (name: number, _context: object) => name }).read;
  const context = { signal: new AbortController().signal, session: { account: { bank: 'alpha', account: 'alice' } } };
  const names = Array.from({ length: 1_000 }, (_, name) => name);
  expect(await Promise.all(names.map((name) => read(name, context)))).toEqual(names);
});
