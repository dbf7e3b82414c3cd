// Replacing the signing key: on a ring in a real file, with a clock and a registry of the test's.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openKeyRing, readPublishedKeys } from '@strife/auth';
import type { KeyRing } from '@strife/auth';
import { startKeyRotation } from './key-rotation.ts';
import type { KeyRotation } from './key-rotation.ts';

const [KEY_LIFETIME_MS, LEAD_MS, TOKEN_LIFETIME_MS] = [100_000, 1_000, 10_000];

let directory: string;
let keys: KeyRing;
let rotation: KeyRotation;
let nowMs: number;
let next: PromiseWithResolvers<() => void>;
let published: string;
let isRegistryDown: boolean;
let warnings: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'strife-rotation-'));
  [nowMs, warnings, isRegistryDown, next] = [1_000_000, 0, false, Promise.withResolvers()];
  keys = await openKeyRing({ file: join(directory, 'keys.jwk'), leadMs: LEAD_MS, tokenLifetimeMs: TOKEN_LIFETIME_MS, nowMs });
  published = keys.published();
  rotation = startKeyRotation({
    keys, keyLifetimeMs: KEY_LIFETIME_MS, published,
    async publish(text) {
      if (isRegistryDown) throw new Error('the registry is down');
      published = text;
    },
    clock: {
      nowMs: () => nowMs,
      after(_delayMs, callback) {
        next.resolve(callback);
        return () => undefined;
      },
    },
    logger: { info: () => undefined, warn: () => void (warnings += 1) },
  });
  await next.promise;
});

afterEach(async () => {
  await rotation.close();
  await rm(directory, { recursive: true });
});

/** Lets time pass and one check run to its end. */
async function after(ms: number): Promise<void> {
  const due = await next.promise;
  next = Promise.withResolvers();
  nowMs += ms;
  due();
  await next.promise;
}

const isPublished = (kid: string): boolean => readPublishedKeys(published)?.verificationKey(kid) !== undefined;

describe('a signing key', () => {
  it('is replaced at its age, by one that was published for the lead time, and published until its tokens are over', async () => {
    const old = keys.kid;
    await after(KEY_LIFETIME_MS - 1);
    expect(keys.publicJwks().keys).toHaveLength(1);
    await after(1);
    const [, { kid }] = keys.publicJwks().keys as [unknown, { kid: string }];
    expect([keys.kid, isPublished(kid)]).toEqual([old, true]);
    await after(LEAD_MS - 1);
    expect(keys.kid).toBe(old);
    await after(1);
    expect([keys.kid, isPublished(old)]).toEqual([kid, true]);
    await after(TOKEN_LIFETIME_MS);
    expect([keys.verificationKey(old), isPublished(old), isPublished(kid)]).toEqual([undefined, false, true]);
  });

  it('goes on signing while the registry cannot tell of the next one, and that is told once', async () => {
    const old = keys.kid;
    isRegistryDown = true;
    await after(KEY_LIFETIME_MS);
    await after(10 * LEAD_MS);
    await after(10 * LEAD_MS);
    expect([keys.kid, warnings]).toEqual([old, 1]);
    isRegistryDown = false;
    await after(1);
    await after(LEAD_MS - 1);
    expect(keys.kid).toBe(old);
    await after(1);
    expect(keys.kid).not.toBe(old);
  });
});
