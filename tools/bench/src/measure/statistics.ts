// Quantiles of many latencies, and what several rounds come to. Pure.

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** What was seen over the rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

/** Undefined when there is nothing to tell of. */
export function quantilesOf(values: Float64Array): Quantiles | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.slice().sort();
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), p999: quantile(sorted, 0.999) };
}

/** The smallest value that at least this share of the sorted values do not exceed (nearest rank). */
export function quantile(sorted: Float64Array, share: number): number {
  const rank = Math.max(1, Math.ceil(sorted.length * share));
  const value = sorted[rank - 1];
  if (value === undefined) throw new RangeError('a quantile of nothing');
  return value;
}

/** Undefined when there is no value. */
export function greatestOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** Rounds without a value are left out; undefined when none has one. */
export function spreadOf(values: readonly (number | undefined)[]): Spread | undefined {
  const sorted = values.filter((value) => value !== undefined && Number.isFinite(value)).sort((one, other) => one! - other!) as number[];
  if (sorted.length === 0) return undefined;
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, rounds: sorted.length };
}

/** Round by round, so that what slowed a whole round down slows both sides; rounds that lack either side are left out. */
export function ratiosOf(over: readonly (number | undefined)[], under: readonly (number | undefined)[]): Spread | undefined {
  return spreadOf(over.map((value, round) => {
    const base = under[round];
    return value === undefined || base === undefined || base === 0 ? undefined : value / base;
  }));
}
