// The stores behind a cluster, read from outside while the services run: what they hold, and whether it adds up.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '@jest/globals';
import type { Cluster } from '@strife/cluster';
import { auditStores } from '@strife/storage';
import type { AuditReport } from '@strife/storage';

/** Nothing may stay in doubt for longer than this once all services are up. */
const IN_DOUBT_MAX_MS = 1000;

/** Waits until nothing is in doubt and expects every invariant to hold. */
export async function expectCleanBooks(cluster: Pick<Cluster, 'banks' | 'gateways' | 'directories'>): Promise<void> {
  const { ok, inDoubt, violations } = await settledAudit(cluster);
  expect({ ok, inDoubt, violations }).toEqual({ ok: true, inDoubt: 0, violations: [] });
}

async function settledAudit(cluster: Pick<Cluster, 'banks' | 'gateways' | 'directories'>): Promise<AuditReport> {
  const endAtMs = performance.now() + IN_DOUBT_MAX_MS;
  for (;;) {
    const report = auditStores(storesOf(cluster));
    if ((report.ok && report.inDoubt === 0) || performance.now() > endAtMs) return report;
    await delay(50);
  }
}

/** For each store and each of its tables, the number of rows and a digest: equal before and after means that nothing was written. */
export function storeContents(cluster: Pick<Cluster, 'banks' | 'gateways' | 'directories'>): Record<string, Record<string, string>> {
  const { banks, gateways } = storesOf(cluster);
  return Object.fromEntries([...banks, ...gateways].map((file) => [file, tablesOf(file)]));
}

function storesOf({ banks, gateways, directories }: Pick<Cluster, 'banks' | 'gateways' | 'directories'>): { banks: string[]; gateways: string[] } {
  return {
    banks: Object.keys(banks).map((name) => join(directories.data, `bank-${name}.sqlite`)),
    gateways: Object.keys(gateways).map((name) => join(directories.data, `gateway-${name}.sqlite`)),
  };
}

function tablesOf(file: string): Record<string, string> {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
    return Object.fromEntries(tables.map(({ name }) => [String(name), digestOf(database, String(name))]));
  } finally {
    database.close();
  }
}

function digestOf(database: DatabaseSync, table: string): string {
  const digest = createHash('sha256');
  const statement = database.prepare(`SELECT * FROM "${table}"`);
  statement.setReadBigInts(true);
  let rows = 0;
  for (const row of statement.iterate()) {
    rows += 1;
    digest.update(JSON.stringify(Object.values(row).map((value) => (ArrayBuffer.isView(value) ? Buffer.from(value as Uint8Array).toString('hex') : String(value)))));
  }
  return `${rows} rows ${digest.digest('hex').slice(0, 16)}`;
}
