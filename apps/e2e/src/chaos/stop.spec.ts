// A bank and a gateway stand still for longer than every timeout there is, keep-alive and handshakes too, in the middle of payments: what the
// others gave up meanwhile stays given up when both go on and say what they had left to say, and every payment is made once.

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { newTransferId } from '@strife/sdk';
import { expectCleanBooks } from '../support/books.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { Person, TestCluster } from '../support/test-cluster.ts';
import { viewStores } from './store-view.ts';
import { until } from './until.ts';

const CALLERS = 10;
const AMOUNT = { currency: 'EUR', minorUnits: 1n };
const STOPPED = ['beta', 'g1'] as const;
/** The longest timeout on a payment's way is that of a connection without a sign of life: 30 s of silence, and 10 s for an answer. */
const STOPPED_MS = 42_000;
const ONE_TRY_MS = 3000;
const PATIENT_MS = 30_000;

let cluster: TestCluster;
let payer: Person;
let payee: Person;

beforeAll(async () => {
  cluster = await startTestCluster({ gateways: ['g1', 'g2'] });
  [payer, payee] = [await cluster.person('alpha'), await cluster.person('beta')];
}, 60_000);
afterAll(() => cluster?.end());

it('a bank and a gateway that stand still for longer than every timeout lose nothing and make nothing', async () => {
  const stores = viewStores(cluster.directories.data);
  let isOver = false;
  let made = 0;
  /** Pays one after the other, each until it is made. */
  const callers = Array.from({ length: CALLERS }, async () => {
    while (!isOver) {
      const id = newTransferId();
      const tryOnce = () => payer.strife.transfers.create({ id, to: payee.account, amount: AMOUNT, timeoutMs: ONE_TRY_MS }).then(() => true, () => false);
      await until(`payment ${id} is made`, tryOnce, 3 * STOPPED_MS);
      made += 1;
    }
  });
  await until('payments are made', () => made >= CALLERS);
  const doubtful = () => stores.prepared('alpha') + stores.prepared('beta');
  await until('payments are under way', () => doubtful() > 0);
  const pids = STOPPED.map((name) => cluster.service(name).pid);
  try {
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    // The fault itself: nothing can tell how long it has lasted but the clock.
    await delay(STOPPED_MS);
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
  const madeBefore = made;
  await until('payments are made again', () => made >= madeBefore + CALLERS, PATIENT_MS);
  isOver = true;
  await Promise.all(callers);
  expect(STOPPED.map((name) => cluster.service(name).pid)).toEqual(pids);
  await expectCleanBooks(cluster);
  expect([await payer.posted(), await payee.posted()]).toEqual([100_000n - BigInt(made), 100_000n + BigInt(made)]);
}, 240_000);
