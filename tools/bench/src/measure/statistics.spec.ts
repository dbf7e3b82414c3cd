import { describe, expect, it } from '@jest/globals';
import { quantile, quantilesOf, ratiosOf, spreadOf } from './statistics.ts';

describe('statistics', () => {
  it('takes quantiles by nearest rank', () => {
    const values = Float64Array.from({ length: 1000 }, (_, index) => 1000 - index);
    expect(quantilesOf(values)).toEqual({ p50: 500, p99: 990, p999: 999 });
    expect(quantile(Float64Array.of(7), 0.999)).toBe(7);
  });

  it('has no quantiles of nothing', () => {
    expect(quantilesOf(new Float64Array())).toBeUndefined();
    expect(() => quantile(new Float64Array(), 0.5)).toThrow(RangeError);
  });

  it('leaves the values in their order', () => {
    const values = Float64Array.of(3, 1, 2);
    quantilesOf(values);
    expect([...values]).toEqual([3, 1, 2]);
  });

  it('spreads rounds into median, minimum and maximum, without those that have no value', () => {
    expect(spreadOf([3, undefined, 1, 2])).toEqual({ median: 2, min: 1, max: 3, rounds: 3 });
    expect(spreadOf([1, 2])?.median).toBe(1.5);
    expect(spreadOf([undefined, Number.NaN])).toBeUndefined();
  });

  it('compares round with round, so that a slow round slows both sides', () => {
    expect(ratiosOf([100, 50, 10], [10, 5, 1])).toEqual({ median: 10, min: 10, max: 10, rounds: 3 });
    expect(ratiosOf([100, undefined, 10], [10, 5, 0])).toEqual({ median: 10, min: 10, max: 10, rounds: 1 });
    expect(ratiosOf([1], [])).toBeUndefined();
  });
});
