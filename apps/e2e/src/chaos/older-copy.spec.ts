// A store that was put back to an older copy: the service refuses it in one line, and works with the newest again.

import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eur } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import { expectCleanBooks } from '../support/books.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;
let alice: Strife;

beforeAll(async () => {
  cluster = await startTestCluster();
  alice = await cluster.login('alpha/alice', { timeoutMs: 30_000 });
}, 60_000);
afterAll(async () => {
  await alice?.close();
  await cluster?.end();
});

const pay = () => alice.transfers.create({ to: 'beta/bob', amount: eur('1.00') });

describe('a store put back to an older copy', () => {
  it.each([['bank', 'alpha'], ['gateway', 'g1']])('is refused by its %s, and the newest is taken', async (role, name) => {
    const service = cluster.service(name);
    const file = join(cluster.directories.data, `${role}-${name}.sqlite`);
    await pay();
    await service.stop();
    await copyFile(file, `${file}.older`);
    await service.restart();
    await pay();
    await service.stop();
    await copyFile(file, `${file}.newest`);

    await copyFile(`${file}.older`, file);
    await expect(service.restart()).rejects.toThrow(/ended before it was ready \(exit 1\)\n +cannot start: .*\.sqlite is an older copy of itself .*Put the newest one back/);
    await rm(file);
    await expect(service.restart()).rejects.toThrow(/cannot start: .*\.sqlite is missing, and was there before/);

    await copyFile(`${file}.newest`, file);
    await service.restart();
    expect(await pay()).toMatchObject({ state: 'succeeded' });
    await expectCleanBooks(cluster);
  }, 60_000);
});
