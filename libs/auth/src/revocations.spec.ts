// Revocations: durable before they are acknowledged, and forgotten only when the token has expired anyway.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { createRevocations, RevocationsFullError, type RevocationRow, type RevocationStore } from './revocations.ts';

const HOUR_MS = 3_600_000;

describe('revocations', () => {
  let nowMs: number;
  let steadyMs: number;
  let store: RevocationStore & { rows: Map<string, RevocationRow>; beforeInsert: Promise<void>; deletions: number; inserts: number };

  beforeEach(() => {
    nowMs = 1_800_000_000_000;
    steadyMs = 50;
    store = {
      rows: new Map(),
      beforeInsert: Promise.resolve(),
      deletions: 0,
      inserts: 0,
      async insert(rows) {
        await store.beforeInsert;
        store.inserts += 1;
        for (const row of rows) store.rows.set(`${row.issuer} ${row.jti}`, row);
      },
      load: (now) => [...store.rows.values()].filter((row) => row.expiresAtMs > now),
      deleteExpired(now) {
        store.deletions += 1;
        for (const [key, row] of store.rows) if (row.expiresAtMs <= now) store.rows.delete(key);
      },
    };
  });

  const open = (rowsMax = 1000) => createRevocations({ store, nowMs: () => nowMs, monotonicMs: () => steadyMs, rowsMax });

  function pass(ms: number): void {
    nowMs += ms;
    steadyMs += ms;
  }

  it('refuses the revoked token, and no other', async () => {
    const revocations = await open();
    await revocations.revoke('gateway-1', 'a', nowMs + 1000);
    expect(revocations.isRevoked('gateway-1', 'a')).toBe(true);
    expect(revocations.isRevoked('gateway-2', 'a')).toBe(false);
    expect(revocations.isRevoked('gateway-1', 'b')).toBe(false);
    expect(revocations.isRevoked('gateway', '-1a')).toBe(false);
  });

  it('refuses it after a restart, too', async () => {
    await (await open()).revoke('gateway-1', 'a', nowMs + 1000);
    expect((await open()).isRevoked('gateway-1', 'a')).toBe(true);
  });

  it('resolves after the row is written, and refuses the token already before', async () => {
    let written: () => void = () => {};
    store.beforeInsert = new Promise((resolve) => { written = resolve; });
    const revocations = await open();
    let isDone = false;
    const revoked = revocations.revoke('gateway-1', 'a', nowMs + 1000).then(() => { isDone = true; });
    expect(revocations.isRevoked('gateway-1', 'a')).toBe(true);
    await new Promise((resolve) => { setImmediate(resolve); });
    expect(isDone).toBe(false);
    written();
    await revoked;
    expect(store.rows.size).toBe(1);
  });

  it('rejects when the row cannot be written; repeating it writes the row', async () => {
    const revocations = await open();
    store.beforeInsert = Promise.reject(new Error('disk full'));
    await expect(revocations.revoke('gateway-1', 'a', nowMs + 1000)).rejects.toThrow('disk full');
    expect(revocations.isRevoked('gateway-1', 'a')).toBe(true);
    store.beforeInsert = Promise.resolve();
    await revocations.revoke('gateway-1', 'a', nowMs + 1000);
    expect((await open()).isRevoked('gateway-1', 'a')).toBe(true);
  });

  it('learns many in one write, and writes nothing that it knows already', async () => {
    const revocations = await open();
    await revocations.revoke('gateway-1', 'a', nowMs + 1000);
    const rows = ['a', 'b', 'c'].map((jti) => ({ issuer: 'gateway-1', jti, expiresAtMs: nowMs + 1000 }));
    await revocations.learn([...rows, { issuer: 'gateway-1', jti: 'over', expiresAtMs: nowMs - 2 * HOUR_MS }]);
    await revocations.learn(rows);
    expect(store.inserts).toBe(2);
    expect([...store.rows.keys()]).toEqual(['gateway-1 a', 'gateway-1 b', 'gateway-1 c']);
    expect((await open()).isRevoked('gateway-1', 'c')).toBe(true);
  });

  it('keeps a row for longer when it now ends later, and never for less long', async () => {
    const revocations = await open();
    for (const lifetimeMs of [1000, 5000, 2000]) await revocations.revoke('gateway-1', 'a', nowMs + lifetimeMs);
    expect([store.inserts, [...store.rows.values()].map(({ expiresAtMs }) => expiresAtMs - nowMs)]).toEqual([2, [5000]]);
    pass(4000);
    expect((await open()).isRevoked('gateway-1', 'a')).toBe(true);
  });

  it('does not keep what has expired', async () => {
    const revocations = await open();
    await revocations.revoke('gateway-1', 'a', nowMs - 2 * HOUR_MS);
    expect(store.rows.size).toBe(0);
    await revocations.revoke('gateway-1', 'b', nowMs + 1000);
    pass(60_000);
    await revocations.revoke('gateway-1', 'c', nowMs + 1000);
    expect([...store.rows.keys()]).toEqual(['gateway-1 c']);
    expect(revocations.isRevoked('gateway-1', 'b')).toBe(false);
    expect(store.deletions).toBe(2);
    pass(1000 + 2 * HOUR_MS);
    await open();
    expect(store.rows.size).toBe(0);
  });

  it('takes no more than memory is meant for, all of a call or none, until some have expired', async () => {
    const revocations = await open(3);
    const rows = ['a', 'b', 'c', 'd'].map((jti) => ({ issuer: 'gateway-1', jti, expiresAtMs: nowMs + HOUR_MS }));
    await revocations.learn(rows.slice(0, 2));
    await expect(revocations.learn(rows.slice(2))).rejects.toThrow(RevocationsFullError);
    expect([store.rows.size, revocations.isRevoked('gateway-1', 'c')]).toEqual([2, false]);
    // What is known already is no burden.
    await revocations.revoke('gateway-1', 'a', nowMs + 2 * HOUR_MS);
    pass(HOUR_MS);
    await revocations.learn(rows.slice(2).map((row) => ({ ...row, expiresAtMs: nowMs + HOUR_MS })));
    expect([...store.rows.keys()].sort()).toEqual(['gateway-1 a', 'gateway-1 c', 'gateway-1 d']);
  });

  describe('when the wall clock steps ahead and back', () => {
    const isRevokedStill = async (): Promise<boolean> => (await open()).isRevoked('gateway-1', 'a');

    it('stay, in memory and in the store, until they have expired by the steady clock too', async () => {
      const revocations = await open();
      await revocations.revoke('gateway-1', 'a', nowMs + HOUR_MS);
      nowMs += 48 * HOUR_MS;
      pass(60_000);
      await revocations.learn([]);
      expect(store.deletions).toBe(2);
      nowMs -= 48 * HOUR_MS;
      expect([revocations.isRevoked('gateway-1', 'a'), await isRevokedStill()]).toEqual([true, true]);
      pass(HOUR_MS);
      await revocations.learn([]);
      expect([revocations.isRevoked('gateway-1', 'a'), store.rows.size]).toEqual([false, 0]);
    });

    it('stay after a start with the wrong clock', async () => {
      await (await open()).revoke('gateway-1', 'a', nowMs + HOUR_MS);
      nowMs += 2 * HOUR_MS;
      const revocations = await open();
      pass(60_000);
      await revocations.learn([]);
      nowMs -= 2 * HOUR_MS;
      expect([revocations.isRevoked('gateway-1', 'a'), await isRevokedStill()]).toEqual([true, true]);
    });

    it('are learnt from others meanwhile', async () => {
      const revocations = await open();
      const row = { issuer: 'gateway-1', jti: 'a', expiresAtMs: nowMs + HOUR_MS };
      nowMs += 2 * HOUR_MS;
      await revocations.learn([row]);
      nowMs -= 2 * HOUR_MS;
      expect([revocations.isRevoked('gateway-1', 'a'), await isRevokedStill()]).toEqual([true, true]);
    });

    it('go when they have expired, each one, though an older one must stay', async () => {
      const revocations = await open();
      await revocations.revoke('gateway-1', 'a', nowMs - 1);
      await revocations.revoke('gateway-1', 'b', nowMs + 1000);
      pass(60_000);
      await revocations.learn([]);
      expect(['a', 'b'].map((jti) => revocations.isRevoked('gateway-1', jti))).toEqual([true, false]);
      pass(2 * HOUR_MS);
      await revocations.learn([]);
      expect([revocations.isRevoked('gateway-1', 'a'), store.rows.size]).toEqual([false, 0]);
    });
  });
});
