// Freshness: told once for each change, and never before a start had the time to hear everyone.

import { beforeEach, describe, expect, it } from '@jest/globals';
import { watchFreshness } from './revocation-freshness.ts';
import type { Freshness } from './revocation-freshness.ts';

let unheard: string[] | undefined;
let timers: { delayMs: number; callback: () => void }[];
let told: string[];
let freshness: Freshness;

beforeEach(() => {
  [unheard, timers, told] = [undefined, [], []];
  freshness = watchFreshness({
    unheard: () => unheard, graceMs: 5000,
    onFreshness: (isFresh) => told.push(isFresh ? 'health up' : 'health down'),
    clock: {
      after(delayMs, callback) {
        const timer = { delayMs, callback };
        timers.push(timer);
        return () => void (timers = timers.filter((other) => other !== timer));
      },
    },
    logger: { info: () => told.push('info'), warn: () => told.push('warn') },
  });
});

function fire(): void {
  const { callback } = timers.shift()!;
  callback();
}

describe('freshness', () => {
  it('is not there before it is known which gateways there are', () => {
    expect(freshness.check()).toBe(false);
    unheard = ['g2'];
    expect(freshness.check()).toBe(false);
    unheard = [];
    expect(freshness.check()).toBe(true);
    expect(told).toEqual([]);
  });

  it('lets a start wait until all are heard, and tells nothing when that went well', async () => {
    const ready = freshness.ready();
    unheard = [];
    freshness.check();
    await ready;
    expect([told, timers.map(({ delayMs }) => delayMs)]).toEqual([[], [100]]);
  });

  it('lets a start wait no longer than the grace, and then tells', async () => {
    unheard = ['g2'];
    const ready = freshness.ready();
    expect(timers.map(({ delayMs }) => delayMs)).toEqual([5000]);
    fire();
    await ready;
    expect(told).toEqual(['warn', 'health down']);
  });

  it('tells of each change once, by itself or to whoever asks', async () => {
    unheard = [];
    freshness.check();
    await freshness.ready();
    unheard = ['g2'];
    fire();
    fire();
    expect([freshness.check(), told.splice(0)]).toEqual([false, ['warn', 'health down']]);
    unheard = [];
    expect([freshness.check(), told.splice(0)]).toEqual([true, ['info', 'health up']]);
    fire();
    expect(told).toEqual([]);
    freshness.close();
    expect(timers).toEqual([]);
  });
});
