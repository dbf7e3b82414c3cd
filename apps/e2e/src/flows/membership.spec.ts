// Banks and gateways that join and leave while the others run: nobody else is restarted, and what is refused meanwhile has not happened.

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { loadTls } from '@strife/certs';
import { connect, newTransferId } from '@strife/sdk';
import type { NewTransfer, Strife } from '@strife/sdk';
import { TransferServiceDefinition } from '@strife/stubs/gateway';
import { TransferState } from '@strife/stubs/type';
import { expectCleanBooks, released } from '../support/books.ts';
import { bearer } from '../support/callers.ts';
import { keepPaying } from '../support/load.ts';
import { expectWellWorded, refusalOf } from '../support/refusal.ts';
import type { Refusal } from '../support/refusal.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { Person, TestCluster } from '../support/test-cluster.ts';

const REVOCATION_GRACE_MS = 1000;
const PAID = { currency: 'EUR', minorUnits: 100n };
const AT_GAMMA = { bank: 'gamma', account: 'erin' };

let cluster: TestCluster;
let payer: Person;
let pids: Record<string, number>;
const clients: Strife[] = [];

beforeAll(async () => {
  cluster = await startTestCluster({ env: { STRIFE_REVOCATION_GRACE: `${REVOCATION_GRACE_MS}ms` } });
  payer = await cluster.person('alpha', { timeoutMs: 30_000 });
  pids = processes();
}, 60_000);
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await cluster?.end();
});

/** The services that are there from the beginning. */
function processes(): Record<string, number> {
  return Object.fromEntries(['g1', 'alpha', 'beta'].map((name) => [name, cluster.service(name).pid]));
}

/** The payer's session at these gateways. */
async function at(...gateways: string[]): Promise<Strife> {
  const tls = await loadTls(cluster.directories.certs, 'client/dev');
  const client = await connect({ gateways: gateways.map((name) => cluster.service(name).address), tls, session: payer.strife.session, timeoutMs: 30_000 });
  clients.push(client);
  return client;
}

/** One payment to the third bank, sent once: how it is refused, or undefined when it was made. */
async function payGammaOnce(id = newTransferId()): Promise<Refusal | undefined> {
  const transfers = await cluster.callers.client(TransferServiceDefinition, cluster.service('g1').address, 'client/dev');
  const call = transfers.createTransfer({ id, to: AT_GAMMA, amount: PAID }, { metadata: bearer(payer.strife.session!.token) });
  const made = await call.then(({ transfer }) => transfer?.state, () => undefined);
  if (made === undefined) return refusalOf(call);
  expect(made).toBe(TransferState.SUCCEEDED);
  return undefined;
}

describe('a third bank', () => {
  it('is unknown before it joins', async () => {
    expect(await payGammaOnce()).toMatchObject({ status: 'NOT_FOUND', reason: 'UNKNOWN_BANK', outcome: 'not_applied' });
  });

  it('joins, is paid, and pays', async () => {
    await cluster.add('bank', 'gamma');
    for (;;) {
      const refusal = await payGammaOnce();
      if (refusal === undefined) break;
      expect(refusal).toMatchObject({ reason: 'UNKNOWN_BANK', outcome: 'not_applied' });
      await delay(20);
    }
    await using erin = await cluster.login('gamma/erin');
    expect(await erin.balance()).toMatchObject({ posted: { minorUnits: 100_100n } });
    expect(await erin.transfers.create({ to: payer.account, amount: PAID })).toMatchObject({ state: 'succeeded' });
    expect(await payer.posted()).toBe(100_000n);
  });

  it('leaves by SIGTERM: payments to it are refused and not made, those to others go on', async () => {
    const { exited } = cluster.service('gamma');
    await cluster.service('gamma').kill('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
    // The gateway hears of it a moment later, and may have sent the bank a payment until then.
    for (let refused = 0; refused < 3;) {
      const refusal = await payGammaOnce();
      expect(refusal).toMatchObject({ status: 'UNAVAILABLE', outcome: 'not_applied', retryable: 'true' });
      expect(['BANK_UNREACHABLE', ...(refused === 0 ? ['PREPARE_TIMEOUT'] : [])]).toContain(refusal!.reason);
      expectWellWorded(refusal!);
      if (refusal!.reason === 'BANK_UNREACHABLE') refused += 1;
    }
    await payer.strife.transfers.create({ to: 'beta/bob', amount: PAID });
    expect(await released(payer.strife)).toBe(99_900n);
  });

  it('comes back with its accounts; what was refused is made under the same id', async () => {
    const id = newTransferId();
    expect(await payGammaOnce(id)).toMatchObject({ outcome: 'not_applied' });
    await cluster.service('gamma').restart();
    const payment: NewTransfer = { id, to: 'gamma/erin', amount: PAID };
    expect(await payer.strife.transfers.create(payment)).toMatchObject({ state: 'succeeded', replayed: false });
    await using erin = await cluster.login('gamma/erin', { timeoutMs: 30_000 });
    expect((await erin.balance()).posted.minorUnits).toBe(100_100n);
  });
});

describe('a second gateway', () => {
  it('joins, and takes payments of sessions that the first one made', async () => {
    await cluster.add('gateway', 'g2');
    const [first, second] = [await at('g1'), await at('g2')];
    const payment: NewTransfer = { id: newTransferId(), to: 'beta/bob', amount: PAID };
    expect(await second.transfers.create(payment)).toMatchObject({ state: 'succeeded', replayed: false });
    expect(await first.transfers.create(payment)).toMatchObject({ state: 'succeeded', replayed: true });
  });

  it('leaves by SIGTERM and comes back under load: no payment fails, and the first one goes on alone', async () => {
    const before = await payer.posted();
    const load = keepPaying(await at('g1', 'g2'), ['beta/bob', 'gamma/erin']);
    await load.untilMore(20);
    const { exited } = cluster.service('g2');
    await cluster.service('g2').kill('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
    // A gateway that has left is not waited for, however long that one takes.
    for (const endAtMs = performance.now() + 2 * REVOCATION_GRACE_MS; performance.now() < endAtMs;) await load.untilMore(1);
    await cluster.service('g2').restart();
    await (await at('g2')).transfers.create({ to: 'beta/bob', amount: PAID });
    await load.untilMore(20);
    await load.stop();
    expect(await payer.posted()).toBe(before - 100n - BigInt(load.count()));
  }, 90_000);
});

it('nobody else was restarted, and the books are clean', async () => {
  expect(processes()).toEqual(pids);
  await expectCleanBooks(cluster);
});
