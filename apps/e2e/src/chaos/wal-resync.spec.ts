// What a killed service left in its write-ahead log is written and synced again before its next start says a word: a failed sync may have left
// there what looks whole and is not on the disk.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { eur } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import type { ServiceProcess } from '@strife/cluster';
import { expectCleanBooks } from '../support/books.ts';
import { serviceArgs } from '../support/service-run.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';
import { describeWithTool } from './describe-with-tool.ts';
import { attachStrace, readTrace, SYNCS } from './strace.ts';
import type { TracedCall } from './strace.ts';

const FLAGS = ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning'];
const workspaceRoot = resolve(import.meta.dirname, '../../../..');

let cluster: TestCluster;
let alice: Strife;

beforeAll(async () => {
  cluster = await startTestCluster();
  alice = await cluster.login('alpha/alice', { timeoutMs: 30_000 });
}, 60_000);
afterAll(async () => {
  await alice?.close();
  await cluster?.end();
});

const pay = () => alice.transfers.create({ to: 'beta/bob', amount: eur('1.00') });

/** The system calls of a start, from its first to when it says that it is ready. The service is stopped afterwards. */
async function traceStart(strace: string, service: ServiceProcess): Promise<TracedCall[]> {
  // The shell waits for a line until strace holds it, and then becomes the service.
  const command = ['-c', 'read -r go && exec "$0" "$@"', process.execPath, ...FLAGS, `apps/${service.role}/src/main.ts`, ...serviceArgs(cluster, service.name)];
  const child = spawn('sh', command, { cwd: workspaceRoot, stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env['PATH'] ?? '', STRIFE_PARENT_PIPE: '1' } });
  const ended = once(child, 'close');
  const ready = new Promise<boolean>((settle) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.includes('ready on')) settle(true);
    });
    void ended.then(() => settle(false));
  });
  try {
    const file = join(cluster.root, `trace-${service.name}`);
    await using trace = await attachStrace({ strace, pid: child.pid!, file, trace: ['pwrite64', 'listen', ...SYNCS.split(',')] });
    child.stdin.write('go\n');
    expect(await ready).toBe(true);
    await trace.detach();
    return readTrace(await trace.lines());
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

await describeWithTool('strace', 'a start after a kill', (strace) => {
  it.each([['bank', 'alpha'], ['gateway', 'g1']])('of a %s writes and syncs all of the log that it finds, before it listens', async (role, name) => {
    const service = cluster.service(name);
    const log = join(cluster.directories.data, `${role}-${name}.sqlite-wal`);
    await pay();
    await service.kill('SIGKILL');
    const { size } = await stat(log);
    expect(size).toBeGreaterThan(0);

    const calls = await traceStart(strace, service);
    const sync = calls.findIndex((call) => call.target === log && /^f(data)?sync$/.test(call.name) && call.result === 0);
    expect(sync).toBeGreaterThan(0);
    const written = calls.slice(0, sync).filter(({ name: call, target, result = 0 }) => call === 'pwrite64' && target === log && result > 0);
    const bytes = written.reduce((sum, { result = 0 }) => sum + result, 0);
    // Whole blocks, where the file system writes past its memory.
    expect([bytes >= size, bytes < size + 4096]).toEqual([true, true]);
    expect(calls.findIndex((call) => call.name === 'listen')).toBeGreaterThan(sync);

    await service.restart();
    expect(await pay()).toMatchObject({ state: 'succeeded' });
  }, 90_000);

  it('ends with clean books', async () => {
    await expectCleanBooks(cluster);
  });
});
