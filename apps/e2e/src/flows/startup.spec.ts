// Starts that cannot be: one clear line on stderr, the right exit code, and no harm to what is there.

import { once } from 'node:events';
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eur } from '@strife/sdk';
import { expectCleanBooks } from '../support/books.ts';
import { describeEmbedded, describeOverConsul } from '../support/discovery.ts';
import { runService, serviceArgs } from '../support/service-run.ts';
import type { ServiceRun } from '../support/service-run.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startTestCluster();
}, 60_000);
afterAll(() => cluster?.end());

describe('a start that cannot be', () => {
  /** Runs to the end and returns what it said; a stack, or a second line for a failure of one, is a fault in itself. */
  async function failedStart(run: ServiceRun): Promise<{ code: number | null; stderr: string }> {
    const { code } = await run.exited;
    const stderr = run.stderr();
    expect(stderr).not.toMatch(/\n\s+at |Error:|node:internal/);
    if (code !== 2) expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    return { code, stderr };
  }

  /** A folder for a start, with what it needs of the running cluster copied into it. */
  async function place(name: string, files: Record<string, string> = {}): Promise<string> {
    const folder = join(cluster.root, 'starts', name);
    await mkdir(folder, { recursive: true });
    for (const [file, from] of Object.entries(files)) await copyFile(join(cluster.directories.data, from), join(folder, file));
    return folder;
  }

  type FailingStart = [name: string, bank: string, changes: () => Promise<Record<string, string>>, words: RegExp];

  async function expectFailedStart(...[, bank, changes, words]: FailingStart): Promise<void> {
    const elsewhere = { 'log-dir': await place('logs'), ...(await changes()) };
    const run = runService('bank', serviceArgs(cluster, bank, elsewhere));
    expect(await failedStart(run)).toEqual({ code: 1, stderr: expect.stringMatching(words) });
    expect(run.stderr()).not.toMatch(/hunter2|secret/);
  }

  it.each([['bank', 'alpha'], ['gateway', 'g1']] as const)('a second %s on one store', async (role, name) => {
    const changes = { port: '0', 'registry-dir': join(cluster.root, 'starts', 'registry') };
    const { code, stderr } = await failedStart(runService(role, serviceArgs(cluster, name, changes)));
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(new RegExp(`${role}-${name}\\.sqlite.*(use|lock|process)`)) });
  });

  it.each<FailingStart>([
    ['a store of a newer schema', 'alpha', async () => {
      const folder = await place('newer');
      const file = join(folder, 'bank-alpha.sqlite');
      const copy = new DatabaseSync(join(cluster.directories.data, 'bank-alpha.sqlite'), { readOnly: true });
      copy.exec(`VACUUM INTO '${file}'`);
      copy.close();
      const newer = new DatabaseSync(file);
      newer.exec('PRAGMA user_version = 999');
      newer.close();
      return { 'data-dir': folder };
    }, /bank-alpha\.sqlite.*version 999.*newer/],
    ["another bank's store", 'beta', async () => {
      const folder = await place('other');
      const copy = new DatabaseSync(join(cluster.directories.data, 'bank-alpha.sqlite'), { readOnly: true });
      copy.exec(`VACUUM INTO '${join(folder, 'bank-beta.sqlite')}'`);
      copy.close();
      return { 'data-dir': folder };
    }, /bank-beta\.sqlite.*"alpha".*"beta"/],
    ['a store that is no database', 'alpha', async () => {
      const folder = await place('text');
      await writeFile(join(folder, 'bank-alpha.sqlite'), 'this is not a database, however long one reads it\n'.repeat(100));
      return { 'data-dir': folder };
    }, /bank-alpha\.sqlite.*not an SQLite database/],
    ['an empty file for a store', 'alpha', async () => {
      const folder = await place('empty');
      await writeFile(join(folder, 'bank-alpha.sqlite'), '');
      return { 'data-dir': folder };
    }, /bank-alpha\.sqlite.*empty/],
    ['a file for a data folder', 'alpha', async () => {
      const folder = await place('file');
      await writeFile(join(folder, 'data'), '');
      return { 'data-dir': join(folder, 'data') };
    }, /data/],
    ['a key file that others may read', 'alpha', async () => {
      const folder = await place('keys', { 'bank-alpha.jwk': 'bank-alpha.jwk' });
      await chmod(join(folder, 'bank-alpha.jwk'), 0o644);
      return { 'data-dir': folder };
    }, /bank-alpha\.jwk.*chmod 600/],
    ['a key file that is garbled', 'alpha', async () => {
      const folder = await place('garbled');
      await writeFile(join(folder, 'bank-alpha.jwk'), '{"keys": [{"d": "secret"}]}', { mode: 0o600 });
      return { 'data-dir': folder };
    }, /bank-alpha\.jwk.*backup/],
    ['a seed file that is missing', 'alpha', async () => ({ 'data-dir': await place('s1'), seed: join(cluster.root, 'missing.json') }), /seed file .*missing\.json cannot be read: ENOENT/],
    ['a seed file that is no JSON', 'alpha', async () => {
      const folder = await place('s2');
      await writeFile(join(folder, 'users.json'), '[{]');
      return { 'data-dir': folder, seed: join(folder, 'users.json') };
    }, /seed file .*users\.json is not JSON/],
    ['a seed file with a wrong amount', 'alpha', async () => {
      const folder = await place('s3');
      await writeFile(join(folder, 'users.json'), JSON.stringify([{ username: 'eve', password: 'hunter2', currency: 'EUR', opening_minor: '1.5' }]));
      return { 'data-dir': folder, seed: join(folder, 'users.json') };
    }, /seed file .*users\.json: 0\.opening_minor: /],
    ['a file for a log folder', 'alpha', async () => {
      const folder = await place('l1');
      await writeFile(join(folder, 'logs'), '');
      return { 'data-dir': folder, 'log-dir': join(folder, 'logs') };
    }, /cannot write the log .*bank-alpha\.log/],
    ['the name of a bank that runs', 'alpha', async () => ({ 'data-dir': await place('r2') }), /bank "alpha" is registered already/],
  ])('%s: one line, exit 1', expectFailedStart);

  describeEmbedded('without Consul', 'over Consul there is no such file', () => {
    it.each<FailingStart>([
      ['no certificate', 'delta', async () => ({ 'data-dir': await place('c1') }), /bank-delta\.pem.*is missing.*npm run certs/],
      ['a certificate folder that is missing', 'alpha', async () => ({ 'data-dir': await place('c2'), 'certs-dir': join(cluster.root, 'nowhere') }), /nowhere.*is missing/],
      ["another service's key", 'alpha', async () => {
        const folder = await place('c3');
        for (const file of ['ca.pem', 'bank-alpha.pem']) await copyFile(join(cluster.directories.certs, file), join(folder, file));
        await copyFile(join(cluster.directories.certs, 'bank-beta.key'), join(folder, 'bank-alpha.key'));
        return { 'data-dir': folder, 'certs-dir': folder };
      }, /bank-alpha\.key: is not the key of .*bank-alpha\.pem/],
      ['a file for a registry', 'alpha', async () => {
        const folder = await place('r1');
        await writeFile(join(folder, 'registry'), '');
        return { 'data-dir': folder, 'registry-dir': join(folder, 'registry') };
      }, /registry/],
    ])('%s: one line, exit 1', expectFailedStart);
  });

  describeOverConsul('with Consul', 'there is no agent otherwise', () => {
    it.each<FailingStart>([
      ['an agent that is not there', 'delta', async () => ({ 'data-dir': await place('a1'), 'consul-addr': 'http://127.0.0.1:1' }), /127\.0\.0\.1:1\b/],
    ])('%s: one line, exit 1', expectFailedStart);
  });

  it.each([['bank', 'alpha'], ['gateway', 'g1']] as const)('a port that is in use, at a %s', async (role, name) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const folder = await place(`port-${role}`);
    const run = runService(role, serviceArgs(cluster, name, { port: String(port), 'data-dir': folder, 'log-dir': folder, 'registry-dir': join(folder, 'registry') }));
    expect(await failedStart(run)).toEqual({ code: 1, stderr: `cannot start: port ${port} on 127.0.0.1 is in use\n` });
    taken.close();
  });

  it.each([['bank', 'alpha'], ['gateway', 'g1']] as const)('a disk that is full, at a %s', async (role, name) => {
    const folder = await place(`full-${role}`);
    const changes = { 'data-dir': join(folder, 'data'), 'log-dir': join(folder, 'logs'), 'registry-dir': join(folder, 'registry') };
    const run = runService(role, serviceArgs(cluster, name, changes), { fileBytesMax: 8192 });
    expect(await failedStart(run)).toEqual({ code: 1, stderr: expect.stringMatching(new RegExp(`${role}-${name}\\.sqlite.*the disk is full`)) });
  });

  it.each(['bank', 'gateway'] as const)('bad flags of a %s: all of them in one list, exit 2', async (role) => {
    const args = ['stray', '--name=Not A Name', '--port=70000', '--drain-timeout=soon', '--log-level', 'loud', '--pasword=hunter2'];
    const run = runService(role, args, { env: { STRIFE_REGISTRY_DIR: '' } });
    const { code, stderr } = await failedStart(run);
    expect(code).toBe(2);
    for (const flag of ['--name', '--port', '--drain-timeout', '--log-level', '--pasword: unknown option', '"stray": unexpected argument']) expect(stderr).toContain(flag);
    expect(stderr).toContain(`Run ${role} --help`);
    expect(stderr).not.toContain('hunter2');
    expect(run.stdout()).toBe('');
  });

  it('a bank without a name; a bad variable; help', async () => {
    expect(await failedStart(runService('bank', []))).toEqual({ code: 2, stderr: expect.stringContaining('--name: required (or set STRIFE_BANK_NAME)') });
    expect(await failedStart(runService('gateway', [], { env: { STRIFE_PORT: 'x' } }))).toEqual({ code: 2, stderr: expect.stringContaining('STRIFE_PORT: expected a port') });
    const help = runService('gateway', ['--help']);
    expect(await help.exited).toEqual({ code: 0, signal: null });
    expect(help.stdout()).toContain('--prepare-timeout');
  });

  it('left the running services and their registrations alone', async () => {
    await using alice = await cluster.login('alpha/alice');
    expect(await alice.transfers.create({ to: 'beta/bob', amount: eur('0.01') })).toMatchObject({ state: 'succeeded' });
    expect(await alice.balance()).toMatchObject({ posted: eur('999.99'), held: eur('0') });
    await expectCleanBooks(cluster);
  });
});
