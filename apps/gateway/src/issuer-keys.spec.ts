// Other gateways' keys: those that are published now, and for an hour those of a gateway that has left.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { openKeyRing, SESSION_LIFETIME_MS } from '@strife/auth';
import type { KeyRing } from '@strife/auth';
import type { Instance } from '@strife/discovery';
import { createIssuerKeys, issuerOf } from './issuer-keys.ts';
import type { IssuerKeys } from './issuer-keys.ts';

let directory: string;
let one: KeyRing;
let other: KeyRing;
let nowMs: number;
let unreadable: string[];
let known: IssuerKeys;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'strife-issuers-'));
  [one, other] = await Promise.all(['one', 'other'].map((name) => openKeyRing({ file: join(directory, name) }))) as [KeyRing, KeyRing];
});

afterAll(() => rm(directory, { recursive: true }));

beforeEach(() => {
  [nowMs, unreadable] = [0, []];
  known = createIssuerKeys({ self: 'g1', clock: { monotonicMs: () => nowMs }, onUnreadable: (gateway) => unreadable.push(gateway) });
});

const gateway = (id: string, keys?: string): Instance => ({ service: 'gateway', id, host: 'h', port: 1, meta: keys === undefined ? {} : { keys } });
const counts = (ring: KeyRing, name = 'g2'): boolean => known.of(issuerOf(name))?.verificationKey(ring.kid) !== undefined;

describe('the keys of other gateways', () => {
  it('are those that each publishes for itself', () => {
    known.learn([gateway('g2', one.published()), gateway('g3', other.published())]);
    expect([counts(one), counts(other), counts(other, 'g3'), counts(one, 'g4')]).toEqual([true, false, true, false]);
  });

  it('are only those that it publishes now, as long as it is there', () => {
    known.learn([gateway('g2', one.published())]);
    known.learn([gateway('g2', other.published())]);
    expect([counts(one), counts(other)]).toEqual([false, true]);
  });

  it('count for the life of a session after it has left, and on when it comes back', () => {
    known.learn([gateway('g2', one.published())]);
    known.learn([]);
    nowMs = SESSION_LIFETIME_MS - 1;
    known.learn([gateway('g3', other.published())]);
    expect(counts(one)).toBe(true);
    known.learn([gateway('g2', one.published())]);
    nowMs += SESSION_LIFETIME_MS;
    expect(counts(one)).toBe(true);
    known.learn([]);
    nowMs += SESSION_LIFETIME_MS;
    expect(counts(one)).toBe(false);
  });

  it('are never taken from the registry for this gateway itself', () => {
    known.learn([gateway('g1', other.published())]);
    expect(known.of(issuerOf('g1'))).toBeUndefined();
  });

  it('are none, and that is told once, when it publishes none or something else', () => {
    known.learn([gateway('g2', 'x'), gateway('g3')]);
    known.learn([gateway('g2', 'x'), gateway('g3')]);
    expect([unreadable, counts(one), known.of(issuerOf('g3'))]).toEqual([['g2', 'g3'], false, undefined]);
  });
});
