// The key file: made once, whole and private; clear words about a broken one.

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { calculateJwkThumbprint } from 'jose';
import { openKeyRing } from './keys.ts';

describe('the key ring', () => {
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-keys-'));
    file = join(directory, 'new', 'keys.json');
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  interface KeyFile {
    keys: Record<string, string>[];
  }
  const readKeys = async () => JSON.parse(await readFile(file, 'utf8')) as KeyFile;
  const write = (content: unknown) => writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));

  it('makes a key on first use, in a file that only its user may read', async () => {
    const ring = await openKeyRing({ file });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(directory, 'new'))).toEqual(['keys.json']);
    expect(ring.verificationKey(ring.kid)?.type).toBe('public');
    expect(ring.verificationKey('other')).toBeUndefined();
  });

  it('uses the same key afterwards', async () => {
    const { kid } = await openKeyRing({ file });
    expect((await openKeyRing({ file })).kid).toBe(kid);
  });

  it('lets all that start at once use one key', async () => {
    const rings = await Promise.all(Array.from({ length: 8 }, () => openKeyRing({ file })));
    expect(new Set(rings.map((ring) => ring.kid)).size).toBe(1);
    expect(await readdir(join(directory, 'new'))).toEqual(['keys.json']);
  });

  it('publishes the public half only, under its RFC 7638 thumbprint', async () => {
    const ring = await openKeyRing({ file });
    const { keys: [jwk] } = ring.publicJwks();
    expect(jwk).toEqual({ kty: 'OKP', crv: 'Ed25519', x: expect.any(String), kid: ring.kid, alg: 'EdDSA', use: 'sig' });
    expect(await calculateJwkThumbprint({ ...jwk })).toBe(ring.kid);
  });

  it('signs with the first key of the file and verifies with all', async () => {
    const old = await openKeyRing({ file });
    const oldKeys = await readKeys();
    await rm(file);
    const { kid } = await openKeyRing({ file });
    await write({ keys: [...(await readKeys()).keys, ...oldKeys.keys] });
    const both = await openKeyRing({ file });
    expect(both.kid).toBe(kid);
    expect(both.verificationKey(old.kid)).toBeDefined();
    expect(both.publicJwks().keys.map((jwk) => jwk.kid)).toEqual([kid, old.kid]);
  });

  it.each([
    ['is not JSON', () => '{"keys": [{"d": "canary'],
    ['is not a JWK set', () => 'null'],
    ['is not a JWK set', () => ({ kty: 'OKP' })],
    ['holds no key', () => ({ keys: [] })],
    ['key number 1', () => ({ keys: [null] })],
    ['key number 1', ({ keys: [key] }: KeyFile) => ({ keys: [{ ...key, d: 'canary' }] })],
    ['key number 1', ({ keys: [key] }: KeyFile) => ({ keys: [{ ...key, kid: 'other' }] })],
    ['key number 1', ({ keys: [key] }: KeyFile) => ({ keys: [{ ...key, crv: 'P-256' }] })],
    ['key number 2', ({ keys: [key] }: KeyFile) => ({ keys: [key, { ...key, x: key?.d }] })],
  ])('says that the file %s, what to do, and nothing of its content', async (problem, damage) => {
    await openKeyRing({ file });
    const whole = await readKeys();
    await write(damage(whole));
    const error = await openKeyRing({ file }).then(() => undefined, (reason: Error) => reason);
    expect(error).toMatchObject({ name: 'KeyFileError', code: 'KEY_FILE', file, message: expect.stringContaining(problem) });
    expect(error?.message).toContain('restore it from a backup');
    expect(inspect(error)).not.toContain('canary');
    expect(inspect(error)).not.toContain(whole.keys[0]?.['d']);
  });

  it('refuses a file that others may read', async () => {
    await openKeyRing({ file });
    await chmod(file, 0o644);
    await expect(openKeyRing({ file })).rejects.toMatchObject({ message: expect.stringContaining(`chmod 600 ${file}`) });
  });

  it('says that a directory stands in the place of the file', async () => {
    await chmod(directory, 0o700);
    await expect(openKeyRing({ file: directory })).rejects.toMatchObject({ message: expect.stringContaining('cannot be read (EISDIR)') });
  });

  it('says that the file cannot be made', async () => {
    await writeFile(join(directory, 'new'), '');
    await expect(openKeyRing({ file })).rejects.toMatchObject({ name: 'KeyFileError', file });
  });
});
