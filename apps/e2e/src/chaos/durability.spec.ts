// Durable before said, shown from outside by system calls: no vote, decision, acknowledgement or logout leaves a process before the sync of
// the write that it speaks of.
//
// Three views of the same rule. A trace under load: bytes never leave while the write-ahead log has some that are not synced. A slow sync:
// the answer to a single message is never earlier than the sync that it needs. A sync that fails: no answer at all.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { ServiceProcess } from '@strife/cluster';
import { loadTls } from '@strife/certs';
import { AuthenticationError, connect, newTransferId } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import { expectCleanBooks } from '../support/books.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';
import { describeWithTool } from './describe-with-tool.ts';
import { attachStrace, readTrace, sentEarly, SYNCS } from './strace.ts';
import type { Strace } from './strace.ts';
import { viewStores } from './store-view.ts';
import type { StoreView } from './store-view.ts';
import { until } from './until.ts';

const AMOUNT = { currency: 'EUR', minorUnits: 1n };
/** Far above what a payment takes otherwise, far below every timeout on its way. */
const SLOW_SYNC_MS = 400;
const PATIENT_MS = 30_000;

let cluster: TestCluster;
let stores: StoreView;
let alice: Strife;

beforeAll(async () => {
  cluster = await startTestCluster({ prepareTimeoutMs: 10_000 });
  stores = viewStores(cluster.directories.data);
  alice = await cluster.login('alpha/alice', { timeoutMs: PATIENT_MS });
}, 60_000);
afterAll(async () => {
  await alice?.close();
  await cluster?.end();
});

const pay = (id: string, wait: 'decided' | 'settled') => alice.transfers.create({ id, to: 'beta/bob', amount: AMOUNT, wait, timeoutMs: PATIENT_MS });

/** A client with a session of its own, to be logged out. */
async function loggedIn(): Promise<Strife> {
  const tls = await loadTls(cluster.directories.certs, 'client/dev');
  const strife = await connect({ gateways: [cluster.service('g1').address], tls, timeoutMs: PATIENT_MS });
  await strife.login({ bank: 'alpha', username: 'carol', password: 'carol-password' });
  return strife;
}

await describeWithTool('strace', 'what a process says is durable first', (strace) => {
  const attach = (service: ServiceProcess, trace: readonly string[], inject?: string): Promise<Strace> =>
    attachStrace({ strace, pid: service.pid, file: join(cluster.root, `trace-${randomUUID()}`), trace, ...(inject === undefined ? {} : { inject }) });
  const slow = (service: ServiceProcess): Promise<Strace> => attach(service, SYNCS.split(','), `${SYNCS}:delay_enter=${SLOW_SYNC_MS * 1000}`);
  const failing = (service: ServiceProcess, when = 1): Promise<Strace> => attach(service, SYNCS.split(','), `${SYNCS}:error=EIO:when=${when}+`);

  beforeEach(async () => {
    for (const name of ['alpha', 'beta', 'g1']) if (!cluster.service(name).running) await cluster.service(name).restart();
    // Connections stand, and nothing is left of the test before.
    await pay(newTransferId(), 'settled');
    await until('nothing is in doubt', () => ['alpha', 'beta'].every((bank) => stores.prepared(bank) === 0));
  }, 60_000);

  it.each(['alpha', 'beta', 'g1'])('%s sends nothing while its log has bytes that are not synced, in 200 payments at once', async (name) => {
    const service = cluster.service(name);
    const trace = await attach(service, ['pwrite64', 'write', 'writev', 'sendmsg', 'sendto', ...SYNCS.split(',')]);
    await Promise.all(Array.from({ length: 10 }, async () => {
      for (let time = 0; time < 20; time += 1) await pay(newTransferId(), 'settled');
    }));
    await trace.detach();
    const found = sentEarly(readTrace(await trace.lines()));
    expect(found.early).toEqual([]);
    // Each of a caller's twenty payments waits for a sync of its own, two at a bank.
    expect(found.syncs).toBeGreaterThanOrEqual(name === 'g1' ? 20 : 40);
    expect(found.writes).toBeGreaterThanOrEqual(found.syncs);
    expect(found.sent).toBeGreaterThanOrEqual(20);
  }, 60_000);

  it.each([
    // What one payment waits for, one after the other, when only this process is slow.
    ['YES of the payer', 'alpha', 'decided', 1],
    ['YES of the payee', 'beta', 'decided', 1],
    ['decision', 'g1', 'decided', 1],
    ["payer's acknowledgement, after its YES", 'alpha', 'settled', 2],
    ["payee's acknowledgement, after its YES", 'beta', 'settled', 2],
  ] as const)('the %s comes after its sync', async (_what, name, wait, syncs) => {
    await using _slow = await slow(cluster.service(name));
    const startedAtMs = performance.now();
    expect(await pay(newTransferId(), wait)).toMatchObject({ state: 'succeeded' });
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(SLOW_SYNC_MS * syncs);
  }, 60_000);

  it('a logout is answered after its sync', async () => {
    const carol = await loggedIn();
    await using _slow = await slow(cluster.service('g1'));
    const startedAtMs = performance.now();
    await carol.logout();
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(SLOW_SYNC_MS);
    await carol.close();
  }, 60_000);

  it.each([
    ['YES of the payer', 'alpha', 1, ['absent', 'prepared']],
    ['YES of the payee', 'beta', 1, ['absent', 'prepared']],
    ['decision', 'g1', 1, ['absent', 'committed']],
    ["payer's acknowledgement", 'alpha', 2, ['prepared', 'committed']],
    ["payee's acknowledgement", 'beta', 2, ['prepared', 'committed']],
  ] as const)('when the sync of the %s fails, nothing is said, the process ends, and its next start knows what is true', async (_what, name, when, left) => {
    const service = cluster.service(name);
    const id = newTransferId();
    const trace = await failing(service, when);
    let answered = false;
    const paying = pay(id, 'settled').then((transfer) => {
      answered = true;
      return transfer;
    });
    expect(await service.exited).toEqual({ code: 1, signal: null });
    await trace.ended;
    // A sync that the decision does not wait for: the gateway may answer when its wait for the bank is over, and says what is decided.
    if (when === 1) expect(answered).toBe(false);
    expect(left).toContain(name === 'g1' ? stores.decision('g1', id) : stores.leg(name, id));
    await service.restart();
    expect(await paying).toMatchObject({ state: 'succeeded' });
    await until('both have settled', () => ['alpha', 'beta'].every((bank) => stores.leg(bank, id) === 'committed'));
  }, 60_000);

  it('when the sync of a logout fails, it is not called done, the process ends, and the next start may still know the session', async () => {
    const service = cluster.service('g1');
    const carol = await loggedIn();
    const { session } = carol;
    await failing(service);
    const answer = carol.logout({ timeoutMs: 3000 }).then(() => 'done', () => 'not done');
    expect(await service.exited).toEqual({ code: 1, signal: null });
    expect(await answer).toBe('not done');
    await service.restart();
    await carol.logout();
    await carol.close();
    const tls = await loadTls(cluster.directories.certs, 'client/dev');
    await using again = await connect({ gateways: [service.address], tls, session, timeoutMs: PATIENT_MS });
    await expect(again.balance()).rejects.toBeInstanceOf(AuthenticationError);
  }, 60_000);

  it('ends with clean books', async () => {
    await expectCleanBooks(cluster);
  });
});
