// Results made up for tests of reports.

import type { Sample } from '../measure/sample.ts';
import type { BenchResult, ProbeResult } from '../result.ts';

/** A sample of one second. */
export function sampleOf(perSecond: number, overrides: Partial<Sample> = {}): Sample {
  return {
    count: perSecond, seconds: 1, perSecond, latencyMs: { p50: 1, p99: 5, p999: 9 }, failures: {},
    processes: { gateway: { cpuMicrosPerItem: 30, peakRssBytes: 150e6 }, load: { cpuMicrosPerItem: 5, peakRssBytes: 90e6 } },
    ...overrides,
  };
}

export function probeOf(key: string, samples: readonly (Sample | null)[], overrides: Partial<ProbeResult> = {}): ProbeResult {
  return { key, title: `title of ${key}`, unit: 'payments', floor: undefined, samples, ...overrides };
}

export function resultOf(probes: readonly ProbeResult[], overrides: Partial<BenchResult> = {}): BenchResult {
  return {
    version: 1, profile: 'full', command: 'npm run bench --', commit: 'abc1234', startedAt: '2026-01-01T00:00:00.000Z', seconds: 60,
    machine: { cpus: 2, cpuModel: 'CPU', memoryBytes: 8e9, system: 'linux', node: 'v24' }, inDoubt: 100_000, probes,
    audits: [{ stage: 'books', clean: true, transfersChecked: 1000, inDoubt: 0, problems: [], seconds: 1 }],
    peer: { kind: 'ran', version: '18.4' }, notes: [], ...overrides,
  };
}
