// The cluster over a Consul that denies by default: each service with a token of its own, and with the intentions of the access profile.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startCluster } from '@strife/cluster';
import type { Cluster } from '@strife/cluster';
import { bootstrapAccess, startConsul } from '@strife/consul';
import type { ConsulAgent } from '@strife/consul';
import { describeWithConsul } from '@strife/consul/testing';
import { auditStores } from '@strife/storage';
import { compileCache } from '../support/compile-cache.ts';

const AMOUNT = { currency: 'EUR', minorUnits: 1250n };

await describeWithConsul('a cluster over a Consul with ACLs', (program) => {
  let root: string;
  let agent: ConsulAgent;
  let cluster: Cluster;
  const consulTokens: Record<string, string> = {};

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'strife-consul-acl-'));
    agent = await startConsul({ directory: join(root, 'agent'), program, acl: true });
    await bootstrap(['alpha', 'beta']);
    cluster = await startCluster({ root, gateways: ['g1', 'g2'], banks: ['alpha', 'beta'], consulAddress: agent.address, consulTokens, env: compileCache });
  }, 60_000);

  afterAll(async () => {
    await cluster?.stop();
    await agent?.stop();
    await rm(root, { recursive: true, force: true });
  }, 60_000);

  async function bootstrap(banks: readonly string[]): Promise<void> {
    const { files } = await bootstrapAccess({ address: agent.address, token: agent.token, directory: join(root, 'tokens'), gateways: ['g1', 'g2'], banks, agents: [] });
    for (const [name, file] of Object.entries(files)) consulTokens[name] = (await readFile(file, 'utf8')).trim();
  }

  it('pays across banks, each service with its own token', async () => {
    const [alice, bob] = [await cluster.login('alpha/alice'), await cluster.login('beta/bob')];
    const before = (await bob.balance()).posted.minorUnits;
    await expect(alice.transfers.create({ to: 'beta/bob', amount: AMOUNT })).resolves.toMatchObject({ state: 'succeeded' });
    expect((await bob.balance()).posted.minorUnits).toBe(before + AMOUNT.minorUnits);
    await Promise.all([alice.close(), bob.close()]);
    const file = (name: string): string => join(cluster.directories.data, `${name}.sqlite`);
    expect(auditStores({ banks: ['bank-alpha', 'bank-beta'].map(file), gateways: ['gateway-g1', 'gateway-g2'].map(file) })).toMatchObject({ ok: true, violations: [] });
  });

  it('takes a new bank that the profile was extended by, with nothing restarted', async () => {
    await bootstrap(['alpha', 'beta', 'gamma']);
    await cluster.add('bank', 'gamma');
    const carol = await cluster.login('alpha/carol', { timeoutMs: 30_000 });
    await expect(carol.transfers.create({ to: 'gamma/erin', amount: AMOUNT })).resolves.toMatchObject({ state: 'succeeded' });
    await carol.close();
  }, 60_000);

  it.each([
    ['gateway', 'g3', 'strife-bank-alpha'],
    ['bank', 'delta', 'strife-gateway-g1'],
    ['bank', 'delta', 'strife-bank-alpha'],
  ] as const)('does not start %s %s with the token of %s, and says which right lacks', async (role, name, owner) => {
    consulTokens[`strife-${role}-${name}`] = consulTokens[owner]!;
    await expect(cluster.add(role, name)).rejects.toThrow(`consul: this token may not have the certificate of strife-${role}-${name} (service:write)`);
  });
});
