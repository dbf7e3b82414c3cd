// The contract that every driver of the registry port must pass. For specs only: not part of the package's exports.

import { availableParallelism, loadavg } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Instance, Registry, ServiceName } from './registry.ts';

/** One registry, reached over several connections and from several processes. */
export interface RegistryDriver {
  /** How soon a watcher hears of a change; a second when left out. */
  readonly heardWithinMs?: number;
  open(): Promise<Registry>;
  /** Starts a process that registers the instance; resolves when it is registered, or rejects with the refusal's code. */
  startMember(instance: Instance): Promise<Member>;
  close(): Promise<void>;
}

export interface Member {
  /** Kills with SIGKILL and resolves when the process has ended. */
  kill(): Promise<void>;
  /** Lets the process leave by itself and resolves when it has ended. */
  stop(): Promise<void>;
}

const UPDATES = 50;
/** How soon a watcher must hear of a change: within a second, and as much later as more processes want to run here than there are cores. */
const HEARD_WITHIN_MS = 1000 * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());

export function describeRegistryContract(name: string, makeDriver: () => Promise<RegistryDriver>): void {
  describe(`${name} as a registry`, () => {
    const on = {} as Fixture;

    beforeEach(async () => {
      on.driver = await makeDriver();
      on.registry = await on.driver.open();
      on.other = await on.driver.open();
      on.record = (registry) => record(registry, 'bank', on.driver.heardWithinMs);
    });

    afterEach(async () => {
      await on.registry.close();
      await on.other.close();
      await on.driver.close();
    });

    describe('shows who is there', () => claimsOfLists(on));
    describe('follows comings and goings', () => claimsOfChanges(on));
    describe('guards names', () => claimsOfNames(on));
    describe('updates metadata', () => claimsOfUpdates(on));
  });
}

interface Fixture {
  driver: RegistryDriver;
  registry: Registry;
  /** Another connection to the same registry. */
  other: Registry;
  /** Records a watch of the banks. */
  record: (registry: Registry) => Recorded;
}

function claimsOfLists(on: Fixture): void {
  it('tells a watcher of an empty service, after watch has returned', async () => {
    const watched = on.record(on.registry);
    expect(watched.lists).toEqual([]);
    expect(watched.instances()).toEqual([]);
    await watched.until((list) => list.length === 0);
    expect(watched.lists).toEqual([[]]);
  });

  it('shows a registered instance, with every field, to a watcher on another connection', async () => {
    const watched = on.record(on.other);
    await watched.until((list) => list.length === 0);
    await on.registry.register(bank('alpha'));
    await watched.until((list) => list.length === 1);
    expect(watched.instances()).toEqual([bank('alpha')]);
  });

  it('shows what was registered before to a watcher that starts later, in its first list', async () => {
    await on.registry.register(bank('alpha'));
    const watched = on.record(on.other);
    await watched.until((list) => list.length === 1);
    expect(watched.lists).toEqual([[bank('alpha')]]);
  });

  it('sorts several instances by id and keeps services apart', async () => {
    await on.registry.register(bank('beta'));
    await on.registry.register({ ...bank('alpha'), service: 'gateway', meta: { logId: 'log-1', version: '1' } });
    await on.registry.register(bank('alpha'));
    const watched = on.record(on.other);
    await watched.until((list) => list.length === 2);
    expect(idsOf(watched.instances())).toEqual(['alpha', 'beta']);
  });

  it('never tells the same list twice', async () => {
    const watched = on.record(on.other);
    const registration = await on.registry.register(bank('alpha'));
    await on.registry.register(bank('beta'));
    await registration.leave();
    await watched.until((list) => idsOf(list).join() === 'beta');
    const texts = watched.lists.map((list) => JSON.stringify(list));
    expect(texts.filter((text, index) => text === texts[index - 1])).toEqual([]);
  });

  it('says nothing more to a watch that was closed', async () => {
    const closed = on.record(on.other);
    await closed.until((list) => list.length === 0);
    closed.close();
    const open = on.record(on.other);
    await on.registry.register(bank('alpha'));
    await open.until((list) => list.length === 1);
    expect(closed.lists).toEqual([[]]);
  });
}

function claimsOfChanges(on: Fixture): void {
  it('hides an instance that leaves, and leaving again changes nothing', async () => {
    const registration = await on.registry.register(bank('alpha'));
    await on.registry.register(bank('beta'));
    const watched = on.record(on.other);
    await watched.until((list) => list.length === 2);
    await registration.leave();
    await watched.until((list) => list.length === 1);
    await registration.leave();
    expect(idsOf(watched.instances())).toEqual(['beta']);
  });

  it('lets an instance come back with another address', async () => {
    const watched = on.record(on.other);
    const registration = await on.registry.register(bank('alpha', 1001));
    await watched.until((list) => list[0]?.port === 1001);
    await registration.leave();
    await on.registry.register(bank('alpha', 1002));
    await watched.until((list) => list[0]?.port === 1002);
    expect(watched.instances()).toHaveLength(1);
  });

  it('hides an instance whose process is killed, within a second, and lets another take its name', async () => {
    const watched = on.record(on.registry);
    const member = await on.driver.startMember(bank('alpha', 1001));
    await on.driver.startMember(bank('beta'));
    await watched.until((list) => list.length === 2);
    await member.kill();
    await watched.until((list) => idsOf(list).join() === 'beta');
    await on.registry.register(bank('alpha', 1002));
    await watched.until((list) => list[0]?.port === 1002);
  });

  it('lets the restarted process of a killed one register at once', async () => {
    const watched = on.record(on.registry);
    await (await on.driver.startMember(bank('alpha', 1001))).kill();
    await on.driver.startMember(bank('alpha', 1002));
    await watched.until((list) => list[0]?.port === 1002);
    expect(watched.instances()).toHaveLength(1);
  });

  it('hides an instance whose process stops', async () => {
    const watched = on.record(on.registry);
    const member = await on.driver.startMember(bank('alpha'));
    await watched.until((list) => list.length === 1);
    await member.stop();
    await watched.until((list) => list.length === 0);
  });
}

function claimsOfNames(on: Fixture): void {
  it('refuses a name that a live process holds, and leaves the holder in place', async () => {
    await on.driver.startMember(bank('alpha', 1001));
    await expect(on.registry.register(bank('alpha', 1002))).rejects.toMatchObject({ code: 'ALREADY_REGISTERED' });
    await expect(on.driver.startMember(bank('alpha', 1003))).rejects.toMatchObject({ message: 'ALREADY_REGISTERED' });
    const watched = on.record(on.other);
    await watched.until((list) => list[0]?.port === 1001);
  });

  it('lets one of many that register a name at once have it', async () => {
    const results = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => on.registry.register(bank('alpha', 1000 + index))));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    const watched = on.record(on.other);
    await watched.until((list) => list.length === 1);
  });

  it.each([
    ['service', { service: 'shop' }],
    ['id', { id: '../escape' }],
    ['id', { id: '' }],
    ['id', { id: 'x'.repeat(129) }],
    ['host', { host: '' }],
    ['port', { port: 0 }],
    ['port', { port: 65_536 }],
    ['port', { port: 1.5 }],
    ['meta', { meta: { version: 1 } }],
    ['meta', { meta: undefined }],
  ])('refuses an instance with a wrong %s: %j', async (field, wrong) => {
    await expect(on.registry.register({ ...bank('alpha'), ...wrong } as Instance)).rejects.toMatchObject({
      code: 'INSTANCE_INVALID',
      message: expect.stringContaining(`${field}:`),
    });
  });

  it('leaves with all it registered when it is closed, and refuses to work then', async () => {
    await on.registry.register(bank('alpha'));
    await on.registry.register(bank('beta'));
    const watched = on.record(on.other);
    await watched.until((list) => list.length === 2);
    await on.registry.close();
    await watched.until((list) => list.length === 0);
    await on.registry.close();
    await expect(on.registry.register(bank('alpha'))).rejects.toMatchObject({ code: 'REGISTRY_CLOSED' });
    expect(() => on.registry.watch('bank', () => {})).toThrow('closed');
  });
}

function claimsOfUpdates(on: Fixture): void {
  it('replaces it 50 times, and no watcher ever sees the instance missing, nor what it was before', async () => {
    const registration = await on.registry.register(bank('alpha'));
    const watches = [on.record(on.registry), on.record(on.other)];
    await Promise.all(watches.map((watched) => watched.until((list) => list.length === 1)));
    for (let round = 1; round <= UPDATES; round += 1) {
      // oxlint-disable no-await-in-loop -- one after the other
      await registration.update({ bank: 'alpha', version: '1', round: String(round) });
      const newcomer = on.record(on.other);
      await newcomer.until((list) => list[0]?.meta['round'] === String(round));
      expect(newcomer.lists).toHaveLength(1);
      newcomer.close();
      // oxlint-enable no-await-in-loop
    }
    await Promise.all(watches.map((watched) => watched.until((list) => list[0]?.meta['round'] === String(UPDATES))));
    for (const { lists } of watches) {
      const seen = lists.slice(lists.findIndex((list) => list.length === 1));
      expect(seen.filter((list) => idsOf(list).join() !== 'alpha')).toEqual([]);
      const rounds = seen.map((list) => Number(list[0]?.meta['round'] ?? 0));
      expect(rounds).toEqual(rounds.toSorted((a, b) => a - b));
    }
  }, 60_000);

  it('keeps the last of several that are asked for at once, and lives on', async () => {
    const registration = await on.registry.register(bank('alpha'));
    await Promise.all(['1', '2', '3'].map((round) => registration.update({ bank: 'alpha', round })));
    const watched = on.record(on.other);
    await watched.until((list) => list[0]?.meta['round'] === '3');
    await registration.leave();
    await watched.until((list) => list.length === 0);
  });

  it('refuses what is wrong, and keeps what was there', async () => {
    const registration = await on.registry.register(bank('alpha'));
    await expect(registration.update({ version: 1 } as never)).rejects.toMatchObject({ code: 'INSTANCE_INVALID', message: expect.stringContaining('meta:') });
    const watched = on.record(on.other);
    await watched.until((list) => list[0]?.meta['version'] === '1');
  });

  it('refuses after the instance has left', async () => {
    const registration = await on.registry.register(bank('alpha'));
    await registration.leave();
    await expect(registration.update({})).rejects.toMatchObject({ code: 'REGISTRY_CLOSED' });
  });
}

export function bank(id: string, port = 1000): Instance {
  return { service: 'bank', id, host: '127.0.0.1', port, meta: { bank: id, version: '1' } };
}

export interface Recorded {
  /** All lists heard, in order. */
  readonly lists: (readonly Instance[])[];
  instances(): readonly Instance[];
  /** Resolves when the last list heard passes; rejects when none did in time. */
  until(isExpected: (list: readonly Instance[]) => boolean, withinMs?: number): Promise<void>;
  close(): void;
}

export function record(registry: Registry, service: ServiceName, heardWithinMs: number = HEARD_WITHIN_MS): Recorded {
  const lists: (readonly Instance[])[] = [];
  const waiting = new Set<() => void>();
  const watch = registry.watch(service, (list) => {
    lists.push(list);
    for (const check of waiting) check();
  });
  return {
    lists,
    instances: () => watch.instances,
    until: (isExpected, withinMs = heardWithinMs) => new Promise((resolve, reject) => {
      const end = (finish: () => void) => {
        clearTimeout(timer);
        waiting.delete(check);
        finish();
      };
      const timer = setTimeout(
        () => end(() => reject(new Error(`not heard within ${withinMs} ms; heard: ${JSON.stringify(lists.map(idsOf))}`))), withinMs);
      const check = () => {
        const last = lists.at(-1);
        if (last && isExpected(last)) end(resolve);
      };
      waiting.add(check);
      check();
    }),
    close: () => watch.close(),
  };
}

export function idsOf(list: readonly Instance[]): string[] {
  return list.map((instance) => instance.id);
}
