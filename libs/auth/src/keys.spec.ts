// The key file: made once, whole and private; clear words about a broken one.

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { calculateJwkThumbprint } from 'jose';
import { openKeyRing, type KeyRing } from './keys.ts';
import { PUBLISHED_KEYS_CHARACTERS_MAX, readPublishedKeys } from './public-keys.ts';

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

  describe('when a key is replaced', () => {
    const LEAD_MS = 1_000;
    const LIFETIME_MS = 10_000;
    const open = () => openKeyRing({ file, leadMs: LEAD_MS, tokenLifetimeMs: LIFETIME_MS, nowMs: 1 });
    const kids = (ring: KeyRing) => ring.publicJwks().keys.map(({ kid }) => kid);

    it('publishes the new key for the lead time before it signs, and drops the old one when its tokens are over', async () => {
      const ring = await open();
      const old = ring.kid;
      expect(ring.signsSinceMs).toBe(1);
      expect(await ring.rotate()).toBe(true);
      const [, next] = kids(ring);
      expect([ring.kid, ring.verificationKey(next!)?.type]).toEqual([old, 'public']);
      expect(await ring.advance(5_000_000)).toBe(false);
      ring.notePublished(5_000);
      ring.notePublished(5_900);
      expect([await ring.advance(5_999), ring.kid]).toEqual([false, old]);
      expect([await ring.advance(6_000), ring.kid, ring.signsSinceMs]).toEqual([true, next, 6_000]);
      expect(kids(ring)).toEqual([next, old]);
      expect(await ring.advance(15_999)).toBe(false);
      expect([await ring.advance(16_000), kids(ring)]).toEqual([true, [next]]);
      expect(ring.verificationKey(old)).toBeUndefined();
      expect(await ring.advance(1e12)).toBe(false);
    });

    it('begins no second replacement before the first is done', async () => {
      const ring = await open();
      await ring.rotate();
      const held = kids(ring);
      expect([await ring.rotate(), kids(ring)]).toEqual([false, held]);
      ring.notePublished(0);
      await ring.advance(LEAD_MS);
      expect([await ring.rotate(), kids(ring)]).toEqual([false, held.toReversed()]);
    });

    it('goes on after a restart at every step, counting the lead time anew', async () => {
      const first = await open();
      const old = first.kid;
      await first.rotate();
      first.notePublished(0);
      const second = await open();
      const [, next] = kids(second);
      expect([second.kid, next, await second.advance(LEAD_MS)]).toEqual([old, kids(first)[1], false]);
      second.notePublished(LEAD_MS);
      await second.advance(2 * LEAD_MS);
      const third = await open();
      expect([third.kid, kids(third), third.signsSinceMs]).toEqual([next, [next, old], 2 * LEAD_MS]);
      await third.advance(2 * LEAD_MS + LIFETIME_MS);
      expect(kids(await open())).toEqual([next]);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect(await readdir(join(directory, 'new'))).toEqual(['keys.json']);
    });

    it('gives a second key that was put in by hand the life of a token', async () => {
      await open();
      const oldKeys = await readKeys();
      await rm(file);
      await open();
      await write({ keys: [...(await readKeys()).keys, ...oldKeys.keys] });
      const ring = await open();
      expect(kids(ring)).toHaveLength(2);
      await ring.advance(100);
      expect([await ring.advance(99 + LIFETIME_MS), await ring.advance(100 + LIFETIME_MS), kids(ring)]).toEqual([false, true, [ring.kid]]);
    });

    it('stays as it was when the file cannot be written', async () => {
      const ring = await open();
      await rm(join(directory, 'new'), { recursive: true });
      await expect(ring.rotate()).rejects.toMatchObject({ name: 'KeyFileError', message: expect.stringContaining('cannot be written (ENOENT)') });
      expect(kids(ring)).toEqual([ring.kid]);
    });

    it('refuses a file of three keys', async () => {
      await open();
      const { keys: [key] } = await readKeys();
      await write({ keys: [key, key, key] });
      await expect(open()).rejects.toMatchObject({ message: expect.stringContaining('more than 2 keys') });
    });

    it('publishes two keys in a text that fits, without private parts, the same whichever of them signs', async () => {
      const ring = await open();
      await ring.rotate();
      const text = ring.published();
      expect(text.length).toBeLessThanOrEqual(PUBLISHED_KEYS_CHARACTERS_MAX);
      for (const { d } of (await readKeys()).keys) expect(text).not.toContain(d);
      ring.notePublished(0);
      await ring.advance(LEAD_MS);
      expect(ring.published()).toBe(text);
      const read = readPublishedKeys(text)!;
      for (const kid of kids(ring)) expect(read.verificationKey(kid)?.equals(ring.verificationKey(kid)!)).toBe(true);
      expect(read.verificationKey('other')).toBeUndefined();
    });
  });

  it('reads no published text that is not whole', async () => {
    const text = (await openKeyRing({ file })).published();
    const { keys: [key] } = JSON.parse(text) as { keys: [Record<string, string>] };
    for (const wrong of ['', 'null', '{}', '{"keys":[]}', '{"keys":[null]}', text.slice(1), text.replace(key['kid']!, 'other'),
      JSON.stringify({ keys: [{ ...key, x: `${key['x']}A` }] }), JSON.stringify({ keys: [key, key, key] }), text + ' '.repeat(512)]) {
      expect(readPublishedKeys(wrong)).toBeUndefined();
    }
  });
});
