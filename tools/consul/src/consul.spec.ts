// A real agent, and what keeps it from being anybody's trouble.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startConsul, type ConsulAgent } from './consul-agent.ts';
import { debianArchives } from './debian-sources.ts';
import { findFreePorts } from './free-ports.ts';
import { startGuarded } from './guarded-process.ts';
import { findConsul } from './program.ts';
import { describeWithConsul } from './testing/describe-with-consul.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'strife-consul-spec-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

await describeWithConsul('a Consul agent', (program) => {
  let agent: ConsulAgent;
  beforeAll(async () => {
    agent = await startConsul({ directory: join(directory, 'agent'), program });
  });
  afterAll(async () => {
    await agent.stop();
  });

  const put = async (path: string, body: string) => fetch(`${agent.address}${path}`, { method: 'PUT', body });
  const get = async (path: string) => fetch(`${agent.address}${path}`);

  it('leads, and has a certificate authority', async () => {
    expect(await (await get('/v1/status/leader')).json()).toMatch(/^127\.0\.0\.1:/);
    expect(await (await get('/v1/connect/ca/roots')).json()).toMatchObject({ Roots: [{ RootCert: expect.stringContaining('BEGIN CERTIFICATE') }] });
  });

  it('comes back at its address with what it knew, also after SIGKILL, and without it when asked to', async () => {
    const { address, pid } = agent;
    await put('/v1/kv/key', 'value');
    await agent.kill('SIGKILL');
    expect(agent.running).toBe(false);
    await agent.restart();
    expect(agent.address).toBe(address);
    expect(agent.pid).not.toBe(pid);
    expect(await (await get('/v1/kv/key?raw')).text()).toBe('value');
    await agent.restart({ empty: true });
    expect((await get('/v1/kv/key')).status).toBe(404);
  });

  it('stops when told to while it hangs', async () => {
    await agent.kill('SIGSTOP');
    await agent.stop();
    expect(agent.running).toBe(false);
  });

  it('has a token with access control, and another one when it starts anew', async () => {
    const guarded = await startConsul({ directory: join(directory, 'acl'), program, acl: true });
    const { token } = guarded;
    const status = async (headers: Record<string, string>) => (await fetch(`${guarded.address}/v1/acl/tokens`, { headers })).status;
    expect(await status({})).toBe(403);
    expect(await status({ 'X-Consul-Token': token ?? '' })).toBe(200);
    await guarded.restart({ empty: true });
    expect(guarded.token).not.toBe(token);
    await guarded.stop();
  });

  it('says what went wrong, with the end of its log', async () => {
    const broken = startConsul({ directory: join(directory, 'broken'), program, checkTls: { ca: 'no', cert: 'no', key: 'no' } });
    await expect(broken).rejects.toMatchObject({ name: 'ConsulStartError', message: expect.stringMatching(/ended before it was ready \(exit 1\)\n/) });
  });

  it('runs in the foreground until Ctrl-C, and leaves nothing behind', async () => {
    const temporary = join(directory, 'temporary');
    await mkdir(temporary);
    const child = spawn(process.execPath, ['--conditions=@strife/source', join(import.meta.dirname, 'main.ts')],
      { env: { ...process.env, TMPDIR: temporary }, stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    expect(line).toMatch(/^consul ready on http:\/\/127\.0\.0\.1:\d+$/);
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await readdir(temporary)).toEqual([]);
  });
});

describe('a guarded process', () => {
  it('ends when the process that started it is killed', async () => {
    const child = spawn(process.execPath, ['--conditions=@strife/source', join(import.meta.dirname, 'testing', 'guarding.ts')],
      { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    expect(isAlive(Number(line))).toBe(true);
    child.kill('SIGKILL');
    while (isAlive(Number(line))) await new Promise((resolve) => { setTimeout(resolve, 10); });
  });

  it('tells how the program ended, and takes no more signals then', async () => {
    const guarded = await startGuarded('sh', ['-c', 'exit 3'], '/dev/null');
    expect(await guarded.exited).toEqual({ code: 3 });
    expect(guarded.running).toBe(false);
    guarded.signal('SIGKILL');
  });

  it('tells that a program is not there', async () => {
    const guarded = await startGuarded(join(directory, 'nothing'), [], '/dev/null');
    expect(await guarded.exited).toEqual({ code: 127 });
  });
});

describe('the program', () => {
  it('is missing, in one line with what to do, when it is neither on PATH nor to be had', async () => {
    await writeFile(join(directory, 'file'), '');
    const program = await findConsul({ path: '', cacheDirectory: join(directory, 'file', 'cache') });
    expect(program).toEqual({ kind: 'missing', reason: expect.stringMatching(/^no consul program: .*; install Consul 1\.8 or newer and put it on PATH$/) });
  });

  it('is the one on PATH, if there is one', async () => {
    const folder = join(directory, 'bin');
    await mkdir(folder);
    await writeFile(join(folder, 'consul'), '#!/bin/sh\necho "Consul v1.22.3"\n', { mode: 0o755 });
    expect(await findConsul({ path: folder })).toEqual({ kind: 'found', path: join(folder, 'consul'), version: '1.22.3' });
  });
});

describe('the mirror', () => {
  it('is read from both formats of apt\'s sources', async () => {
    const apt = join(directory, 'apt');
    await mkdir(join(apt, 'sources.list.d'), { recursive: true });
    await writeFile(join(apt, 'sources.list'), [
      '# deb http://off.example/debian bookworm main',
      'deb [arch=amd64 signed-by=/k.gpg] https://one.example/debian bookworm main contrib # mine',
      'deb-src http://source.example/debian bookworm main',
      'deb http://one.example/debian-security bookworm-security main',
      'deb cdrom:[Debian]/ bookworm main',
      'deb https://vendor.example/apt vendor main',
    ].join('\n'));
    await writeFile(join(apt, 'sources.list.d', 'debian.sources'), [
      'Types: deb deb-src', '# a comment', 'URIs: http://two.example/debian', ' http://three.example/debian', 'Suites: bookworm bookworm-updates', 'Components: main', '',
      'Enabled: no', 'Types: deb', 'URIs: http://off.example/debian', 'Suites: bookworm', 'Components: main',
    ].join('\n'));
    await writeFile(join(apt, 'sources.list.d', 'old.list.disabled'), 'deb http://off.example/debian bookworm main\n');
    expect(await debianArchives(apt)).toEqual(['https://one.example/debian', 'http://two.example/debian', 'http://three.example/debian']);
    expect(await debianArchives(join(directory, 'nowhere'))).toEqual([]);
  });
});

describe('free ports', () => {
  it('are different ones', async () => {
    expect(new Set(await findFreePorts(8)).size).toBe(8);
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
