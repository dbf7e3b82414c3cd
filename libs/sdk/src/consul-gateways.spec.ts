import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startConsul, type ConsulAgent } from '@strife/consul';
import { describeWithConsul } from '@strife/consul/testing';
import { connect, gatewaysFromConsul, type Strife } from './index.ts';
import { startTestGateway, TEST_PASSWORD, type TestGateway } from './testing/index.ts';

const alice = { bank: 'alpha', username: 'alice', password: TEST_PASSWORD };
/** An agent's start and its election take their time. */
const PATIENT_MS = 60_000;

it('the address of a Consul agent must be one', () => {
  for (const address of ['', 'localhost:8500', 'ftp://x']) {
    expect(() => gatewaysFromConsul({ address })).toThrow(expect.objectContaining({ name: 'InvalidArgumentError', field: 'address' }));
  }
});

it.each([['no index', {}], ['an index that is none', { 'X-Consul-Index': 'soon' }], ['an index at once', { 'X-Consul-Index': '7' }]])(
  'an agent that answers with %s is asked again after a pause', async (_which, headers) => {
    let asked = 0;
    const enough = Promise.withResolvers<number>();
    const agent = createServer((_request, response) => {
      asked += 1;
      if (asked === 5) enough.resolve(performance.now());
      response.writeHead(200, headers).end('{}');
    }).listen(0, '127.0.0.1');
    await once(agent, 'listening');
    const { port } = agent.address() as AddressInfo;
    const startedAtMs = performance.now();
    const stop = gatewaysFromConsul({ address: `http://127.0.0.1:${port}` }).watch(() => {});
    const enoughAtMs = await enough.promise;
    stop();
    agent.close();
    // Four pauses, which count from when a question is sent, not from when it arrives; timers may be a little early.
    expect(enoughAtMs - startedAtMs).toBeGreaterThan(4 * 95);
  },
);

await describeWithConsul('gateways found by a Consul agent', (program) => {
  let directory: string;
  let agent: ConsulAgent;
  let one: TestGateway;
  let two: TestGateway;
  let strife: Strife;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-sdk-consul-'));
    agent = await startConsul({ directory, program });
  }, PATIENT_MS);

  afterAll(async () => {
    await agent?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  beforeEach(async () => {
    one = await startTestGateway();
    two = await startTestGateway({ authority: one.authority, bank: one.bank });
    strife = await connect({ gateways: gatewaysFromConsul({ address: agent.address }), tls: one.tls, timeoutMs: 45_000 });
  });

  afterEach(async () => {
    await strife.close();
    for (const name of ['g1', 'g2', 'g1-sidecar-proxy']) await put(`service/deregister/strife-gateway-${name}`).catch(() => {});
    one.kill();
    two.kill();
  });

  async function put(path: string, body?: object): Promise<void> {
    const response = await fetch(`${agent.address}/v1/agent/${path}`, { method: 'PUT', body: body ? JSON.stringify(body) : null });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  }

  const register = (name: string, port: number, status = 'passing'): Promise<void> =>
    put('service/register', { Name: `strife-gateway-${name}`, Address: '127.0.0.1', Port: port, Check: { TTL: '10m', Status: status } });

  it('are waited for, and only those that pass their checks are called', async () => {
    await register('g1-sidecar-proxy', 1);
    const login = strife.login(alice);
    await register('g1', one.port, 'critical');
    await register('g2', two.port);
    await login;
    expect([one.calls, two.calls]).toEqual([[], ['login']]);
  }, PATIENT_MS);

  it('are followed: one that leaves is left for one that comes', async () => {
    await register('g1', one.port);
    await strife.login(alice);
    await register('g2', two.port);
    await put('service/deregister/strife-gateway-g1');
    while (!two.calls.includes('getAccount')) await strife.balance();
  }, PATIENT_MS);

  it('stay in use while the agent is away, and are followed again when it is back', async () => {
    await register('g1', one.port);
    await strife.login(alice);
    await agent.kill('SIGKILL');
    expect(await strife.balance()).toMatchObject({ account: 'alpha/alice' });
    await agent.restart({ empty: true });
    await register('g2', two.port);
    while (!two.calls.includes('getAccount')) await strife.balance();
  }, PATIENT_MS);
});
