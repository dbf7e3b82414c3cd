// Certificates from files: clear about what is missing, and never half replaced.

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, ensureCertificates, spiffeUri, type TlsMaterial } from '@strife/certs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openCertificateFiles, type CertificateError, type Certificates, type CertificateSource } from './certificates.ts';

describe('certificate files', () => {
  let directory: string;
  let source: CertificateSource | undefined;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-certificates-'));
    await ensureCertificates({ directory, identities: ['bank/alpha'] });
  });

  afterEach(async () => {
    source?.close();
    source = undefined;
    await rm(directory, { recursive: true });
  });

  const open = (onProblem?: (error: CertificateError) => void) =>
    openCertificateFiles({ directory, role: 'bank', name: 'alpha', pollIntervalMs: 50, ...(onProblem && { onProblem }) });
  const put = async (name: string, content: string) => {
    await writeFile(join(directory, `${name}.tmp`), content);
    await rename(join(directory, `${name}.tmp`), join(directory, name));
  };
  const makeOthers = async (): Promise<TlsMaterial> => (await createAuthority()).issue({ uris: [spiffeUri('bank/alpha')] });

  it('reads what the certificate tool wrote', async () => {
    source = await open();
    const { ca, cert, key } = source.current();
    expect([ca, cert, key].map((pem) => /BEGIN [A-Z ]+/.exec(pem.toString())?.[0])).toEqual([
      'BEGIN CERTIFICATE', 'BEGIN CERTIFICATE', 'BEGIN PRIVATE KEY',
    ]);
  });

  it.each(['ca.pem', 'bank-alpha.pem', 'bank-alpha.key'])('names %s when it is missing, and how to make it', async (name) => {
    await rm(join(directory, name));
    const file = join(directory, name);
    await expect(open()).rejects.toMatchObject({ name: 'CertificateError', file, message: `certificate file ${file}: is missing; make it with: npm run certs` });
  });

  it.each(['ca.pem', 'bank-alpha.pem', 'bank-alpha.key'])('names %s when it is damaged, and does not quote it', async (name) => {
    await put(name, 'canary');
    await expect(open()).rejects.toMatchObject({ file: join(directory, name), message: expect.not.stringContaining('canary') });
  });

  it('refuses a key that is not the certificate\'s', async () => {
    await put('bank-alpha.key', (await makeOthers()).key);
    await expect(open()).rejects.toMatchObject({ file: join(directory, 'bank-alpha.key'), message: expect.stringContaining('is not the key of') });
  });

  it('refuses a certificate that has expired', async () => {
    const yearMs = 366 * 24 * 60 * 60 * 1000;
    await expect(openCertificateFiles({ directory, role: 'bank', name: 'alpha', nowMs: () => Date.now() + yearMs }))
      .rejects.toMatchObject({ message: expect.stringContaining('expired on') });
  });

  it('tells of replaced files once all of them fit together, and keeps the old ones until then', async () => {
    let onProblem: (error: CertificateError) => void = () => {};
    source = await open((error) => onProblem(error));
    const before = source.current();
    const rotations: Certificates[] = [];
    const rotated = new Promise<void>((resolve) => {
      source?.onRotate((certificates) => {
        rotations.push(certificates);
        if (certificates.ca.toString() === others.ca) resolve();
      });
    });
    const others = await makeOthers();

    const reported = new Promise<CertificateError>((resolve) => { onProblem = resolve; });
    await put('bank-alpha.pem', others.cert);
    expect(await reported).toMatchObject({ message: expect.stringContaining('is not the key of') });
    expect(source.current()).toBe(before);

    await put('bank-alpha.key', others.key);
    await put('ca.pem', others.ca);
    await rotated;
    expect(source.current()).toBe(rotations.at(-1));
    expect(source.current().cert.toString()).toBe(others.cert);
  });

  it('calls no listener that was taken off', async () => {
    source = await open();
    const heard: string[] = [];
    const stop = source.onRotate(() => heard.push('stopped'));
    stop();
    const rotated = new Promise<void>((resolve) => { source?.onRotate(() => resolve()); });
    await put('ca.pem', (await makeOthers()).ca);
    await rotated;
    expect(heard).toEqual([]);
  });
});
