// Real services in temporary folders: they start, come back on the same address, and never outlive whoever started them.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster, type Cluster } from './cluster.ts';
import { workspaceRoot } from './service-process.ts';

let root = '';
let cluster: Cluster | undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'strife-cluster-'));
});
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
  rmSync(root, { recursive: true, force: true });
});

describe('startCluster', () => {
  it('starts services that a user can log in to, writes a profile for them, and stops them cleanly', async () => {
    cluster = await startCluster({ root, banks: ['alpha'] });
    const strife = await cluster.login('alpha/alice');
    expect((await strife.balance()).posted).toEqual({ currency: 'EUR', minorUnits: 100_000n });
    await strife.close();

    const gateway = cluster.service('g1');
    expect(readFileSync(cluster.profileFile, 'utf8')).toContain(`gateways = ["${gateway.address}"]`);
    expect(existsSync(gateway.logFile)).toBe(true);

    await cluster.stop();
    expect(await gateway.exited).toEqual({ code: 0, signal: null });
    expect(await cluster.service('alpha').exited).toEqual({ code: 0, signal: null });
  });

  it('brings a killed service back on the same address, with the same accounts', async () => {
    cluster = await startCluster({ root, banks: ['alpha'] });
    const bank = cluster.service('alpha');
    const { address, pid } = bank;

    expect(await bank.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
    expect(bank.running).toBe(false);
    await bank.restart();

    expect(bank.running).toBe(true);
    expect(bank.pid).not.toBe(pid);
    expect(bank.address).toBe(address);
    const strife = await cluster.login('alpha/alice');
    expect((await strife.balance()).posted.minorUnits).toBe(100_000n);
    await strife.close();
  });

  it('says which service failed, why, and where its log is, and stops the others', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    try {
      await expect(startCluster({ root, banks: ['alpha'], ports: { g1: port } })).rejects.toThrow(
        new RegExp(`gateway g1 ended before it was ready \\(exit [12]\\)[^]*${port}[^]*gateway-g1\\.log`),
      );
    } finally {
      taken.close();
    }
    // A bank that still ran would hold its store.
    cluster = await startCluster({ root, banks: ['alpha'] });
  });

  it('ends with the process that started it, even when that is killed', async () => {
    const parent = startInOtherProcess();
    const pids = await pidsSaidBy(parent);
    expect(pids.map(isAlive)).toEqual([true, true]);

    parent.kill('SIGKILL');
    await once(parent, 'exit');
    await untilGone(pids);
  });
});

function startInOtherProcess(): ChildProcess {
  const script = `
    import { startCluster } from '@strife/cluster';
    const cluster = await startCluster({ root: ${JSON.stringify(root)}, banks: ['alpha'] });
    console.log(JSON.stringify([cluster.service('g1').pid, cluster.service('alpha').pid]));
    setInterval(() => {}, 1000);
  `;
  const args = ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', script];
  return spawn(process.execPath, args, { cwd: join(workspaceRoot, 'tools/cluster'), stdio: ['ignore', 'pipe', 'inherit'] });
}

async function pidsSaidBy(parent: ChildProcess): Promise<number[]> {
  if (parent.stdout === null) throw new Error('the process has no stdout');
  const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
  return JSON.parse(line) as number[];
}

/** Processes that are not our children tell nobody when they end, so this asks. Jest's timeout is the limit. */
async function untilGone(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await delay(20);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
