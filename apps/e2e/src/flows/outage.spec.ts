// Services that are down, stuck, stopped or moved: callers hear in time what is true, and no money is lost or left held.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ServiceProcess } from '@strife/cluster';
import { newTransferId, UnavailableError } from '@strife/sdk';
import type { NewTransfer, Strife } from '@strife/sdk';
import { SessionServiceDefinition, TransferServiceDefinition } from '@strife/stubs/gateway';
import type { SessionServiceClient, TransferServiceClient } from '@strife/stubs/gateway';
import { expectCleanBooks, released } from '../support/books.ts';
import { bearer } from '../support/callers.ts';
import { isOverConsul } from '../support/discovery.ts';
import { onThisMachine } from '../support/patience.ts';
import { expectWellWorded, refusalOf } from '../support/refusal.ts';
import { runService, serviceArgs } from '../support/service-run.ts';
import { strifeCommand } from '../support/strife-command.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';

const PREPARE_TIMEOUT_MS = 500;
/** What a refusal may take beyond the time that banks have to vote. */
const MARGIN_MS = 1500;
/** A killed service is gone from the registry within this. Consul counts from the last sign of life, and tells a moment later. */
const GONE_MAX_MS = isOverConsul ? 1500 : 1000;
/** Longer than a restart of any one service takes. */
const PATIENT_MS = 30_000;

let cluster: TestCluster;
let gateway: ServiceProcess;
let alice: Strife;
let bob: Strife;
let sessions: SessionServiceClient;
let transfers: TransferServiceClient;

beforeAll(async () => {
  cluster = await startTestCluster({ prepareTimeoutMs: PREPARE_TIMEOUT_MS });
  gateway = cluster.service('g1');
  alice = await cluster.login('alpha/alice', { timeoutMs: PATIENT_MS });
  bob = await cluster.login('beta/bob', { timeoutMs: PATIENT_MS });
  sessions = await cluster.callers.client(SessionServiceDefinition, gateway.address, 'client/dev');
  transfers = await cluster.callers.client(TransferServiceDefinition, gateway.address, 'client/dev');
}, 60_000);
afterAll(async () => {
  await Promise.all([alice?.close(), bob?.close()]);
  await cluster?.end();
});

const eur = (minorUnits: bigint) => ({ currency: 'EUR', minorUnits });

/** One payment of 1.00 EUR from alice to bob, sent once. */
function payOnce(id: string, to = { bank: 'beta', account: 'bob' }) {
  return transfers.createTransfer({ id, to, amount: eur(100n) }, { metadata: bearer(alice.session!.token) });
}

async function balances(): Promise<[bigint, bigint]> {
  return await Promise.all([released(alice), released(bob)]);
}

/** Until the registry has noticed; the gateway notices about then. */
async function untilRegistered(service: 'bank' | 'gateway', id: string, present: boolean): Promise<void> {
  const registry = await cluster.discovery.openRegistry();
  const seen = Promise.withResolvers<void>();
  registry.watch(service, (instances) => {
    if (instances.some((instance) => instance.id === id) === present) seen.resolve();
  });
  await seen.promise;
  await registry.close();
}

describe.each([
  ["the payer's bank", 'alpha'],
  ["the payee's bank", 'beta'],
])('%s is down', (_name, bank) => {
  it('a moment ago: not applied, said in time; the same id works after the restart', async () => {
    const before = await balances();
    const id = newTransferId();
    await cluster.service(bank).kill('SIGKILL');
    const startedAtMs = performance.now();
    const refusal = await refusalOf(payOnce(id));
    expect(performance.now() - startedAtMs).toBeLessThan(PREPARE_TIMEOUT_MS + onThisMachine(MARGIN_MS));
    expect(refusal).toMatchObject({ status: 'UNAVAILABLE', outcome: 'not_applied', retryable: 'true', transferId: id });
    expect(['BANK_UNREACHABLE', 'PREPARE_TIMEOUT']).toContain(refusal.reason);
    expectWellWorded(refusal);

    await cluster.service(bank).restart();
    expect(await alice.transfers.create({ id, to: 'beta/bob', amount: eur(100n) })).toMatchObject({ state: 'succeeded', replayed: false });
    expect(await balances()).toEqual([before[0] - 100n, before[1] + 100n]);
  });

  it('for long: refused at once, logins and reads too; other banks go on; the same id works after the restart', async () => {
    const before = await balances();
    const id = newTransferId();
    await cluster.service(bank).kill('SIGKILL');
    await untilRegistered('bank', bank, false);
    while ((await refusalOf(payOnce(id))).reason !== 'BANK_UNREACHABLE') await delay(20);
    const startedAtMs = performance.now();
    for (let time = 0; time < 3; time += 1) {
      const refusal = await refusalOf(payOnce(id));
      expect(refusal).toMatchObject({ status: 'UNAVAILABLE', reason: 'BANK_UNREACHABLE', outcome: 'not_applied', retryable: 'true' });
      expectWellWorded(refusal);
    }
    const login = await refusalOf(sessions.login({ bank, username: 'dave', password: 'dave-password' }));
    expect(login).toMatchObject({ status: 'UNAVAILABLE', reason: 'BANK_UNREACHABLE' });
    expectWellWorded(login);
    expect(performance.now() - startedAtMs).toBeLessThan(onThisMachine(MARGIN_MS));
    const other = bank === 'alpha' ? bob : alice;
    expect(await released(other)).toBe(before[bank === 'alpha' ? 1 : 0]);

    await cluster.service(bank).restart();
    expect(await alice.transfers.create({ id, to: 'beta/bob', amount: eur(100n) })).toMatchObject({ state: 'succeeded' });
    expect(await balances()).toEqual([before[0] - 100n, before[1] + 100n]);
  });

  it('when the gateway starts: it is known to be down, and not taken for unknown', async () => {
    const id = newTransferId();
    await cluster.service(bank).stop();
    await gateway.restart();
    const refusal = await refusalOf(payOnce(id));
    expect(refusal).toMatchObject({ status: 'UNAVAILABLE', reason: 'BANK_UNREACHABLE', outcome: 'not_applied' });
    await cluster.service(bank).restart();
    expect(await alice.transfers.create({ id, to: 'beta/bob', amount: eur(100n) })).toMatchObject({ state: 'succeeded' });
  });

  it('stuck: given up after the time to vote, and nothing stays held once it goes on', async () => {
    const before = await balances();
    const { pid } = cluster.service(bank);
    const ids = [newTransferId(), newTransferId(), newTransferId()];
    process.kill(pid, 'SIGSTOP');
    try {
      const startedAtMs = performance.now();
      for (const refusal of await Promise.all(ids.map((id) => refusalOf(payOnce(id))))) {
        expect(refusal).toMatchObject({ status: 'UNAVAILABLE', reason: 'PREPARE_TIMEOUT', outcome: 'not_applied', retryable: 'true' });
        expectWellWorded(refusal);
      }
      const tookMs = performance.now() - startedAtMs;
      expect(tookMs).toBeGreaterThanOrEqual(PREPARE_TIMEOUT_MS - 50);
      expect(tookMs).toBeLessThan(PREPARE_TIMEOUT_MS + onThisMachine(MARGIN_MS));
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expectCleanBooks(cluster);
    expect(await balances()).toEqual(before);
    for (const id of ids) expect(await alice.transfers.create({ id, to: 'beta/bob', amount: eur(100n) })).toMatchObject({ state: 'succeeded' });
    expect(await balances()).toEqual([before[0] - 300n, before[1] + 300n]);
  });
});

describe('the gateway is down', () => {
  it('the SDK says that nothing was applied, and the command line exits with 7; of an id that may have been sent before neither does', async () => {
    const home = join(cluster.root, 'home');
    await mkdir(home);
    const strife = strifeCommand({ home, profileFile: cluster.profileFile });
    expect(await strife(['login', 'alpha', 'alice'], { env: { STRIFE_PASSWORD: 'alice-password' } })).toMatchObject({ code: 0 });
    const payment: NewTransfer = { id: newTransferId(), to: 'beta/bob', amount: eur(100n) };
    const words = ['pay', 'beta/bob', '1.00'];
    const sameId = [...words, '--id', newTransferId()];
    const before = await balances();
    await gateway.stop();

    const fail = (transfer: NewTransfer): Promise<unknown> => alice.transfers.create({ ...transfer, timeoutMs: 500 }).catch((error: unknown) => error);
    const failure = await fail({ ...payment, earlierSendsAnswered: true });
    expect(failure).toBeInstanceOf(UnavailableError);
    expect(failure).toMatchObject({ outcome: 'not_applied', retryable: true, transferId: payment.id });
    expect(await fail(payment)).toMatchObject({ outcome: 'unknown', retryable: true, transferId: payment.id });
    const command = await strife([...words, '--timeout', '1']);
    expect(command).toMatchObject({ code: 7, stdout: '' });
    expect(command.stderr).toContain('Nothing moved.\nTry again later:\n  strife pay beta/bob 1.00 --currency EUR --timeout 1\n');
    expect(await strife([...sameId, '--timeout', '1'])).toMatchObject({ code: 8, stderr: expect.stringContaining('NOT known') });

    await gateway.restart();
    expect(await alice.transfers.create(payment)).toMatchObject({ state: 'succeeded', replayed: false });
    expect(await strife([...words, '--timeout', '10'])).toMatchObject({ code: 0 });
    expect(await strife([...sameId, '--timeout', '10'])).toMatchObject({ code: 0 });
    expect(await balances()).toEqual([before[0] - 300n, before[1] + 300n]);
  });
});

describe('SIGTERM', () => {
  it('lets the gateway finish the calls that it has', async () => {
    // Nothing is given up here while the payee's bank is stopped.
    const patient = await startTestCluster({ prepareTimeoutMs: PATIENT_MS });
    try {
      const [payer, payee] = await Promise.all([patient.person('alpha'), patient.person('beta')]);
      const { pid } = patient.service('beta');
      const count = 20;
      process.kill(pid, 'SIGSTOP');
      const answers = Promise.allSettled(Array.from({ length: count }, () => payer.strife.transfers.create({ to: payee.account, amount: eur(100n) })));
      // The payer's bank holds the money of all: the gateway has them, and waits for the payee's bank.
      while ((await payer.strife.balance()).held.minorUnits < BigInt(count) * 100n) await delay(5);
      const stopped = patient.service('g1').stop();
      process.kill(pid, 'SIGCONT');
      expect(await stopped).toEqual({ code: 0, signal: null });
      expect((await answers).map((answer) => (answer.status === 'fulfilled' ? answer.value.state : String(answer.reason)))).toEqual(new Array(count).fill('succeeded'));

      await patient.service('g1').restart();
      await expectCleanBooks(patient);
      expect([await payer.posted(), await payee.posted()]).toEqual([98_000n, 102_000n]);
    } finally {
      process.kill(patient.service('beta').pid, 'SIGCONT');
      await patient.end();
    }
  }, 60_000);

  it.each(['g1', 'alpha', 'beta'])('to %s under load loses nothing, makes nothing, and ends it well', async (name) => {
    const before = await balances();
    const service = cluster.service(name);
    const count = 100;
    let answered = 0;
    const stopped = Promise.withResolvers<unknown>();
    const pay = async (): Promise<void> => {
      const { state } = await alice.transfers.create({ to: 'beta/bob', amount: eur(1n) });
      expect(state).toBe('succeeded');
      answered += 1;
      if (answered !== count / 4) return;
      const { exited } = service;
      await service.restart();
      stopped.resolve(await exited);
    };
    const queue = Array.from({ length: count }, () => pay);
    await Promise.all(Array.from({ length: 10 }, async () => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) await next();
    }));
    expect(await stopped.promise).toEqual({ code: 0, signal: null });
    await expectCleanBooks(cluster);
    expect(await balances()).toEqual([before[0] - BigInt(count), before[1] + BigInt(count)]);
  });
});

describe('the registry', () => {
  async function followed(service: 'bank' | 'gateway') {
    const registry = await cluster.discovery.openRegistry();
    let present: readonly string[] = [];
    let changed = Promise.withResolvers<void>();
    registry.watch(service, (instances) => {
      present = instances.map(({ id }) => id);
      changed.resolve();
      changed = Promise.withResolvers<void>();
    });
    async function until(id: string, isPresent: boolean): Promise<void> {
      while (present.includes(id) !== isPresent) await changed.promise;
    }
    return { until, close: () => registry.close() };
  }

  it.each([['bank', 'alpha'], ['gateway', 'g1']] as const)('loses a stopped %s before it has ended, while it finishes its calls', async (role, name) => {
    const watch = await followed(role);
    await watch.until(name, true);
    const service = cluster.service(name);
    const call = await cluster.callers.callInTwoParts(service.address, 'gateway/g1');
    const stopped = service.stop();
    await watch.until(name, false);
    expect(service.running).toBe(true);
    await call.finish();
    expect(await stopped).toEqual({ code: 0, signal: null });
    await cluster.service(name).restart();
    await watch.until(name, true);
    await watch.close();
  });

  // A watcher that heard nothing of Consul for more than half a second rightly shows the dead for three seconds longer, and a busy machine
  // may stand still that long: one time in three must do.
  it.each([['bank', 'beta'], ['gateway', 'g1']] as const)('soon loses a killed %s', async (role, name) => {
    const watch = await followed(role);
    await watch.until(name, true);
    let isSoon = false;
    const tookMs: number[] = [];
    while (!isSoon && tookMs.length < 3) {
      await cluster.service(name).kill('SIGKILL');
      const killedAtMs = performance.now();
      await watch.until(name, false);
      tookMs.push(performance.now() - killedAtMs);
      isSoon = tookMs.at(-1)! < onThisMachine(GONE_MAX_MS);
      await cluster.service(name).restart();
      await watch.until(name, true);
    }
    expect({ isSoon, tookMs }).toMatchObject({ isSoon: true });
    await watch.close();
  });

  it('leads the gateway to a bank that came back on another port', async () => {
    const before = await balances();
    const bank = cluster.service('beta');
    await bank.stop();
    const moved = runService('bank', serviceArgs(cluster, 'beta'));
    try {
      expect(await moved.ready).not.toBe(bank.address);
      expect(await alice.transfers.create({ to: 'beta/bob', amount: eur(100n) })).toMatchObject({ state: 'succeeded' });
      expect(await balances()).toEqual([before[0] - 100n, before[1] + 100n]);
    } finally {
      expect(await moved.stop()).toEqual({ code: 0, signal: null });
      await bank.restart();
    }
    expect(await alice.transfers.create({ to: 'beta/bob', amount: eur(100n) })).toMatchObject({ state: 'succeeded' });
  });
});

it('ends with clean books', async () => {
  await expectCleanBooks(cluster);
});
