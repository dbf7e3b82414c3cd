// The cluster over a real Consul agent: it finds itself there, gets its certificates from Connect, and outlives what breaks.

import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startCluster } from '@strife/cluster';
import type { Cluster } from '@strife/cluster';
import { startConsul } from '@strife/consul';
import type { ConsulAgent } from '@strife/consul';
import { describeWithConsul } from '@strife/consul/testing';
import type { Strife } from '@strife/sdk';
import { auditStores } from '@strife/storage';
import { compileCache } from '../support/compile-cache.ts';

const AMOUNT = { currency: 'EUR', minorUnits: 2n };
const PAYMENTS_A_BATCH = 50;
const TIMEOUT_MS = 30_000;

await describeWithConsul('a cluster over Consul', (program) => {
  let root: string;
  let agent: ConsulAgent;
  let cluster: Cluster;
  let alice: Strife;
  let applied = 0;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'strife-consul-'));
    agent = await startConsul({ directory: join(root, 'agent'), program });
    cluster = await startCluster({
      root, gateways: ['g1', 'g2'], banks: ['alpha', 'beta', 'gamma'], consulAddress: agent.address, env: compileCache,
    });
    alice = await cluster.login('alpha/alice', { timeoutMs: TIMEOUT_MS });
  }, 60_000);

  afterAll(async () => {
    await alice?.close();
    await cluster?.stop();
    await agent?.stop();
    await rm(root, { recursive: true, force: true });
  }, 60_000);

  /** Pays once a batch is through, again and again, while `happen` runs; every payment must succeed. */
  async function payWhile(happen: () => Promise<void>): Promise<number> {
    let isOver = false;
    let paid = 0;
    const paying = (async () => {
      while (!isOver) {
        const results = await alice.transfers.createMany(Array.from({ length: PAYMENTS_A_BATCH }, () => ({ to: 'beta/bob', amount: AMOUNT })));
        expect(results.filter(({ ok }) => !ok)).toEqual([]);
        paid += results.length;
      }
    })();
    try {
      await happen();
    } finally {
      isOver = true;
      await paying;
      applied += paid;
    }
    return paid;
  }

  /** Nothing is lost or made; waits until nothing is in doubt, at most a second. */
  async function expectCleanBooks(): Promise<void> {
    const file = (name: string): string => join(cluster.directories.data, `${name}.sqlite`);
    const files = { banks: ['bank-alpha', 'bank-beta', 'bank-gamma'].map(file), gateways: ['gateway-g1', 'gateway-g2'].map(file) };
    const endAt = performance.now() + 1000;
    let report = auditStores(files);
    while (report.inDoubt > 0 && performance.now() < endAt) {
      await delay(50);
      report = auditStores(files);
    }
    expect(report).toMatchObject({ ok: true, inDoubt: 0, violations: [] });
    expect((await alice.balance()).posted.minorUnits).toBe(100_000n - BigInt(applied) * AMOUNT.minorUnits);
  }

  it('pays across banks', async () => {
    await alice.transfers.create({ to: 'beta/bob', amount: AMOUNT });
    await alice.transfers.create({ to: 'gamma/erin', amount: AMOUNT });
    applied += 2;
    await expectCleanBooks();
  });

  it('loses no payment while the root of all certificates is exchanged', async () => {
    const paid = await payWhile(async () => {
      const PrivateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'sec1', format: 'pem' });
      const Config = { PrivateKey, RootCert: '', LeafCertTTL: '72h', IntermediateCertTTL: '8760h', RotationPeriod: '2160h' };
      const answer = await fetch(`${agent.address}/v1/connect/ca/configuration`, { method: 'PUT', body: JSON.stringify({ Provider: 'consul', Config }) });
      expect(answer.ok).toBe(true);
      await delay(3000);
    });
    expect(paid).toBeGreaterThan(PAYMENTS_A_BATCH);
    await expectCleanBooks();
  }, 60_000);

  it('goes on paying while Consul is away, and after it is back', async () => {
    await payWhile(async () => {
      await agent.kill('SIGKILL');
      await delay(2000);
      await agent.restart();
      await delay(1000);
    });
    await expectCleanBooks();
  }, 60_000);

  it('loses nothing when a gateway and then a bank are killed, and takes them back', async () => {
    for (const name of ['g1', 'beta']) {
      await payWhile(async () => {
        await delay(300);
        await cluster.service(name).kill('SIGKILL');
        await delay(500);
        await cluster.service(name).restart();
        await delay(500);
      });
    }
    await expectCleanBooks();
  }, 90_000);
});
