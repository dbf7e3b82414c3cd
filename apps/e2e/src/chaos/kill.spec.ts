// SIGKILL in the middle of a payment loop: gateway, payer's bank, payee's bank. Real processes, real files, real TLS.

import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { startCluster } from '@strife/cluster';
import type { Cluster } from '@strife/cluster';
import { newTransferId, StrifeError, TransferDeclinedError } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import { auditStores } from '@strife/storage';
import { seededRandom } from './seeded-random.ts';

const PAYMENTS = 200;
const CALLERS = 8;
const KILLS = 3;
const AMOUNT = { currency: 'EUR', minorUnits: 7n };
/** Longer than a restart of any one service takes. */
const PAYMENT_TIMEOUT_MS = 30_000;

let root: string;
let cluster: Cluster | undefined;

afterEach(async () => {
  await cluster?.stop();
  await rm(root, { recursive: true, force: true });
});

/** Pays with one id until the outcome is certain; true when it was applied. */
async function payForSure(strife: Strife, id: string): Promise<boolean> {
  for (;;) {
    try {
      await strife.transfers.create({ id, to: 'beta/bob', amount: AMOUNT, timeoutMs: PAYMENT_TIMEOUT_MS });
      return true;
    } catch (error) {
      if (error instanceof TransferDeclinedError) return false;
      if (!(error instanceof StrifeError) || !error.retryable) throw error;
    }
  }
}

async function settledBooks(running: Cluster): Promise<ReturnType<typeof auditStores>> {
  const files = {
    banks: ['alpha', 'beta'].map((bank) => join(running.directories.data, `bank-${bank}.sqlite`)),
    gateways: [join(running.directories.data, 'gateway-g1.sqlite')],
  };
  // Nothing may stay in doubt for longer than a second after the last service is ready.
  const endAt = performance.now() + 1000;
  for (;;) {
    const report = auditStores(files);
    if ((report.ok && report.inDoubt === 0) || performance.now() > endAt) return report;
    await delay(50);
  }
}

describe.each([
  ['the gateway', 'g1'],
  ["the payer's bank", 'alpha'],
  ["the payee's bank", 'beta'],
])('killing %s', (_name, victim) => {
  it(`loses nothing and makes nothing in ${PAYMENTS} payments`, async () => {
    const seed = Number(process.env['STRIFE_SEED_NUMBER'] ?? randomInt(2 ** 31));
    const random = seededRandom(seed).next;
    root = await mkdtemp(join(tmpdir(), 'strife-kill-'));
    cluster = await startCluster({ root });
    const strife = await cluster.login('alpha/alice', { timeoutMs: PAYMENT_TIMEOUT_MS });
    const bob = await cluster.login('beta/bob', { timeoutMs: PAYMENT_TIMEOUT_MS });

    let started = 0;
    let applied = 0;
    let ended = 0;
    const callers = Array.from({ length: CALLERS }, async () => {
      while (started < PAYMENTS) {
        started += 1;
        if (await payForSure(strife, newTransferId())) applied += 1;
        ended += 1;
      }
    });
    const service = cluster.service(victim);
    const killer = (async () => {
      for (let kill = 1; kill <= KILLS; kill += 1) {
        const progress = Math.floor((PAYMENTS * kill) / (KILLS + 1));
        while (ended < progress && ended < PAYMENTS) await delay(1);
        await delay(random() * 20);
        await service.kill('SIGKILL');
        await delay(random() * 300);
        await service.restart();
      }
    })();
    await Promise.all([...callers, killer]);

    const report = await settledBooks(cluster);
    const told = `seed ${seed}`;
    expect([told, report.violations]).toEqual([told, []]);
    expect([told, report.inDoubt]).toEqual([told, 0]);
    const moved = BigInt(applied) * AMOUNT.minorUnits;
    expect([told, applied]).toEqual([told, PAYMENTS]);
    expect([told, (await strife.balance()).available.minorUnits, (await bob.balance()).available.minorUnits]).toEqual([told, 100_000n - moved, 100_000n + moved]);
    await Promise.all([strife.close(), bob.close()]);
  }, 120_000);
});
