// The stores behind a cluster, read from outside while the services run: what they hold, and whether it adds up.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect } from '@jest/globals';
import type { Cluster } from '@strife/cluster';
import type { Strife } from '@strife/sdk';
import { auditStores } from '@strife/storage';
import type { AuditReport } from '@strife/storage';
import { onThisMachine } from './patience.ts';

/** Nothing may stay in doubt for longer than this once all services are up. */
const IN_DOUBT_MAX_MS = 1000;
/** What was held for an attempt that has ended is released within this. */
const RELEASED_MAX_MS = 5000;
/** What services write a moment after they have answered is written when so many looks, one each 50 ms, find nothing new. */
const QUIET_LOOKS = 5;

/** Waits until nothing is in doubt and expects every invariant to hold. */
export async function expectCleanBooks(cluster: Pick<Cluster, 'banks' | 'gateways' | 'directories'>): Promise<void> {
  const { ok, inDoubt, violations } = await settledAudit(cluster);
  expect({ ok, inDoubt, violations }).toEqual({ ok: true, inDoubt: 0, violations: [] });
}

async function settledAudit(cluster: Pick<Cluster, 'banks' | 'gateways' | 'directories'>): Promise<AuditReport> {
  const endAtMs = performance.now() + onThisMachine(IN_DOUBT_MAX_MS);
  for (;;) {
    const report = auditStores(storesOf(cluster));
    if ((report.ok && report.inDoubt === 0) || performance.now() > endAtMs) return report;
    await delay(50);
  }
}

/**
 * What a person has, in minor units, once nothing of it is held: whoever is told that an attempt was given up is told so before the bank is,
 * and a bank that was away takes up late messages, and is told how they ended, a moment after it is back.
 */
export async function released(person: Strife): Promise<bigint> {
  for (const endAtMs = performance.now() + onThisMachine(RELEASED_MAX_MS); ; await delay(20)) {
    const { held, posted } = await person.balance();
    if (held.minorUnits === 0n) return posted.minorUnits;
    if (performance.now() > endAtMs) expect(held.minorUnits).toBe(0n);
  }
}

/** As `storeContents`, once nothing is in doubt and nothing is written any more. */
export async function quietStoreContents(cluster: Pick<Cluster, 'banks' | 'gateways' | 'directories'>): Promise<Record<string, Record<string, string>>> {
  await expectCleanBooks(cluster);
  let contents = storeContents(cluster);
  for (let unchanged = 0; unchanged < QUIET_LOOKS;) {
    await delay(50);
    const now = storeContents(cluster);
    unchanged = isDeepStrictEqual(now, contents) ? unchanged + 1 : 0;
    contents = now;
  }
  return contents;
}

/**
 * For each store and each of its tables, the number of rows and a digest: equal before and after means that nothing was written.
 * Without the sessions that logins write, and the mark that counts all writes: tests log in to make the calls that must write nothing.
 */
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
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('sessions', 'mark') ORDER BY name").all();
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
