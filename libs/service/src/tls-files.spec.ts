import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createAuthority, ensureCertificates, spiffeUri } from '@strife/certs';
import { loadTlsFiles } from './index.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'strife-tls-'));
  await ensureCertificates({ directory, identities: ['bank/alpha', 'bank/beta'] });
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const file = (name: string) => join(directory, name);

describe('loadTlsFiles', () => {
  it('reads authority, certificate and key', async () => {
    const tls = await loadTlsFiles(directory, 'bank', 'alpha');
    expect(tls.ca).toContain('BEGIN CERTIFICATE');
    expect(tls.cert).toContain('BEGIN CERTIFICATE');
    expect(tls.key).toContain('PRIVATE KEY');
  });

  it('names the missing file and the command that makes it', async () => {
    await expect(loadTlsFiles(directory, 'gateway', 'g1')).rejects.toMatchObject({
      name: 'StartupError',
      message: expect.stringMatching(/gateway-g1\.pem is missing; make it with: node .*tools\/certs\/src\/main\.ts --dir .* gateway\/g1$/),
    });
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['that is not PEM', () => writeFile(file('bank-alpha.pem'), 'hello'), /bank-alpha\.pem is not valid PEM/],
    ['with a broken key', () => writeFile(file('bank-alpha.key'), 'hello'), /bank-alpha\.key is not valid PEM/],
    ['with the key of another', () => copyFile(file('bank-beta.key'), file('bank-alpha.key')), /is not the key of/],
    ['of another identity', () => copyFile(file('bank-beta.pem'), file('bank-alpha.pem')), /is the certificate of bank\/beta, not of bank\/alpha/],
    ['of another authority', async () => writeFile(file('ca.pem'), (await createAuthority()).cert), /is not signed by/],
    ['that has expired', () => replaceLeaf({ notBefore: new Date(0), notAfter: new Date(1_000) }), /bank-alpha\.pem expired on Jan/],
    ['without an identity', () => replaceLeaf({ uris: ['https://strife.example'] }), /not a Strife identity/],
  ])('refuses a certificate %s', async (_what, spoil, message) => {
    await spoil();
    await expect(loadTlsFiles(directory, 'bank', 'alpha')).rejects.toMatchObject({ name: 'StartupError', message: expect.stringMatching(message) });
  });
});

async function replaceLeaf(options: { uris?: string[]; notBefore?: Date; notAfter?: Date }): Promise<void> {
  const authority = await createAuthority();
  const leaf = await authority.issue({ uris: [spiffeUri('bank/alpha')], ...options });
  await Promise.all([writeFile(file('ca.pem'), leaf.ca), writeFile(file('bank-alpha.pem'), leaf.cert), writeFile(file('bank-alpha.key'), leaf.key)]);
}
