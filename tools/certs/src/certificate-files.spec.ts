import { execFile } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createAuthority, ensureCertificates, loadTls, spiffeUri } from './index.ts';

const IDENTITIES = ['gateway/g1', 'bank/alpha'];
const FILES = ['bank-alpha.key', 'bank-alpha.pem', 'ca.key', 'ca.pem', 'gateway-g1.key', 'gateway-g1.pem'];
const DAY_MS = 24 * 60 * 60 * 1000;
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

let directory: string;

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'strife-certs-')), 'certs');
});

afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }));

const ensure = () => ensureCertificates({ directory, identities: IDENTITIES });
const read = (file: string) => readFile(join(directory, file), 'utf8');
const certificate = async (file: string) => new X509Certificate(await read(file));

async function expectConsistent(): Promise<void> {
  expect(await readdir(directory)).toEqual(FILES);
  const authority = await certificate('ca.pem');
  for (const stem of ['gateway-g1', 'bank-alpha']) {
    const leaf = await certificate(`${stem}.pem`);
    expect(leaf.verify(authority.publicKey)).toBe(true);
    expect(leaf.checkPrivateKey(createPrivateKey(await read(`${stem}.key`)))).toBe(true);
  }
}

describe('ensureCertificates', () => {
  it('makes an authority and a leaf with only a URI, for both ends of a connection', async () => {
    expect(await ensure()).toEqual({ made: ['ca.pem', 'gateway-g1.pem', 'bank-alpha.pem'], kept: [] });
    await expectConsistent();
    const leaf = await certificate('bank-alpha.pem');
    expect(leaf.subjectAltName).toBe('URI:spiffe://strife.local/bank/alpha');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(leaf.ca).toBe(false);
    expect(leaf.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    expect(Math.round((leaf.validToDate.getTime() - Date.now()) / DAY_MS)).toBe(30);
    expect(Math.round(((await certificate('ca.pem')).validToDate.getTime() - Date.now()) / DAY_MS)).toBe(365);
  });

  it('lets only the owner read keys', async () => {
    await ensure();
    for (const file of FILES.filter((name) => name.endsWith('.key'))) {
      expect((await stat(join(directory, file))).mode & 0o777).toBe(0o600);
    }
  });

  it('keeps what is good', async () => {
    await ensure();
    const before = await Promise.all(FILES.map(read));
    expect(await ensure()).toEqual({ made: [], kept: ['ca.pem', 'gateway-g1.pem', 'bank-alpha.pem'] });
    expect(await Promise.all(FILES.map(read))).toEqual(before);
  });

  it.each<[string, () => Promise<unknown>, string[]]>([
    ['has less than a day left', () => replaceLeaf({ notAfter: new Date(Date.now() + DAY_MS / 2) }), ['bank-alpha.pem']],
    ['names another identity', () => replaceLeaf({ uris: [spiffeUri('bank/beta')] }), ['bank-alpha.pem']],
    ['is not a certificate', () => writeFile(join(directory, 'bank-alpha.pem'), 'hello'), ['bank-alpha.pem']],
    ['has lost its key', () => rm(join(directory, 'bank-alpha.key')), ['bank-alpha.pem']],
    ['has lost its authority', () => Promise.all([rm(join(directory, 'ca.pem')), rm(join(directory, 'ca.key'))]), ['ca.pem', 'gateway-g1.pem', 'bank-alpha.pem']],
    ['has an authority without its key', () => rm(join(directory, 'ca.key')), ['ca.pem', 'gateway-g1.pem', 'bank-alpha.pem']],
  ])('makes a leaf anew that %s', async (_what, spoil, made) => {
    await ensure();
    await spoil();
    expect((await ensure()).made).toEqual(made);
    await expectConsistent();
  });

  it('is safe to run many times at once', async () => {
    await Promise.all(Array.from({ length: 8 }, ensure));
    await expectConsistent();
    expect((await ensure()).made).toEqual([]);
  });

  it.each(['alpha', 'bank/', 'bank/Alpha', 'teller/t1', 'bank/../ca', 'bank/a/b', ''])('refuses the identity %j before it writes anything', async (identity) => {
    await expect(ensureCertificates({ directory, identities: ['bank/alpha', identity] })).rejects.toThrow('not an identity');
    await expect(readdir(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('loadTls', () => {
  it('gives the three texts', async () => {
    await ensure();
    expect(await loadTls(directory, 'bank/alpha')).toEqual({ ca: await read('ca.pem'), cert: await read('bank-alpha.pem'), key: await read('bank-alpha.key') });
  });

  it('names the missing file and the command that makes it', async () => {
    await expect(loadTls(directory, 'bank/alpha')).rejects.toThrow(/ca\.pem is missing; make it with: node .*main\.ts --dir .* bank\/alpha$/);
  });
});

describe('the command', () => {
  const run = (...argv: string[]) => promisify(execFile)(process.execPath, ['--conditions=@strife/source', MAIN, ...argv]);

  it('makes certificates, from two processes at once', async () => {
    await Promise.all([run('--dir', directory, ...IDENTITIES), run('--dir', directory, ...IDENTITIES)]);
    await expectConsistent();
    expect((await run('--dir', directory, ...IDENTITIES)).stdout).toBe(`${directory}: 0 certificates made, 3 kept\n`);
  });

  it('makes those of the local cluster when none is named', async () => {
    await run('--dir', directory);
    const certificates = (await readdir(directory)).filter((file) => file.endsWith('.pem')).sort();
    expect(certificates).toEqual(['bank-alpha.pem', 'bank-beta.pem', 'ca.pem', 'client-dev.pem', 'gateway-g1.pem', 'operator-root.pem']);
  });

  it.each([
    [['--nope'], 2, 'Unknown option'],
    [['teller/t1'], 1, 'not an identity'],
  ] as const)('refuses %j with exit code %d', async (argv, code, message) => {
    await expect(run(...argv)).rejects.toMatchObject({ code, stderr: expect.stringContaining(message) });
  });
});

async function replaceLeaf(options: { uris?: string[]; notAfter?: Date }): Promise<void> {
  const authority = await createAuthority({ key: await read('ca.key'), cert: await read('ca.pem') });
  const leaf = await authority.issue({ uris: [spiffeUri('bank/alpha')], key: await read('bank-alpha.key'), ...options });
  await writeFile(join(directory, 'bank-alpha.pem'), leaf.cert);
}
