import { decisionLogContract } from '@strife/storage/testing';
import type { SqliteDecisionLog } from '@strife/storage';
import { mayReplace } from '@strife/two-phase-commit';
import { describe, expect, it } from '@jest/globals';
import { createDecisionDisk, openMemoryDecisionLog } from './memory-decision-log.ts';
import { DiskFailure, soundSync } from './sync.ts';

decisionLogContract(() => {
  const disk = createDecisionDisk('log-1');
  return {
    // What a gateway keeps beside its decisions is not simulated, and not tried here.
    open: (nowMs) => openMemoryDecisionLog({ disk, exclusive: true, nowMs, mayReplace, sync: soundSync }) as unknown as SqliteDecisionLog,
    dispose: () => undefined,
  };
}, 'decisions');

describe('the simulated decision log', () => {
  const body = { from: { bank: 'alpha', account: 'ann' }, to: { bank: 'beta', account: 'ben' }, currency: 'EUR', amountMinor: 1n, memo: '' };
  const id = '0197b2a0-0000-7000-8000-000000000001';
  const proposal = { id, attempt: 1, fingerprint: '00'.repeat(16), body, createdAtMs: 0, verdict: { outcome: 'committed' as const } };

  it('keeps nothing of a write whose sync failed before it', async () => {
    const disk = createDecisionDisk('log-1');
    const sync = (): never => {
      throw new DiskFailure('told to');
    };
    const log = openMemoryDecisionLog({ disk, exclusive: true, nowMs: () => 0, mayReplace, sync });
    await expect(log.decide([proposal], [])).rejects.toThrow(DiskFailure);
    expect([disk.rows.size, disk.undelivered.size]).toEqual([0, 0]);
  });

  it('forgets in a crash which deliveries were done, unless they were written with a decision', async () => {
    const disk = createDecisionDisk('log-1');
    const open = (): ReturnType<typeof openMemoryDecisionLog> => openMemoryDecisionLog({ disk, exclusive: true, nowMs: () => 0, mayReplace, sync: soundSync });
    const log = open();
    await log.decide([proposal], []);
    await log.decide([], [{ id, attempt: 1 }]);
    expect((await open().unfinished(10)).map((row) => row.id)).toEqual([id]);
    await log.decide([{ ...proposal, id: id.replace(/1$/, '2') }], []);
    expect((await open().unfinished(10)).map((row) => row.id)).toEqual([id.replace(/1$/, '2')]);
  });
});
