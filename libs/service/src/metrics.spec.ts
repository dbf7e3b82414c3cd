// Metrics: what is counted, and the port that shows it.

import { createConnection, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from '@jest/globals';
import { Gauge, Registry, rpcError, serveMetrics, Status, type MetricsServer } from './index.ts';
import { startLocalServer } from './local-server.spec-kit.ts';

const HOST = '127.0.0.1';
let shown: MetricsServer | undefined;

afterEach(() => shown?.close());

async function show(registry: Registry): Promise<string> {
  shown = await serveMetrics({ registry, host: HOST, port: 0 });
  return shown.url;
}

it('counts and times calls by method and status', async () => {
  const metrics = new Registry();
  const bank = await startLocalServer({
    metrics,
    handlers: {
      listEntries: () => Promise.reject(rpcError({ code: Status.NOT_FOUND, message: 'account: none', reason: 'NO_SUCH_ACCOUNT' })),
      getTransfer: () => Promise.reject(new Error('a bug')),
    },
  });
  const client = await bank.bank();
  for (let call = 0; call < 3; call += 1) await client.getAccount({});
  await client.listEntries({}).catch(() => undefined);
  await client.getTransfer({}).catch(() => undefined);
  await bank.close();
  const text = await (await fetch(await show(metrics))).text();
  const service = '/strife.bank.v1.BankService';
  expect(text).toContain(`strife_rpc_total{method="${service}/GetAccount",status="OK"} 3\n`);
  expect(text).toContain(`strife_rpc_total{method="${service}/ListEntries",status="NOT_FOUND"} 1\n`);
  expect(text).toContain(`strife_rpc_total{method="${service}/GetTransfer",status="INTERNAL"} 1\n`);
  expect(text).toContain(`strife_rpc_duration_seconds_count{method="${service}/GetAccount",status="OK"} 3\n`);
  expect(text).toContain(`strife_rpc_duration_seconds_bucket{le="+Inf",method="${service}/GetAccount",status="OK"} 3\n`);
});

it('shows the process and its event loop, and nothing but metrics', async () => {
  const url = await show(new Registry());
  const response = await fetch(url);
  expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
  const text = await response.text();
  for (const name of ['nodejs_eventloop_lag_p99_seconds', 'process_resident_memory_bytes', 'process_cpu_seconds_total']) expect(text).toContain(`\n${name} `);
  expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
  expect((await fetch(url, { method: 'POST' })).status).toBe(405);
  expect((await fetch(new URL('/', url))).status).toBe(404);
});

it('answers 500 in one line for a gauge that cannot be read, and goes on', async () => {
  const registry = new Registry();
  let isBroken = true;
  const broken = new Gauge({
    name: 'g', help: 'g', registers: [registry],
    collect() {
      if (isBroken) throw new Error('the store has failed');
      this.set(1);
    },
  });
  expect(registry.getSingleMetric('g')).toBe(broken);
  const url = await show(registry);
  const response = await fetch(url);
  expect([response.status, await response.text()]).toEqual([500, 'metrics cannot be read: the store has failed\n']);
  isBroken = false;
  expect((await fetch(url)).status).toBe(200);
});

it('says in one line at start that its port is in use', async () => {
  const other = createServer().listen(0, HOST);
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  await expect(serveMetrics({ registry: new Registry(), host: HOST, port })).rejects.toMatchObject({
    name: 'StartupError', message: `metrics port ${port} on ${HOST} is in use`,
  });
  await new Promise((resolve) => other.close(resolve));
});

it('stops at once, whoever is still connected', async () => {
  const { port } = new URL(await show(new Registry()));
  const idle = createConnection({ host: HOST, port: Number(port) });
  idle.on('error', () => undefined);
  await new Promise((resolve) => idle.once('connect', resolve));
  const ended = new Promise((resolve) => idle.once('close', resolve));
  await shown!.close();
  await shown!.close();
  await ended;
});
