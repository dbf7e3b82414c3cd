import { describe, expect, it } from '@jest/globals';
import { dueTimes } from './due-times.ts';

const nowMs = (): number => performance.now();

describe('times at which items are due', () => {
  it('are told once each, in their order, and never early', async () => {
    const told: string[] = [];
    const early: string[] = [];
    const at = new Map<string, number>();
    await new Promise<void>((resolve) => {
      const due = dueTimes<string>(nowMs, (item) => {
        if (nowMs() < at.get(item)!) early.push(item);
        told.push(item);
        if (item === 'last') resolve();
      });
      for (const [item, ms] of [['last', 120], ['first', 10], ['second', 60], ['now', -5]] as const) {
        at.set(item, nowMs() + ms);
        due.set(item, at.get(item)!);
      }
    });
    expect(told).toEqual(['now', 'first', 'second', 'last']);
    expect(early).toEqual([]);
  });

  it('are forgotten when deleted, and replaced when set again', async () => {
    const told: string[] = [];
    await new Promise<void>((resolve) => {
      const due = dueTimes<string>(nowMs, (item) => {
        told.push(item);
        if (item === 'end') resolve();
      });
      const startMs = nowMs();
      due.set('gone', startMs + 20);
      due.set('later', startMs + 10);
      due.set('end', startMs + 60);
      due.delete('gone');
      due.delete('never there');
      due.set('later', startMs + 30);
    });
    expect(told).toEqual(['later', 'end']);
  });

  it('set while others are told are told too', async () => {
    const told: number[] = [];
    await new Promise<void>((resolve) => {
      const due = dueTimes<number>(nowMs, (item) => {
        told.push(item);
        if (item < 3) due.set(item + 1, nowMs() + 5);
        else resolve();
      });
      due.set(1, nowMs());
    });
    expect(told).toEqual([1, 2, 3]);
  });
});
