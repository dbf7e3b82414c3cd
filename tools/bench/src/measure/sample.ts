// One measurement of one probe in one round.

import type { Job } from '../load/job.ts';
import type { LoadProcess } from '../load/load-process.ts';
import { cpuMicros, cpuMicrosBetween, peakRssBytes, resetPeakRss } from './process-usage.ts';
import { quantilesOf, type Quantiles } from './statistics.ts';

export interface Usage {
  /** Processor time for each item that was counted. */
  readonly cpuMicrosPerItem: number | undefined;
  readonly peakRssBytes: number | undefined;
}

export interface Sample {
  /** Payments, reads, logins, calls or syncs that succeeded inside the window. */
  readonly count: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly latencyMs: Quantiles | undefined;
  readonly failures: Readonly<Record<string, number>>;
  /** By process, the load generator among them. */
  readonly processes: Readonly<Record<string, Usage>>;
  /** What only this probe tells, such as logins a second while payments are measured. */
  readonly extra?: Readonly<Record<string, number>>;
}

/** Processes by name, looked up when the window begins: a server may have forked since. */
export type Watched = () => Readonly<Record<string, readonly number[]>>;

/** Runs the job in the load process and watches the processes while it counts. */
export async function takeSample(load: LoadProcess, job: Job, window: { warmupMs: number; seconds: number }, watched: Watched): Promise<Sample> {
  let before: Record<string, Before> = {};
  let processes: Record<string, After> = {};
  const result = await load.run(job, {
    ...window,
    onMeasuring() {
      const all = { ...watched(), load: [load.pid] };
      before = Object.fromEntries(Object.entries(all).map(([name, pids]) => {
        resetPeakRss(pids);
        return [name, { pids, cpuMicros: cpuMicros(pids) }];
      }));
    },
    onMeasured() {
      processes = Object.fromEntries(Object.entries(before).map(([name, { pids, cpuMicros: earlier }]) => {
        return [name, { cpuMicros: cpuMicrosBetween(earlier, cpuMicros(pids)), peakRssBytes: peakRssBytes(pids) }];
      }));
    },
  });
  const { count, seconds, latenciesMs, failures } = result;
  return {
    count: Math.round(count), seconds, failures,
    perSecond: count / seconds,
    latencyMs: quantilesOf(latenciesMs),
    processes: Object.fromEntries(Object.entries(processes).map(([name, usage]) => [
      name,
      { cpuMicrosPerItem: usage.cpuMicros === undefined || count === 0 ? undefined : usage.cpuMicros / count, peakRssBytes: usage.peakRssBytes },
    ])),
  };
}

interface Before {
  readonly pids: readonly number[];
  readonly cpuMicros: ReadonlyMap<number, number>;
}

interface After {
  readonly cpuMicros: number | undefined;
  readonly peakRssBytes: number | undefined;
}
