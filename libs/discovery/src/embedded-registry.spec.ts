// The embedded registry passes the contract with real processes, and copes with what happens to files and pids.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openEmbeddedRegistry } from './embedded-registry.ts';
import { ownIdentity, type ProcessIdentity } from './process-identity.ts';
import { bank, describeRegistryContract, idsOf, record } from './registry-contract.ts';
import type { Registry, RegistryProblem } from './registry.ts';
import { startMember, type StartedMember } from './testing/start-member.ts';

describeRegistryContract('the embedded registry', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'strife-registry-'));
  const members: StartedMember[] = [];
  return {
    open: () => openEmbeddedRegistry({ directory }),
    async startMember(instance) {
      const member = await startMember({ embedded: { directory } }, instance);
      members.push(member);
      return member;
    },
    async close() {
      await Promise.all(members.map((member) => member.kill()));
      await rm(directory, { recursive: true });
    },
  };
});

describe('the embedded registry', () => {
  let directory: string;
  let registry: Registry;
  let member: StartedMember | undefined;
  let problems: RegistryProblem[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-registry-'));
    problems = [];
    registry = await openEmbeddedRegistry({ directory, ttlMs: 600, onProblem: (problem) => problems.push(problem) });
  });

  afterEach(async () => {
    await registry.close();
    await member?.kill();
    member = undefined;
    await rm(directory, { recursive: true, force: true });
  });

  const fileOf = (id: string) => join(directory, 'bank', `${id}.json`);
  const plant = async (id: string, content: unknown) => {
    await mkdir(join(directory, 'bank'), { recursive: true });
    await writeFile(fileOf(id), typeof content === 'string' ? content : JSON.stringify(content));
  };
  const live = async () => JSON.parse(await readFile(fileOf('alpha'), 'utf8')) as { owner: ProcessIdentity };

  it('hides a process that hangs once its heartbeat is too old, and shows it again when it goes on', async () => {
    const watched = record(registry, 'bank');
    member = await startMember({ embedded: { directory, ttlMs: 600 } }, bank('alpha'));
    await watched.until((list) => list.length === 1);
    member.child.kill('SIGSTOP');
    await watched.until((list) => list.length === 0, 2000);
    expect(await readdir(join(directory, 'bank'))).toEqual(['alpha.json']);
    member.child.kill('SIGCONT');
    await watched.until((list) => list.length === 1, 2000);
  });

  it('keeps whom it knows while their entry cannot be read', async () => {
    await plant('alpha', { instance: bank('alpha'), owner: ownIdentity() });
    const watched = record(registry, 'bank');
    await watched.until((list) => list.length === 1);
    // A link to itself in its place: the name is there, and reading it fails, as it does without file handles.
    await symlink('alpha.json', join(directory, 'loop'));
    await rename(join(directory, 'loop'), fileOf('alpha'));
    await registry.register(bank('beta'));
    await watched.until((list) => idsOf(list).includes('beta'));
    expect(idsOf(watched.instances())).toEqual(['alpha', 'beta']);
    expect(problems).toContainEqual(expect.objectContaining({ message: expect.stringContaining('the last known entry stays') }));
  });

  it('removes the files of dead processes', async () => {
    await plant('alpha', { instance: bank('alpha'), owner: await deadProcess() });
    const watched = record(registry, 'bank');
    await watched.until((list) => list.length === 0);
    expect(await readdir(join(directory, 'bank'))).toEqual([]);
  });

  it('takes a pid that another process got meanwhile as dead', async () => {
    await plant('alpha', { instance: bank('alpha'), owner: { ...ownIdentity(), startedAt: '1' } });
    const watched = record(registry, 'bank');
    await watched.until((list) => list.length === 0);
    await registry.register(bank('alpha'));
    await watched.until((list) => list.length === 1);
    expect((await live()).owner).toEqual(ownIdentity());
  });

  it('lets one of many that replace a dead process at once have the name', async () => {
    await plant('alpha', { instance: bank('alpha'), owner: await deadProcess() });
    const others = await Promise.all(Array.from({ length: 6 }, () => openEmbeddedRegistry({ directory })));
    const results = await Promise.allSettled(others.map((other, index) => other.register(bank('alpha', 1001 + index))));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(await readdir(join(directory, 'bank'))).toEqual(['alpha.json']);
    await Promise.all(others.map((other) => other.close()));
    expect(await readdir(join(directory, 'bank'))).toEqual([]);
  });

  it('goes on with a removal whose process was killed in the middle of it', async () => {
    const owner = await deadProcess();
    await plant('alpha', { instance: bank('alpha'), owner });
    const digest = createHash('sha256').update(await readFile(fileOf('alpha'), 'utf8')).digest('hex').slice(0, 32);
    await symlink(JSON.stringify(owner), join(directory, 'bank', `.removal-alpha-${digest}-1`));
    await registry.register(bank('alpha'));
    expect(await readdir(join(directory, 'bank'))).toEqual(['alpha.json']);
    expect((await live()).owner).toEqual(ownIdentity());
  });

  it.each([
    ['is not JSON', '{"instance":'],
    ['instance.service', '{}'],
    ['instance.service', 'null'],
    ['instance.port', { instance: { ...bank('alpha'), port: 'x' }, owner: ownIdentity() }],
    ['another instance', { instance: bank('beta'), owner: ownIdentity() }],
    ['owner', { instance: bank('alpha'), owner: { pid: -1, startedAt: '' } }],
  ])('ignores a damaged file, says so once (%s), and lets its name be registered', async (problem, content) => {
    await plant('alpha', content);
    await registry.register(bank('beta'));
    const watched = record(registry, 'bank');
    await watched.until((list) => idsOf(list).join() === 'beta');
    // Two more changes, so that the file is looked at again.
    const gamma = await registry.register(bank('gamma'));
    await watched.until((list) => list.length === 2);
    await gamma.leave();
    await watched.until((list) => list.length === 1);
    expect(problems).toEqual([{ where: fileOf('alpha'), message: expect.stringContaining(problem) }]);
    await registry.register(bank('alpha'));
    await watched.until((list) => list.length === 2);
  });

  it('makes the file again when somebody removed it, or the whole directory', async () => {
    const watched = record(registry, 'bank');
    await registry.register(bank('alpha'));
    await unlink(fileOf('alpha'));
    await appears(fileOf('alpha'));
    await rm(directory, { recursive: true });
    await appears(fileOf('alpha'));
    await watched.until((list) => list.length === 1);
  });

  it('reports it when another process replaced the file, and does not remove that one when it leaves', async () => {
    let onProblem: (problem: RegistryProblem) => void = () => {};
    const reported = new Promise<RegistryProblem>((resolve) => { onProblem = resolve; });
    const other = await openEmbeddedRegistry({ directory, heartbeatIntervalMs: 20, onProblem });
    const registration = await other.register(bank('alpha', 1001));
    await plant('alpha', { instance: bank('alpha', 1002), owner: ownIdentity() });
    expect(await reported).toEqual({ where: fileOf('alpha'), message: expect.stringContaining('belongs to another process') });
    await registration.leave();
    const watched = record(registry, 'bank');
    await watched.until((list) => list[0]?.port === 1002);
  });

  it('judges heartbeats by the clock it was given', async () => {
    let nowMs = 1_000_000;
    const clocked = await openEmbeddedRegistry({ directory, heartbeatIntervalMs: 3_600_000, ttlMs: 3000, pollIntervalMs: 20, nowMs: () => nowMs });
    const watched = record(clocked, 'bank');
    await clocked.register(bank('alpha'));
    await watched.until((list) => list.length === 1);
    nowMs += 3001;
    await watched.until((list) => list.length === 0);
    await utimes(fileOf('alpha'), nowMs / 1000, nowMs / 1000);
    await watched.until((list) => list.length === 1);
    await clocked.close();
  });

  it('removes what a process left behind that was killed while it registered', async () => {
    const { pid } = await deadProcess();
    await mkdir(join(directory, 'bank'));
    await writeFile(join(directory, 'bank', `.${pid}-00000000-alpha`), '');
    await registry.register(bank('alpha'));
    expect(await readdir(join(directory, 'bank'))).toEqual(['alpha.json']);
  });

  it('says which directory cannot be used', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    await expect(openEmbeddedRegistry({ directory: join(file, 'registry') })).rejects.toMatchObject({
      name: 'RegistryError',
      code: 'REGISTRY_UNAVAILABLE',
      message: expect.stringContaining(join(file, 'registry')),
    });
  });

  it('keeps the last list and reports once while the directory cannot be read', async () => {
    const watched = record(registry, 'bank');
    await watched.until((list) => list.length === 0);
    await rm(directory, { recursive: true });
    await writeFile(directory, '');
    const problem = await new Promise<RegistryProblem>((resolve) => {
      problems.push = (...items) => {
        resolve(items[0] as RegistryProblem);
        return 0;
      };
    });
    expect(problem).toEqual({ where: join(directory, 'bank'), message: expect.stringContaining('cannot be read') });
    expect(watched.lists).toEqual([[]]);
  });
});

/** Nothing tells of a file in a directory that is made anew, so this looks until it is there; the test's time limit ends it. */
async function appears(file: string): Promise<void> {
  while (!existsSync(file)) await new Promise((resolve) => { setTimeout(resolve, 10); });
}

/** The identity of a process that has ended. */
async function deadProcess(): Promise<ProcessIdentity> {
  const child = spawn(process.execPath, ['--eval', '']);
  await once(child, 'exit');
  return { pid: child.pid as number, startedAt: '1' };
}
