import { describe, expect, it } from '@jest/globals';
import { measureLoop, type Window } from './measure-loop.ts';

function window(overrides: Partial<Window> = {}): Window {
  return { warmupMs: 0, seconds: 0.05, onMeasuring: () => {}, onMeasured: () => {}, ...overrides };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the measured loop', () => {
  it('runs as many steps at once as there are workers, and counts items and failures', async () => {
    let underWay = 0;
    let most = 0;
    const result = await measureLoop(window(), {
      workers: 3,
      async step() {
        underWay += 1;
        most = Math.max(most, underWay);
        await turn();
        underWay -= 1;
        return { done: 10, failures: { BUSY: 1 } };
      },
    });
    expect(most).toBe(3);
    expect(result.latenciesMs.length).toBe(result.failures['BUSY']);
    // The last steps overlap the end of the window and count in part.
    expect(result.count).toBeGreaterThan((result.latenciesMs.length - 6) * 10);
    expect(result.count).toBeLessThanOrEqual(result.latenciesMs.length * 10);
  });

  it('counts a step that outlasts the window by the share inside', async () => {
    let end: () => void = () => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const result = await measureLoop(window({ onMeasured: () => setTimeout(end, 50) }), {
      workers: 1,
      async step() {
        await ended;
        return { done: 1000 };
      },
    });
    expect(result.count).toBeGreaterThan(0);
    expect(result.count).toBeLessThan(1000);
    expect(result.latenciesMs.length).toBe(1);
  });

  it('says when counting begins and ends', async () => {
    const told: string[] = [];
    await measureLoop(window({ warmupMs: 10, onMeasuring: () => told.push('measuring'), onMeasured: () => told.push('measured') }), {
      workers: 1,
      async step() {
        await turn();
        return { done: 1 };
      },
    });
    expect(told).toEqual(['measuring', 'measured']);
  });

  it('lets arrivals come at their rate, however long steps take', async () => {
    let underWay = 0;
    let most = 0;
    const result = await measureLoop(window({ seconds: 0.2 }), {
      workers: 2,
      perSecond: 500,
      async step() {
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setTimeout(resolve, 100));
        underWay -= 1;
        return { done: 1 };
      },
    });
    expect(most).toBeGreaterThan(2);
    expect(result.latenciesMs.length).toBeGreaterThan(2);
    expect(result.latenciesMs.length).toBeLessThanOrEqual(101);
  });

  it('ends at a step that throws', async () => {
    const broken = measureLoop(window({ seconds: 60 }), { workers: 2, step: async () => Promise.reject(new Error('no disk')) });
    await expect(broken).rejects.toThrow('no disk');
  });
});
