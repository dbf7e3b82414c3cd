// The first figure: durable payments between two banks a second, through the batch RPC, over mutual TLS, on this machine.
//
//   npm run bench -- [--seconds 10] [--callers 8] [--batch 1000] [--json]
//
// Gateway, banks and load generator are processes of their own; every payment that counts was acknowledged as settled or
// decided durably (SQLite, synchronous FULL), and the books are audited afterwards: a run that does not add up is no result.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { seedUser, startCluster } from '@strife/cluster';
import type { Cluster } from '@strife/cluster';
import type { Strife } from '@strife/sdk';
import { auditStores } from '@strife/storage';
import Table from 'cli-table3';

interface Settings {
  readonly seconds: number;
  readonly callers: number;
  readonly batchItems: number;
  readonly wait: 'decided' | 'settled';
}

interface Figures {
  readonly payments: number;
  readonly seconds: number;
  readonly paymentsPerSecond: number;
  readonly failures: Record<string, number>;
  readonly batchMs: { p50: number; p99: number };
}

const OPENING_MINOR = 10n ** 15n;

function readSettings(): Settings & { json: boolean } {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '10' },
      callers: { type: 'string', default: '8' },
      batch: { type: 'string', default: '1000' },
      wait: { type: 'string', default: 'settled' },
      json: { type: 'boolean', default: false },
    },
  });
  const number = (name: 'seconds' | 'callers' | 'batch', most: number): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1 || value > most) fail(`--${name}: must be a whole number from 1 to ${most}`);
    return value;
  };
  if (values.wait !== 'decided' && values.wait !== 'settled') fail('--wait: must be decided or settled');
  return { seconds: number('seconds', 600), callers: number('callers', 64), batchItems: number('batch', 1000), wait: values.wait, json: values.json };
}

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(2);
}

/** Every caller pays from an account of its own, so that no account is hotter than the batch makes it. */
async function pay(cluster: Cluster, { seconds, callers, batchItems, wait }: Settings): Promise<Figures> {
  const clients = await Promise.all(Array.from({ length: callers }, (_, index) => cluster.login(`alpha/payer${index}`, { timeoutMs: 30_000 })));
  try {
    await Promise.all(clients.map((client, index) => payBatch(client, index, batchItems, wait, new Map())));
    const batchMs: number[] = [];
    const failures = new Map<string, number>();
    let payments = 0;
    const startedAt = performance.now();
    const endAt = startedAt + seconds * 1000;
    await Promise.all(
      clients.map(async (client, index) => {
        while (performance.now() < endAt) {
          const sentAt = performance.now();
          const paid = await payBatch(client, index, batchItems, wait, failures);
          payments += paid;
          batchMs.push(performance.now() - sentAt);
        }
      }),
    );
    const elapsed = (performance.now() - startedAt) / 1000;
    batchMs.sort((one, other) => one - other);
    const quantile = (share: number): number => Math.round(batchMs[Math.min(batchMs.length - 1, Math.floor(batchMs.length * share))] ?? 0);
    return {
      payments, seconds: elapsed, paymentsPerSecond: Math.round(payments / elapsed),
      failures: Object.fromEntries(failures), batchMs: { p50: quantile(0.5), p99: quantile(0.99) },
    };
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

async function payBatch(client: Strife, caller: number, items: number, wait: Settings['wait'], failures: Map<string, number>): Promise<number> {
  const amount = { currency: 'EUR', minorUnits: 1n };
  const results = await client.transfers.createMany(Array.from({ length: items }, (_, item) => ({ to: `beta/payee${(caller + item) % 16}`, amount, wait })));
  for (const result of results) if (!result.ok) failures.set(result.error.code, (failures.get(result.error.code) ?? 0) + 1);
  return results.filter((result) => result.ok).length;
}

async function main(): Promise<number> {
  const settings = readSettings();
  await mkdir('tmp', { recursive: true });
  const root = await mkdtemp(join('tmp', 'bench-'));
  const users = {
    alpha: Array.from({ length: settings.callers }, (_, index) => seedUser(`payer${index}`, { openingMinor: OPENING_MINOR })),
    beta: Array.from({ length: 16 }, (_, index) => seedUser(`payee${index}`, { openingMinor: 0n })),
  };
  const cluster = await startCluster({ root, users });
  let figures: Figures;
  try {
    figures = await pay(cluster, settings);
  } finally {
    await cluster.stop();
  }
  const { data } = cluster.directories;
  const audit = auditStores({ banks: ['alpha', 'beta'].map((bank) => join(data, `bank-${bank}.sqlite`)), gateways: [join(data, 'gateway-g1.sqlite')] });
  if (settings.json) process.stdout.write(`${JSON.stringify({ version: 1, settings, figures, audit: { ok: audit.ok, inDoubt: audit.inDoubt } })}\n`);
  else print(settings, figures, audit);
  if (audit.ok && audit.inDoubt === 0) await rm(root, { recursive: true });
  return audit.ok && figures.payments > 0 ? 0 : 1;
}

function print(settings: Settings, figures: Figures, audit: ReturnType<typeof auditStores>): void {
  const table = new Table({ head: ['payments/s', 'payments', 'seconds', 'batch p50 ms', 'batch p99 ms', 'failures', 'audit'], style: { head: [], border: [] } });
  const failures = Object.entries(figures.failures).map(([code, count]) => `${code} ${count}`).join(', ') || 'none';
  table.push([
    figures.paymentsPerSecond, figures.payments, figures.seconds.toFixed(1), figures.batchMs.p50, figures.batchMs.p99, failures,
    audit.ok ? `clean, ${audit.inDoubt} in doubt` : `BROKEN: ${audit.violations[0]?.message}`,
  ]);
  process.stdout.write(`${settings.callers} callers, ${settings.batchItems} payments a call, wait ${settings.wait}\n${table.toString()}\n`);
}

process.exitCode = await main();
