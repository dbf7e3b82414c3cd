// The access profile, made in a real Consul with ACLs that nobody has used yet.

import { execFile } from 'node:child_process';
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { bootstrapAccess, type BootstrapOptions } from './bootstrap.ts';
import { startConsul, type ConsulAgent } from './consul-agent.ts';
import { createConsulHttp, type ConsulHttp } from './consul-http.ts';
import { describeWithConsul } from './testing/describe-with-consul.ts';

await describeWithConsul('consul:bootstrap', (program) => {
  let root: string;
  let agent: ConsulAgent;
  let directory: string;
  let consul: ConsulHttp;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'strife-bootstrap-'));
    directory = join(root, 'tokens');
    agent = await startConsul({ directory: join(root, 'agent'), program, acl: true, withoutToken: true });
    await bootstrap();
    consul = createConsulHttp({ address: agent.address, token: await tokenIn('management') });
  });
  afterAll(async () => {
    await agent.stop();
    await rm(root, { recursive: true });
  });

  const tokenIn = async (name: string): Promise<string> => (await readFile(join(directory, `${name}.token`), 'utf8')).trim();
  const bootstrap = (options: Partial<BootstrapOptions> = {}) =>
    bootstrapAccess({ address: agent.address, directory, gateways: ['g1', 'g2'], banks: ['alpha'], agents: [agent.node], ...options });
  const tokens = (): Promise<readonly { Description: string }[]> => consul.get('/v1/acl/tokens');
  const intentions = async (): Promise<string[]> => (await consul.get<readonly Record<string, string>[]>('/v1/connect/intentions'))
    .map(({ SourceName, DestinationName, Action }) => `${Action} ${SourceName} => ${DestinationName}`).sort();

  it('writes a token for everyone to a file that only its owner can read', async () => {
    const names = ['management', 'strife-agent-' + agent.node, 'strife-bank-alpha', 'strife-client', 'strife-gateway-g1', 'strife-gateway-g2', 'strife-operator'];
    expect((await readdir(directory)).sort()).toEqual(names.map((name) => `${name}.token`));
    for (const name of names) expect((await stat(join(directory, `${name}.token`))).mode & 0o777).toBe(0o600);
    const self = await createConsulHttp({ address: agent.address, token: await tokenIn('strife-bank-alpha') }).get('/v1/acl/token/self');
    expect(self).toMatchObject({ Description: 'strife-bank-alpha', Policies: [{ Name: 'strife-bank-alpha' }] });
  });

  it('allows the calls that the servers take, and no others', async () => {
    expect(await intentions()).toEqual([
      'allow strife-bank-alpha => strife-gateway-g1', 'allow strife-bank-alpha => strife-gateway-g2',
      'allow strife-client => strife-gateway-g1', 'allow strife-client => strife-gateway-g2',
      'allow strife-gateway-g1 => strife-bank-alpha', 'allow strife-gateway-g1 => strife-gateway-g2',
      'allow strife-gateway-g2 => strife-bank-alpha', 'allow strife-gateway-g2 => strife-gateway-g1',
      'allow strife-operator => strife-bank-alpha', 'allow strife-operator => strife-gateway-g1', 'allow strife-operator => strife-gateway-g2',
      'deny * => strife-bank-alpha', 'deny * => strife-gateway-g1', 'deny * => strife-gateway-g2',
    ]);
  });

  it('changes nothing the second time', async () => {
    const before = await tokens();
    const token = await tokenIn('strife-bank-alpha');
    expect((await bootstrap()).changes).toEqual([]);
    expect(await tokens()).toEqual(before);
    expect(await tokenIn('strife-bank-alpha')).toBe(token);
  });

  it('writes a token again whose file is lost, and makes no second one', async () => {
    const [before, token] = [await tokens(), await tokenIn('strife-client')];
    await rm(join(directory, 'strife-client.token'));
    expect((await bootstrap()).changes).toEqual([expect.stringMatching(/^wrote the token of strife-client to /)]);
    expect([await tokens(), await tokenIn('strife-client')]).toEqual([before, token]);
  });

  it('adds what a new bank needs, and leaves the others alone', async () => {
    const { changes } = await bootstrap({ banks: ['alpha', 'beta'] });
    expect(changes.every((change) => change.includes('strife-bank-beta'))).toBe(true);
    expect((await intentions()).filter((intention) => intention.includes('strife-bank-beta'))).toHaveLength(6);
  });

  it('leaves an intention by which somebody cut a service off, and says so', async () => {
    const [made] = (await consul.get<readonly { ID: string; SourceName: string; DestinationName: string }[]>('/v1/connect/intentions'))
      .filter(({ SourceName, DestinationName }) => SourceName === 'strife-client' && DestinationName === 'strife-gateway-g2');
    await consul.put(`/v1/connect/intentions/${made!.ID}`, { ...made, SourceType: 'consul', Action: 'deny' });
    expect((await bootstrap()).changes).toEqual(['left intention strife-client => strife-gateway-g2 as it is: deny, where allow is the rule']);
    expect(await intentions()).toContain('deny strife-client => strife-gateway-g2');
  });

  it('gives a new token beside the old one when asked to, and keeps to the new one', async () => {
    const old = await tokenIn('strife-gateway-g1');
    const { changes } = await bootstrap({ rotate: ['strife-gateway-g1'] });
    expect(changes).toEqual(expect.arrayContaining(['created a token for strife-gateway-g1', expect.stringContaining('is still good')]));
    const fresh = await tokenIn('strife-gateway-g1');
    expect(fresh).not.toBe(old);
    for (const token of [old, fresh]) await createConsulHttp({ address: agent.address, token }).get('/v1/acl/token/self');
    await bootstrap();
    expect(await tokenIn('strife-gateway-g1')).toBe(fresh);
    await expect(bootstrap({ rotate: ['strife-gateway-g9'] })).rejects.toMatchObject({ name: 'BootstrapError', message: expect.stringContaining('--rotate strife-gateway-g9') });
  });

  it('prints no token, and says in one line what is wrong', async () => {
    const run = (...flags: string[]) => promisify(execFile)(process.execPath,
      ['--conditions=@strife/source', join(import.meta.dirname, 'bootstrap-main.ts'), '--consul-addr', agent.address, '--gateways', 'g1', '--banks', 'gamma', ...flags],
      { env: { ...process.env, STRIFE_CONSUL_TOKEN: '' } });
    const { stdout, stderr } = await run('--out', directory);
    expect(stdout).toContain('created a token for strife-bank-gamma');
    for (const file of await readdir(directory)) expect(stdout + stderr).not.toContain((await readFile(join(directory, file), 'utf8')).trim());
    await expect(run('--out', join(root, 'other'))).rejects.toMatchObject({
      code: 1, stderr: expect.stringMatching(/^the ACLs of Consul at \S+ are bootstrapped already; give a management token as STRIFE_CONSUL_TOKEN, or if nobody has one, reset [^\n]+\n$/),
    });
    expect(await readdir(join(root, 'other'))).toEqual([]);
    await expect(run('--banks', 'Gamma!')).rejects.toMatchObject({ code: 2, stderr: '--banks: not a name: Gamma!\n' });
  });

  it('says in one line that there are no ACLs', async () => {
    const plain = await startConsul({ directory: join(root, 'plain'), program });
    await expect(bootstrap({ address: plain.address, directory: join(root, 'none') })).rejects.toMatchObject({
      name: 'BootstrapError', message: expect.stringMatching(/^Consul at \S+ runs without ACLs; set acl /),
    });
    await plain.stop();
  });
});

describe('the management token, which Consul gives once', () => {
  const SECRET = '0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa';
  let directory: string;
  let file: string;
  let consul: Server;
  let address: string;
  let onBootstrap: () => Promise<void>;
  let given: number;
  let reply: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-bootstrap-'));
    file = join(directory, 'management.token');
    given = 0;
    onBootstrap = () => Promise.resolve();
    reply = JSON.stringify({ SecretID: SECRET });
    // Gives its token, and nothing else.
    consul = createServer(({ url }, response) => {
      if (url !== '/v1/acl/bootstrap') return void response.writeHead(500).end('no more');
      given += 1;
      void onBootstrap().then(() => response.end(reply));
    });
    await new Promise<void>((resolve) => void consul.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(consul.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await new Promise((resolve) => void consul.close(resolve));
    await rm(directory, { recursive: true });
  });

  const failure = (): Promise<Error | undefined> =>
    bootstrapAccess({ address, directory, gateways: ['g1'], banks: ['alpha'], agents: [] }).then(() => undefined, (error: Error) => error);

  /** As on a disk that is full. */
  async function failing(method: 'write' | 'writeFile' | 'sync'): Promise<void> {
    const probe = await open(import.meta.filename);
    await probe.close();
    jest.spyOn(Object.getPrototypeOf(probe) as FileHandle, method).mockRejectedValueOnce(Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }));
  }

  it('is kept, whatever fails afterwards, and taken from the file by the next run', async () => {
    expect((await failure())?.message).toContain('no more');
    expect([await readFile(file, 'utf8'), (await stat(file)).mode & 0o777]).toEqual([`${SECRET}\n`, 0o600]);
    expect((await failure())?.message).toContain('no more');
    expect(given).toBe(1);
  });

  it.each(['write', 'sync'] as const)('is not asked for where there is no room for it (%s)', async (method) => {
    await failing(method);
    expect(await failure()).toMatchObject({ code: 'ENOSPC' });
    expect([given, await readdir(directory)]).toEqual([0, []]);
  });

  it.each(['writeFile', 'sync'] as const)('is lost only with words on how to get another, and its file stays (%s)', async (method) => {
    onBootstrap = () => failing(method);
    const error = await failure();
    expect(error).toMatchObject({ name: 'BootstrapError', message: expect.stringMatching(/gave its only management token, .*ENOSPC.*acl-bootstrap-reset/) });
    expect(error?.message).not.toContain(SECRET);
    expect([given, await readdir(directory)]).toEqual([1, ['management.token']]);
  });

  it.each(['', ' \n'])('is not asked for over the empty file of a run that was cut off, and the reader is told what to do (%j)', async (text) => {
    await writeFile(file, text);
    expect(await failure()).toMatchObject({ name: 'BootstrapError', message: expect.stringMatching(/management\.token is empty: .*delete the file and run this again.*acl-bootstrap-reset/) });
    expect([given, await readFile(file, 'utf8')]).toEqual([0, text]);
  });

  it('leaves no file where Consul gives none', async () => {
    reply = '{}';
    expect(await failure()).toMatchObject({ name: 'BootstrapError', message: `Consul at ${address} answers without a management token` });
    expect(await readdir(directory)).toEqual([]);
  });
});
