// Recovery of more deliveries than may wait at a time, with banks that are slow, away, or back again.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { createCoordinator } from './coordinator.ts';
import type { Coordinator } from './coordinator.ts';
import type { TransferBody } from './protocol/vocabulary.ts';
import { alphaToBeta, createManualClock, createMemoryLog, createScriptedLink, requestOf, settled } from './testing/fake-ports.ts';
import type { ManualClock, MemoryLog, ScriptedLink } from './testing/fake-ports.ts';

const PER_BANK_MAX = 10;
const STALLED_MS = 2000;
const alphaToGamma: TransferBody = { ...alphaToBeta, to: { bank: 'gamma', account: 'greta' } };

let clock: ManualClock;
let log: MemoryLog;
let link: ScriptedLink;
let coordinator: Coordinator;

beforeEach(() => {
  clock = createManualClock();
  log = createMemoryLog(clock);
  link = createScriptedLink();
  coordinator = restart();
});

function restart(): Coordinator {
  return createCoordinator({ log, link, clock, prepareTimeoutMs: 2000, settleWaitMs: 1000, recoveredPerBankMax: PER_BANK_MAX });
}

/** Commits that no bank was told of. */
async function leaveBehind(name: string, count: number, body: TransferBody): Promise<void> {
  const ids = Array.from({ length: count }, (_, index) => `${name}${index}`);
  await log.decide(ids.map((id) => ({ ...requestOf(id, body), attempt: 1, verdict: { outcome: 'committed' } })), []);
}

/** These banks acknowledge what they were sent, and what comes of that, until nothing more does; returns the most that waited at once, by bank. */
async function acknowledge(...banks: readonly string[]): Promise<Record<string, number>> {
  const most: Record<string, number> = {};
  for (;;) {
    for (const bank of banks) most[bank] = Math.max(most[bank] ?? 0, waitingAt(bank));
    const index = link.decisions.findIndex(({ bank }) => banks.includes(bank));
    if (index < 0) return most;
    link.decisions.splice(index, 1)[0]!.acknowledge();
    await settled();
  }
}

function waitingAt(name: string): number {
  return link.decisions.filter(({ bank }) => bank === name).length;
}

const undeliveredRows = async (): Promise<number> => (await log.unfinished(1000)).length;

describe('recovery of more than may wait at a time', () => {
  it('has no more under way than the bound, counts the rest as undelivered, and delivers all of it', async () => {
    await leaveBehind('t', 100, alphaToBeta);
    expect(await coordinator.recover()).toBe(100);
    expect([waitingAt('alpha'), waitingAt('beta')]).toEqual([PER_BANK_MAX, PER_BANK_MAX]);
    expect(coordinator.load()).toEqual({ undecided: 0, undelivered: 100 });
    expect(link.decisions.slice(0, 4).map(({ id }) => id)).toEqual(['t0', 't0', 't1', 't1']);
    expect(await acknowledge('alpha', 'beta')).toEqual({ alpha: PER_BANK_MAX, beta: PER_BANK_MAX });
    expect(coordinator.load()).toEqual({ undecided: 0, undelivered: 0 });
    expect(await undeliveredRows()).toBe(0);
  });

  it('goes on without a bank that is away, and delivers what waits for it when it is back', async () => {
    await leaveBehind('away', 50, alphaToGamma);
    await leaveBehind('t', 50, alphaToBeta);
    expect(await coordinator.recover()).toBe(100);
    await acknowledge('alpha', 'beta');
    expect(await undeliveredRows()).toBe(100);
    await clock.advance(STALLED_MS);
    const most = await acknowledge('alpha', 'beta');
    expect(Math.max(...Object.values(most))).toBeLessThanOrEqual(PER_BANK_MAX);
    expect(waitingAt('gamma')).toBe(PER_BANK_MAX);
    expect(coordinator.load().undelivered).toBe(50);
    expect(await undeliveredRows()).toBe(50);
    expect(await acknowledge('alpha', 'beta', 'gamma')).toMatchObject({ gamma: PER_BANK_MAX });
    expect(coordinator.load().undelivered).toBe(0);
    expect(await undeliveredRows()).toBe(0);
  });

  it('tells the other banks of a row that waits for a bank that is away', async () => {
    await leaveBehind('away', 30, alphaToGamma);
    await coordinator.recover();
    const told = new Set<string>();
    for (const advance of [0, STALLED_MS]) {
      await clock.advance(advance);
      for (let next = link.decisions.find(({ bank }) => bank === 'alpha'); next !== undefined; next = link.decisions.find(({ bank }) => bank === 'alpha')) {
        told.add(next.id);
        link.decisions.splice(link.decisions.indexOf(next), 1);
        next.acknowledge();
        await settled();
      }
    }
    expect(told.size).toBe(30);
    expect(await undeliveredRows()).toBe(30);
  });

  it('waits for a bank as long as it acknowledges anything, however slowly', async () => {
    const { decide } = link;
    let sent = 0;
    link.decide = (...decision) => {
      sent += 1;
      decide(...decision);
    };
    await leaveBehind('t', 20, alphaToBeta);
    await coordinator.recover();
    await acknowledge('alpha');
    while (waitingAt('beta') > 0) {
      await clock.advance(STALLED_MS - 1);
      link.decisions.splice(link.decisions.findIndex(({ bank }) => bank === 'beta'), 1)[0]!.acknowledge();
      await settled();
      await acknowledge('alpha');
    }
    expect(await undeliveredRows()).toBe(0);
    expect(sent).toBe(40);
  });

  it('answers a bank that asks about a row that is not taken up yet', async () => {
    await leaveBehind('t', 100, alphaToBeta);
    await coordinator.recover();
    expect(link.decisions.some(({ id }) => id === 't99')).toBe(false);
    expect(await coordinator.inquire([{ ...requestOf('t99'), attempt: 1, deadlineMs: 0 }])).toEqual([{ kind: 'committed', attempt: 1 }]);
  });

  it('takes up nothing more once it is drained, and leaves the rest to the next life', async () => {
    await leaveBehind('t', 100, alphaToBeta);
    await coordinator.recover();
    await coordinator.drain();
    await acknowledge('alpha', 'beta');
    await clock.advance(10 * STALLED_MS);
    expect(link.decisions).toEqual([]);
    expect(coordinator.load().undelivered).toBe(90);
    expect(await restart().recover()).toBe(90);
  });

  it('delivers an abort whose id runs its next attempt, also when that attempt ends without a row', async () => {
    await log.decide([{ ...requestOf('t1'), attempt: 1, verdict: { outcome: 'aborted', why: 'timeout' } }], []);
    const told = coordinator.create(requestOf('t1'), 'grant', 'decided');
    await settled();
    await coordinator.recover();
    link.legs[0]!.vote({ kind: 'committed', replayed: true });
    await settled();
    await acknowledge('alpha', 'beta');
    expect(await told).toMatchObject({ kind: 'succeeded' });
    expect(await undeliveredRows()).toBe(0);
  });

  it('fails at its start when the log cannot be read', async () => {
    await leaveBehind('t', 100, alphaToBeta);
    log.unfinished = () => Promise.reject(new Error('the log is gone'));
    await expect(coordinator.recover()).rejects.toThrow('the log is gone');
  });
});
