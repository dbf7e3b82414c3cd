// What the rounds of a result come to: throughput, latencies, ratios to peer and floor. Pure.

import { greatestOf, ratiosOf, spreadOf, type Spread } from '../measure/statistics.ts';
import type { Sample, Usage } from '../measure/sample.ts';
import type { BenchResult, ProbeResult } from '../result.ts';

/** A probe's rounds in one line. */
export interface Summary {
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly perSecond: Spread | undefined;
  readonly p50Ms: Spread | undefined;
  readonly p99Ms: Spread | undefined;
  readonly p999Ms: Spread | undefined;
  /** Medians, by process. */
  readonly processes: Readonly<Record<string, Usage>>;
  readonly failures: Readonly<Record<string, number>>;
  readonly extra: Readonly<Record<string, number>>;
  /** Throughput as a multiple of the peer's, a transaction a payment, at its best in the same round. */
  readonly overPeer: Spread | undefined;
  readonly overFloor: Spread | undefined;
}

export function summarize(result: BenchResult): Summary[] {
  const peer = bestOf(result, 'peer.single.');
  return result.probes.map((probe) => {
    const samples = probe.samples.filter((sample) => sample !== null);
    const perSecond = series(probe, (sample) => sample.perSecond);
    return {
      key: probe.key,
      title: probe.title,
      unit: probe.unit,
      perSecond: spreadOf(perSecond),
      p50Ms: spreadOf(series(probe, ({ latencyMs }) => latencyMs?.p50)),
      p99Ms: spreadOf(series(probe, ({ latencyMs }) => latencyMs?.p99)),
      p999Ms: spreadOf(series(probe, ({ latencyMs }) => latencyMs?.p999)),
      processes: usageOf(samples),
      failures: totals(samples.map(({ failures }) => failures)),
      extra: medians(samples.map(({ extra = {} }) => extra)),
      overPeer: probe.unit === 'payments' && !/^(peer|floor|h)\./.test(probe.key) ? ratiosOf(perSecond, peer) : undefined,
      overFloor: probe.floor === undefined ? undefined : ratiosOf(perSecond, seriesOf(result, probe.floor, (sample) => sample.perSecond)),
    };
  });
}

/** One figure of a probe by round; empty when there is no such probe. */
export function seriesOf({ probes }: BenchResult, key: string, figure: (sample: Sample) => number | undefined): (number | undefined)[] {
  const probe = probes.find((candidate) => candidate.key === key);
  return probe === undefined ? [] : series(probe, figure);
}

/** By round, the most payments a second of all probes whose keys begin so. */
export function bestOf({ probes, ...rest }: BenchResult, prefix: string): (number | undefined)[] {
  const all = probes.filter(({ key }) => key.startsWith(prefix)).map(({ key }) => seriesOf({ probes, ...rest }, key, ({ perSecond }) => perSecond));
  const rounds = Math.max(0, ...all.map((values) => values.length));
  return Array.from({ length: rounds }, (_, round) => greatestOf(all.map((candidate) => candidate[round])));
}

function series({ samples }: ProbeResult, figure: (sample: Sample) => number | undefined): (number | undefined)[] {
  return samples.map((sample) => (sample === null ? undefined : figure(sample)));
}

function usageOf(samples: readonly Sample[]): Record<string, Usage> {
  const names = new Set(samples.flatMap(({ processes }) => Object.keys(processes)));
  return Object.fromEntries([...names].map((name) => {
    const usages = samples.map(({ processes }) => processes[name]);
    return [name, {
      cpuMicrosPerItem: spreadOf(usages.map((usage) => usage?.cpuMicrosPerItem ?? undefined))?.median,
      peakRssBytes: spreadOf(usages.map((usage) => usage?.peakRssBytes ?? undefined))?.max,
    }];
  }));
}

function totals(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const record of records) for (const [name, count] of Object.entries(record)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

function medians(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = new Set(records.flatMap((record) => Object.keys(record)));
  return Object.fromEntries([...names].map((name) => [name, spreadOf(records.map((record) => record[name]))?.median ?? 0]));
}
