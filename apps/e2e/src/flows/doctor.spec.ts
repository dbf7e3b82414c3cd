// `strife doctor` against real services: all well, and each thing that it is there to find.

import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createAuthority, spiffeUri } from '@strife/certs';
import { describeOverConsul, isOverConsul } from '../support/discovery.ts';
import { documentsOf, strifeCommand } from '../support/strife-command.ts';
import type { StrifeCommand } from '../support/strife-command.ts';
import { passwordOf, startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';

interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warning' | 'failure';
  readonly detail: string;
}

const DATE = /valid until \d{4}-\d\d-\d\dT[\d:.]+Z/;

let cluster: TestCluster;
let strife: StrifeCommand;

beforeAll(async () => {
  cluster = await startTestCluster();
  const home = join(cluster.root, 'homes', 'alice');
  await mkdir(home, { recursive: true });
  strife = strifeCommand({ home, profileFile: cluster.profileFile });
  expect(await strife(['login', 'alpha', 'alice'], { env: { STRIFE_PASSWORD: passwordOf('alice') } })).toMatchObject({ code: 0 });
}, 120_000);
afterAll(() => cluster?.end());

/** The findings, by what was looked at, without addresses. */
async function findings(...args: string[]): Promise<{ code: number | null; found: Record<string, Finding> }> {
  const result = await strife(['doctor', '--json', ...args]);
  expect(result.stderr).toBe('');
  const { doctor } = documentsOf(result)[0] as { doctor: { healthy: boolean; findings: Finding[] } };
  expect([result.code, doctor.healthy]).toEqual(doctor.findings.some(({ status }) => status === 'failure') ? [1, false] : [0, true]);
  return { code: result.code, found: Object.fromEntries(doctor.findings.map((finding) => [finding.check, finding])) };
}

/** How the gateway is called in the findings. */
function gatewayCheck(): string {
  return isOverConsul ? 'service strife-gateway-g1' : `gateway ${cluster.service('g1').address}`;
}

describe('a cluster that works', () => {
  it('has nothing wrong: certificates with their dates, the session, the queue, gateways, stores', async () => {
    const { code, found } = await findings();
    expect(Object.values(found).filter(({ status }) => status === 'failure')).toEqual([]);
    expect(code).toBe(0);
    expect(found['certificate client/dev']).toMatchObject({ status: 'ok', detail: expect.stringMatching(DATE) });
    expect(found['session']).toMatchObject({ status: 'ok', detail: expect.stringMatching(/^alpha\/alice, until /) });
    expect(found[gatewayCheck()]).toMatchObject({ status: 'ok' });
    expect(found[`${gatewayCheck()}: certificate`]).toMatchObject({ status: 'ok', detail: expect.stringMatching(DATE) });
    for (const store of ['bank-alpha', 'bank-beta', 'gateway-g1']) expect(found[`store ${store}.sqlite`]).toMatchObject({ status: 'ok', detail: expect.stringContaining('writable') });
    const forAPerson = await strife(['doctor']);
    expect(forAPerson).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok {4}certificate client\/dev: /), stderr: 'Nothing is in the way of a payment.\n' });
  });

  it('and another authority: the certificate that does not fit is named', async () => {
    const folder = join(cluster.root, 'wrong-certs');
    await mkdir(folder, { recursive: true });
    const authority = await createAuthority();
    const { cert, key, ca } = await authority.issue({ uris: [spiffeUri('client/dev')] });
    await Promise.all([writeFile(join(folder, 'client-dev.pem'), cert), writeFile(join(folder, 'client-dev.key'), key), writeFile(join(folder, 'ca.pem'), ca)]);
    const { found } = await findings('--certs-dir', folder);
    expect(found[gatewayCheck()] ?? found[`${gatewayCheck()}: certificate`]).toMatchObject({ status: 'failure', detail: expect.stringMatching(/certificate|issuer/) });
    // The right authority for the gateway, and a certificate that the gateway does not take.
    await writeFile(join(folder, 'ca.pem'), await readFile(join(cluster.directories.certs, 'ca.pem')));
    const refused = await findings('--certs-dir', folder);
    expect(refused.code).toBe(1);
  });

  it('and the key of another certificate', async () => {
    const folder = join(cluster.root, 'wrong-key');
    await cp(cluster.directories.certs, folder, { recursive: true });
    const { key } = await (await createAuthority()).issue({ uris: [spiffeUri('client/dev')] });
    await writeFile(join(folder, 'client-dev.key'), key);
    const { found } = await findings('--certs-dir', folder);
    expect(found['certificate client/dev']).toMatchObject({ status: 'failure', detail: 'the private key is of another certificate' });
  });

  it('and something else at the address of a gateway', async () => {
    const { address } = cluster.service('alpha');
    const { found } = await findings('--gateways', address);
    expect(found[`gateway ${address}: certificate`]).toMatchObject({ status: 'failure', detail: expect.stringContaining('it is not a gateway') });
  });
});

describe('a store', () => {
  const store = (): string => join(cluster.directories.data, 'bank-beta.sqlite');

  afterEach(() => chmod(store(), 0o600));

  it('that is read-only is named', async () => {
    await chmod(store(), 0o400);
    const { found } = await findings();
    expect(found['store bank-beta.sqlite']).toMatchObject({ status: 'failure', detail: expect.stringContaining('cannot be written') });
    expect(found['store bank-alpha.sqlite']).toMatchObject({ status: 'ok' });
  });
});

describeOverConsul('Consul', 'there is no agent without it', () => {
  it('is reachable, is an authority, and lists every service with its certificate', async () => {
    const { found } = await findings();
    expect(found[`consul ${cluster.discovery.agent!.address}`]).toMatchObject({ status: 'ok', detail: expect.stringMatching(/^leader .+:\d+$/) });
    expect(found['consul: certificate authority']).toMatchObject({ status: 'ok', detail: expect.stringMatching(DATE) });
    for (const service of ['strife-gateway-g1', 'strife-bank-alpha', 'strife-bank-beta']) {
      expect(found[`service ${service}`]).toMatchObject({ status: 'ok', detail: expect.stringContaining('is passing') });
      expect(found[`service ${service}: certificate`]).toMatchObject({ status: 'ok', detail: expect.stringMatching(DATE) });
    }
  });

  it('that does not answer is named', async () => {
    const { found } = await findings('--consul-addr', 'http://127.0.0.1:1');
    expect(found['consul http://127.0.0.1:1']).toMatchObject({ status: 'failure', detail: expect.stringContaining('no answer') });
  });

  it('lists a service that is critical as failing', async () => {
    const { pid } = cluster.service('beta');
    process.kill(pid, 'SIGSTOP');
    try {
      let status: string | undefined;
      // Its time to live ends some seconds later.
      while (status !== 'failure') status = (await findings()).found['service strife-bank-beta']?.status;
      const { found } = await findings();
      expect(found['service strife-bank-beta']).toMatchObject({ status: 'failure', detail: expect.stringContaining('is critical') });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    while ((await findings()).code !== 0);
  });
});

describe('a gateway that is down', () => {
  it('is named, and the session is not blamed for it', async () => {
    const { address } = cluster.service('g1');
    await cluster.service('g1').stop();
    const { code, found } = await findings('--gateways', address);
    expect(code).toBe(1);
    expect(found[`gateway ${address}`]).toMatchObject({ status: 'failure', detail: expect.stringContaining('no answer') });
    expect(found['session']).toMatchObject({ status: 'ok', detail: expect.stringContaining('no gateway could be asked') });
    const unlisted = await findings();
    expect(unlisted.code).toBe(1);
    expect(Object.values(unlisted.found).filter(({ status }) => status === 'failure')).toMatchObject([{ detail: expect.stringMatching(/registered/) }]);
    await cluster.service('g1').restart();
    while ((await findings()).code !== 0);
  });
});
