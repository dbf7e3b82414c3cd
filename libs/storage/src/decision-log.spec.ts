import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from '@jest/globals';
import { mayReplace } from '@strife/two-phase-commit';
import { decisionLogContract } from './contract/decision-log-contract.ts';
import { openDecisionLog } from './decision-log.ts';
import { GATEWAY_STORE } from './decision-schema.ts';
import { openStoreFile, type StoreKind } from './store-file.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

function failLoudly(error: Error): void {
  throw error;
}

decisionLogContract(() => {
  const directory = temporaryDirectory();
  return {
    open: (nowMs) => openDecisionLog({ file: directory.file('gateway.sqlite'), nowMs, mayReplace, onFatal: failLoudly }),
    dispose: () => directory.remove(),
  };
});

describe('the SQLite decision log', () => {
  it('takes the name it is given, and no other after that', () => {
    const directory = temporaryDirectory();
    const open = (logId?: string) =>
      openDecisionLog({ file: directory.file('g.sqlite'), nowMs: () => 0, mayReplace, onFatal: failLoudly, ...(logId === undefined ? {} : { logId }) });
    open('one').close();
    const again = open();
    expect(again.logId).toBe('one');
    again.close();
    expect(() => open('two')).toThrow('is the gateway store of "one"; expected the gateway store of "two"');
    directory.remove();
  });

  it('writes nothing to tell how old the oldest undelivered decision is', async () => {
    const directory = temporaryDirectory();
    const file = directory.file('g.sqlite');
    const log = openDecisionLog({ file, nowMs: () => 7, mayReplace, onFatal: failLoudly });
    const other = new DatabaseSync(file, { readOnly: true });
    const version = () => other.prepare('PRAGMA data_version').get();
    const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1n, memo: '' };
    const proposals = [1, 2].map((n) => ({
      id: `0197b2a0-0000-7000-8000-00000000000${n}`, attempt: 1, fingerprint: '00112233445566778899aabbccddeeff', body, createdAtMs: 0, verdict: { outcome: 'committed' as const },
    }));
    await log.decide(proposals, []);
    await log.decide([], [{ id: proposals[0]!.id, attempt: 1 }]);
    const before = version();
    expect(log.oldestUnfinishedAtMs()).toBe(7);
    expect(version()).toEqual(before);
    // What would be seen if it wrote.
    expect(await log.countUnfinished()).toBe(1);
    expect(version()).not.toEqual(before);
    other.close();
    log.close();
    directory.remove();
  });

  it('takes a store of schema 1 forward: decisions, banks and revocations stay, and revocations get numbers', async () => {
    const directory = temporaryDirectory();
    const file = directory.file('g.sqlite');
    const schema1: StoreKind = { ...GATEWAY_STORE, migrations: GATEWAY_STORE.migrations.slice(0, 1) };
    const id = '0197b2a0-0000-7000-8000-000000000001';
    openStoreFile({ file, kind: schema1, name: { required: 'one' }, onFatal: failLoudly }, (store) => {
      store.write(() => {
        const revoke = store.prepare('INSERT INTO revocations (issuer, jti, expires_at_ms) VALUES (?, ?, ?)');
        revoke.run('gateway', 'late', 3_000);
        revoke.run('gateway', 'early', 2_000);
        store.prepare("INSERT INTO known_banks VALUES ('alpha')").run();
        store.prepare(`INSERT INTO decisions VALUES (?, 1, x'00000000000000000000000000000000', 0, NULL, 'a', 'a', 'b', 'b', 'EUR', 5, '', 1, 2, 1)`)
          .run(Buffer.from(id.replaceAll('-', ''), 'hex'));
      });
      store.close();
    });
    const open = () => openDecisionLog({ file, nowMs: () => 0, mayReplace, onFatal: failLoudly });
    const log = open();
    expect(log.logId).toBe('one');
    expect((await log.find([id]))[0]?.body.amountMinor).toBe(5n);
    expect(log.knownBanks.has('alpha')).toBe(true);
    expect(log.revocations.after(0, 10)).toEqual([
      { issuer: 'gateway', jti: 'early', expiresAtMs: 2_000, seq: 1 }, { issuer: 'gateway', jti: 'late', expiresAtMs: 3_000, seq: 2 },
    ]);
    log.revocations.insert([{ issuer: 'gateway', jti: 'late', expiresAtMs: 3_000 }, { issuer: 'gateway', jti: 'new', expiresAtMs: 4_000 }]);
    log.close();
    const again = open();
    expect(again.revocations.after(2, 10).map(({ jti }) => jti)).toEqual(['new']);
    again.close();
    const withSchema1 = () => openStoreFile({ file, kind: schema1, name: { required: 'one' }, onFatal: failLoudly }, (store) => store.close());
    expect(withSchema1).toThrow('is at schema version 4, made by a newer program; expected version 1 or older');
    directory.remove();
  });

  it('takes a store of schema 3 forward: what waits for delivery stays, in its order, and can be finished', async () => {
    const directory = temporaryDirectory();
    const file = directory.file('g.sqlite');
    const schema3: StoreKind = { ...GATEWAY_STORE, migrations: GATEWAY_STORE.migrations.slice(0, 3) };
    const id = (n: number) => `0197b2a0-0000-7000-8000-00000000000${n}`;
    openStoreFile({ file, kind: schema3, name: { required: 'one' }, onFatal: failLoudly }, (store) => {
      const decide = store.prepare(`INSERT INTO decisions VALUES (?, 1, x'00000000000000000000000000000000', 0, NULL, 'a', 'a', 'b', 'b', 'EUR', 5, '', 1, ?, ?)`);
      const queue = store.prepare('INSERT INTO undelivered (seq, id) VALUES (?, ?)');
      store.write(() => {
        for (const [place, n] of [3, 1, 4, 2].entries()) {
          const key = Buffer.from(id(n).replaceAll('-', ''), 'hex');
          decide.run(key, 10 * n, place + 1);
          if (n !== 1) queue.run(place + 1, key);
        }
        store.prepare('UPDATE sequence SET next = 5').run();
      });
      store.close();
    });
    const log = openDecisionLog({ file, nowMs: () => 0, mayReplace, onFatal: failLoudly });
    const waiting = async (after?: string) => (await log.unfinished(10, after)).map((row) => row.id);
    expect([await waiting(), await waiting(id(3)), await waiting(id(1))]).toEqual([[id(3), id(4), id(2)], [id(4), id(2)], [id(4), id(2)]]);
    expect([1, 4].map((n) => log.history(id(n), 1)?.isDelivered)).toEqual([true, false]);
    expect(log.oldestUnfinishedAtMs()).toBe(30);
    await log.decide([], [{ id: id(4), attempt: 1 }]);
    expect([await waiting(), await log.countUnfinished()]).toEqual([[id(3), id(2)], 2]);
    log.close();
    directory.remove();
  });
});
