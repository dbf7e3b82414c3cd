// Clocks that jump by hours, either way, at one process at a time: what is paid meanwhile is paid once, and nothing is left when they are right.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { newTransferId, StrifeError } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import { expectCleanBooks } from '../support/books.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';
import { clockVariables, setClock } from './clock.ts';
import { describeWithTool } from './describe-with-tool.ts';
import { until } from './until.ts';

const AMOUNT = { currency: 'EUR', minorUnits: 1n };
const SERVICES = ['alpha', 'beta', 'g1'] as const;
const HOUR_MS = 3_600_000;
/** Until it asks again under the same id. */
const ONE_TRY_MS = 2000;
const PATIENT_MS = 30_000;
/** A bank takes so many logins of one user a minute. */
const LOGIN_EVERY_MS = 500;

await describeWithTool('libfaketime', 'a clock that jumps', (faketime) => {
  let clocks: string;
  let cluster: TestCluster;
  const clockOf = (name: string): string => join(clocks, name);
  const login = (account: string): Promise<Strife> => cluster.login(account, { timeoutMs: PATIENT_MS });

  beforeAll(async () => {
    clocks = await mkdtemp(join(tmpdir(), 'strife-clocks-'));
    await Promise.all(SERVICES.map((name) => setClock(clockOf(name), 0)));
    cluster = await startTestCluster({ envOf: Object.fromEntries(SERVICES.map((name) => [name, clockVariables(faketime, clockOf(name))])) });
  }, 60_000);
  afterAll(async () => {
    await cluster?.end();
    await rm(clocks, { recursive: true, force: true });
  });

  /** True when the money was moved; false when that is not certain now. */
  async function payOnce(strife: Strife, id: string): Promise<boolean> {
    try {
      await strife.transfers.create({ id, to: 'beta/bob', amount: AMOUNT, timeoutMs: ONE_TRY_MS });
      return true;
    } catch (error) {
      // To a clock that is wrong, a session may be over; the payment may still have been made for one that was not.
      if (error instanceof StrifeError && error.outcome !== 'applied') return false;
      throw error;
    }
  }

  /** Logs in again where a session is not taken: what a clock that was wrong has issued may be over, or not valid yet, to one that is right. */
  async function payAll(ids: readonly string[]): Promise<void> {
    let strife: Strife | undefined;
    for (const id of ids) {
      await until(`payment ${id} is made`, async () => {
        strife ??= await login('alpha/alice').catch(() => undefined);
        if (strife !== undefined && (await payOnce(strife, id))) return true;
        await strife?.close();
        strife = undefined;
        await delay(LOGIN_EVERY_MS);
        return false;
      }, PATIENT_MS);
    }
    await strife?.close();
  }

  /** What the service's own clock says, by the last line that it logged. */
  async function offsetOf(name: string): Promise<number> {
    const times = [...(await readFile(cluster.service(name).logFile, 'utf8')).matchAll(/"timestamp":"([^"]+)"/g)];
    return Math.round((Date.parse(times.at(-1)?.[1] ?? '') - Date.now()) / HOUR_MS);
  }

  it.each(SERVICES.flatMap((name) => [[name, 7], [name, -5]] as const))('at %s, by %i h and back: the money moves once', async (name, hours) => {
    const posted = async (): Promise<bigint> => {
      await using bob = await login('beta/bob');
      return (await bob.balance()).posted.minorUnits;
    };
    const before = await posted();
    const ids = [newTransferId()];
    const strife = await login('alpha/alice');
    await setClock(clockOf(name), hours * 3600);
    await until(`${name} is ${hours} h off`, async () => {
      ids.push(newTransferId());
      await payOnce(strife, ids.at(-1)!);
      return (await offsetOf(name)) === hours;
    }, PATIENT_MS);
    await payOnce(strife, ids[0]!);
    await strife.close();
    await setClock(clockOf(name), 0);

    await payAll(ids);
    await expectCleanBooks(cluster);
    expect(await posted()).toBe(before + AMOUNT.minorUnits * BigInt(ids.length));
  }, 120_000);
});
