// The cluster over Consul, and what breaks there: its root of all certificates is exchanged, and it, a gateway and a bank are killed.

import { X509Certificate } from 'node:crypto';
import { connect as connectTls } from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ServiceProcess } from '@strife/cluster';
import type { ConsulAgent } from '@strife/consul';
import { newTransferId } from '@strife/sdk';
import { expectCleanBooks } from '../support/books.ts';
import { exchangeRoot } from '../support/discovery.ts';
import { keepPaying, PAID_EACH } from '../support/load.ts';
import { onThisMachine } from '../support/patience.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { Person, TestCluster } from '../support/test-cluster.ts';

const PATIENT_MS = 60_000;
const PAYMENTS_A_SECOND = 500;
const BATCH = 50;
/** A machine that is too busy for the rate gets fewer payments instead of ever more at once. */
const BATCHES_IN_FLIGHT_MAX = 20;
/** Between one kill and the next, so that payments meet each state. */
const BETWEEN_KILLS_MS = 300;

let cluster: TestCluster;
let agent: ConsulAgent;
let payer: Person;
let payees: Person[];
/** Payments that were acknowledged. */
const paid = new Set<string>();

beforeAll(async () => {
  cluster = await startTestCluster({ gateways: ['g1', 'g2'], banks: ['alpha', 'beta', 'gamma'], env: { STRIFE_SETTLE_WAIT: '1s' } });
  agent = cluster.discovery.agent!;
  payer = await cluster.person('alpha', { openingMinor: 100_000_000n, timeoutMs: PATIENT_MS });
  payees = await Promise.all(['beta', 'gamma'].map((bank) => cluster.person(bank, { openingMinor: 0n, timeoutMs: PATIENT_MS })));
}, 90_000);
afterAll(() => cluster?.end(), 60_000);

/** The books are clean, and every payment that was acknowledged is in them once, on both sides, with nothing beside it. */
afterEach(async () => {
  await expectCleanBooks(cluster);
  const [sent, ...received] = await Promise.all([payer, ...payees].map(paymentsOf));
  const expected = [...paid].toSorted();
  expect(sent!.toSorted()).toEqual(expected);
  expect(received.flat().toSorted()).toEqual(expected);
  expect(await payer.posted()).toBe(100_000_000n - BigInt(paid.size) * PAID_EACH.minorUnits);
}, 60_000);

/** Their ids, as often as they are in the history. */
async function paymentsOf({ strife }: Person): Promise<string[]> {
  const ids: string[] = [];
  // An account's opening balance has nobody on the other side.
  for await (const { counterparty, transferId } of strife.history({ pageSize: 1000 })) {
    if (counterparty !== undefined && transferId !== undefined) ids.push(transferId);
  }
  return ids;
}

/** Pays all the time while something happens, and some more after it; every payment must succeed. */
async function payWhile(happen: () => Promise<void>): Promise<void> {
  const load = keepPaying(payer.strife, payees.map(({ account }) => account), { timeoutMs: PATIENT_MS });
  try {
    await load.untilMore(20);
    await happen();
    await load.untilMore(50);
  } finally {
    await load.stop();
    for (const id of load.acknowledged()) paid.add(id);
  }
}

describe('a cluster over Consul', () => {
  it('makes 500 payments a second and loses none while the root of all certificates is exchanged', async () => {
    const load = startPacedLoad();
    await delay(500);
    const newRoot = new X509Certificate((await exchangeRoot(agent)).cert);
    // An agent spreads new certificates over half a minute; one that starts anew gives them out at once.
    await agent.restart();
    const services = [...Object.values(cluster.gateways), ...Object.values(cluster.banks)];
    await Promise.all(services.map((service) => untilShows(service, newRoot)));
    await delay(1000);

    const { due, elapsedMs, failures } = await load.end();
    expect(failures).toEqual([]);
    expect(due / elapsedMs).toBeGreaterThan((0.95 * PAYMENTS_A_SECOND) / onThisMachine(1000));
    expect(paid.size).toBe(due);
  }, 120_000);

  it('goes on paying while Consul is away, and after it is back', async () => {
    await payWhile(async () => {
      await agent.kill('SIGKILL');
      await delay(2000);
      await agent.restart();
    });
  }, 90_000);

  it('goes on paying while Consul hangs, and after it goes on', async () => {
    await payWhile(async () => {
      await agent.kill('SIGSTOP');
      await delay(2000);
      await agent.kill('SIGCONT');
    });
  }, 90_000);

  it.each([
    ['Consul', 'g1', 'beta'],
    ['Consul', 'beta', 'g1'],
    ['g1', 'Consul', 'beta'],
    ['g1', 'beta', 'Consul'],
    ['beta', 'Consul', 'g1'],
    ['beta', 'g1', 'Consul'],
  ])('loses nothing and makes nothing when %s, %s and %s are killed, in this order, and come back', async (...order) => {
    await payWhile(async () => {
      for (const name of order) {
        await (name === 'Consul' ? agent.kill('SIGKILL') : cluster.service(name).kill('SIGKILL'));
        await delay(BETWEEN_KILLS_MS);
      }
      await Promise.all(order.map((name) => (name === 'Consul' ? agent.restart() : startUntilReady(cluster.service(name)))));
    });
  }, 120_000);
});

/** As a supervisor does: a service that starts while Consul is away ends, and is started again. */
async function startUntilReady(service: ServiceProcess): Promise<void> {
  while (!service.running) await service.restart().catch(() => delay(100));
}

/** Batches at a steady rate until it is ended. */
function startPacedLoad(): { end(): Promise<{ due: number; elapsedMs: number; failures: unknown[] }> } {
  const begunMs = performance.now();
  const failures: unknown[] = [];
  const running = new Set<Promise<unknown>>();
  let due = 0;
  async function payBatch(): Promise<void> {
    const payments = Array.from({ length: BATCH }, (_, index) => ({ id: newTransferId(), to: payees[index % payees.length]!.account, amount: PAID_EACH }));
    const results = await payer.strife.transfers.createMany(payments, { timeoutMs: PATIENT_MS });
    for (const result of results) {
      if (result.ok) paid.add(result.transfer.id);
      else failures.push(result.error);
    }
  }
  const timer = setInterval(() => {
    for (; due < ((performance.now() - begunMs) / 1000) * PAYMENTS_A_SECOND && running.size < BATCHES_IN_FLIGHT_MAX; due += BATCH) {
      const paying = payBatch().catch((error: unknown) => failures.push(error)).finally(() => running.delete(paying));
      running.add(paying);
    }
  }, 10);
  return {
    async end() {
      clearInterval(timer);
      const elapsedMs = performance.now() - begunMs;
      await Promise.all(running);
      return { due, elapsedMs, failures };
    },
  };
}

/** Until new connections to a service are shown a certificate of this root. */
async function untilShows({ address }: ServiceProcess, root: X509Certificate): Promise<void> {
  const tls = await cluster.discovery.certificate('client/dev');
  const [host, port] = address.split(':');
  for (;;) {
    const shown = await new Promise<Buffer>((settle, fail) => {
      const socket = connectTls({ ...tls, host, port: Number(port), ALPNProtocols: ['h2'], checkServerIdentity: () => undefined }, () => {
        settle(socket.getPeerCertificate().raw);
        socket.destroy();
      });
      socket.once('error', fail);
    });
    if (new X509Certificate(shown).verify(root.publicKey)) return;
    await delay(50);
  }
}
