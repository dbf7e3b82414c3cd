// Disks that fail at every point of a payment, fill up or cannot be written, and no file handles left: the process ends or goes on, and the
// money is right either way.

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ServiceProcess } from '@strife/cluster';
import { newTransferId } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import { expectCleanBooks } from '../support/books.ts';
import { serviceArgs } from '../support/service-run.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';
import { describeWithTool } from './describe-with-tool.ts';
import { attachStrace, SYNCS } from './strace.ts';
import { viewStores } from './store-view.ts';
import type { StoreView } from './store-view.ts';
import { until } from './until.ts';

const run = promisify(execFile);
const AMOUNT = { currency: 'EUR', minorUnits: 1n };
const PATIENT_MS = 30_000;
const ONE_TRY_MS = 4000;
const WITHOUT_HANDLES_MS = 3000;
const SERVICES = ['alpha', 'beta', 'g1'] as const;
/** Runs a command that finds the folder read-only: root may write to any folder, but not to a mount that is read-only, so it gets a view of its own. */
const READ_ONLY = `
folder=$1
shift
if [ "$(id -u)" = 0 ]; then
  exec unshare --mount sh -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"' sh "$folder" "$@"
fi
trap 'chmod 700 "$folder"' EXIT
chmod 500 "$folder"
"$@"
`;
const FLAGS = ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning'];
const workspaceRoot = resolve(import.meta.dirname, '../../../..');
/** More calls than any one payment makes. */
const SWEEP_MAX = 60;

let cluster: TestCluster;
let stores: StoreView;
let alice: Strife;
let bob: Strife;

beforeAll(async () => {
  cluster = await startTestCluster();
  stores = viewStores(cluster.directories.data);
  alice = await cluster.login('alpha/alice', { timeoutMs: PATIENT_MS });
  bob = await cluster.login('beta/bob', { timeoutMs: PATIENT_MS });
}, 60_000);
afterAll(async () => {
  await Promise.all([alice?.close(), bob?.close()]);
  await cluster?.end();
});
beforeEach(() => settle(), 60_000);

const pay = (id: string, timeoutMs = PATIENT_MS) => alice.transfers.create({ id, to: 'beta/bob', amount: AMOUNT, timeoutMs });
const isSettled = (id: string): boolean => ['alpha', 'beta'].every((bank) => stores.leg(bank, id) === 'committed');

/** All run, connections stand, nothing is in doubt. A service that is just about to end is found by the payment that fails. */
async function settle(): Promise<void> {
  await until('a payment goes through', async () => {
    for (const name of SERVICES) if (!cluster.service(name).running) await cluster.service(name).restart();
    return pay(newTransferId(), ONE_TRY_MS).then(() => true, () => false);
  }, PATIENT_MS);
  await until('nothing is in doubt', () => ['alpha', 'beta'].every((bank) => stores.prepared(bank) === 0));
}

/** Pays while something is wrong with the service, starts it again when that ends it, and expects that the money moves once. */
async function payThrough(service: ServiceProcess): Promise<void> {
  const posted = async (): Promise<bigint[]> => (await Promise.all([alice, bob].map((client) => client.balance()))).map((balance) => balance.posted.minorUnits);
  const [hers, his] = await posted();
  const id = newTransferId();
  let isPaid = false;
  const paying = pay(id).finally(() => (isPaid = true));
  await Promise.race([service.exited, paying]);
  if (!service.running) await service.restart();
  expect(await paying).toMatchObject({ state: 'succeeded' });
  await until('the payment is settled, or the service ends', () => isSettled(id) || !service.running);
  if (!service.running) await service.restart();
  await until('the payment is settled', () => isPaid && isSettled(id));
  expect(await posted()).toEqual([hers! - AMOUNT.minorUnits, his! + AMOUNT.minorUnits]);
}

await describeWithTool('strace', 'at every point of a payment', (strace) => {
  it.each([
    ['sync', 'fails', SYNCS, 'error=EIO', 1],
    ['sync', 'is where the process is killed', SYNCS, 'signal=SIGKILL', 1],
    ['write', 'fails', 'pwrite64', 'error=EIO', 3],
    ['write', 'is where the process is killed', 'pwrite64', 'signal=SIGKILL', 3],
    ['write', 'finds the disk full', 'pwrite64', 'error=ENOSPC', 4],
  ])('a %s that %s, at each process: the money moves once', async (_call, _what, calls, fault, step) => {
    for (const name of SERVICES) {
      const service = cluster.service(name);
      let points = 0;
      for (let nth = 1; nth <= SWEEP_MAX; nth += step) {
        const { pid } = service;
        const trace = await attachStrace({
          strace, pid, file: join(cluster.root, `trace-${randomUUID()}`), trace: calls.split(','), inject: `${calls}:${fault}:when=${nth}`,
        });
        await payThrough(service);
        await trace.detach();
        await settle();
        // The payment made fewer calls than that: all its points were tried.
        if (service.pid === pid) break;
        points += 1;
      }
      expect([name, points >= 1, points < SWEEP_MAX / step]).toEqual([name, true, true]);
    }
  }, 240_000);
});

describe('a folder that cannot be written', () => {
  it.each(['alpha', 'g1'])('at the start of %s: one line, exit 1, and a start when it can be', async (name) => {
    const service = cluster.service(name);
    await service.stop();
    const { stdout } = await run('sh', ['-c', READ_ONLY, 'sh', cluster.directories.data, process.execPath, ...FLAGS, `apps/${service.role}/src/main.ts`, ...serviceArgs(cluster, name)], { cwd: workspaceRoot })
      .catch(({ code, stderr }: { code: number; stderr: string }) => ({ stdout: `exit ${code}: ${stderr}` }));
    expect(stdout).toMatch(/^exit 1: cannot start: .*\.sqlite\S* cannot be (opened|written).*\n$/);
    await service.restart();
  }, 60_000);
});

describe('a disk that is full', () => {
  it.each(['alpha', 'beta', 'g1'])('while %s runs: it ends, and goes on when there is room', async (name) => {
    const service = cluster.service(name);
    const role = service.role;
    const { size } = await stat(join(cluster.directories.data, `${role}-${name}.sqlite-wal`));
    // The log may not grow beyond what it has, as on a disk without room.
    await run('prlimit', ['--pid', String(service.pid), `--fsize=${size}`]);
    await payThrough(service);
  }, 60_000);
});

describe('no file handles left', () => {
  it.each(['alpha', 'beta', 'g1'])('at %s, for a while: the payment of that time is made, and new connections are once there are some', async (name) => {
    const service = cluster.service(name);
    const open = (await readdir(`/proc/${service.pid}/fd`)).length;
    const limit = (handles: number) => run('prlimit', ['--pid', String(service.pid), `--nofile=${handles}:4096`]);
    await limit(open);
    const paying = payThrough(service);
    await Promise.race([paying, delay(WITHOUT_HANDLES_MS)]);
    if (service.running) await limit(4096);
    await paying;
    await using carol = await cluster.login('alpha/carol', { timeoutMs: PATIENT_MS });
    expect(await carol.transfers.create({ to: 'beta/dave', amount: AMOUNT })).toMatchObject({ state: 'succeeded' });
  }, 60_000);
});

describe('after all of that', () => {
  it('the books are clean', async () => {
    await expectCleanBooks(cluster);
  });
});
