// Counts calls for Prometheus, where they are logged: each call ends there exactly once.
import { Status } from 'nice-grpc-common';
import type { Histogram as HistogramTypes } from 'prom-client';
import type { CallLog, CallRecord } from './call-log.ts';
import { Counter, Histogram, type Registry } from './prometheus.ts';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Series {
  readonly labels: { readonly method: string; readonly status: string };
  uncounted: number;
  readonly seconds: HistogramTypes.Internal<'method' | 'status'>;
}

/** The same log, with every call counted and timed in the registry by method and status. Methods and statuses are few, whoever calls. */
export function countCalls(log: CallLog, registry: Registry): CallLog {
  const labelNames = ['method', 'status'] as const;
  // Finding the series of a pair of labels costs more than counting in it.
  const series = new Map<string, Series>();
  const total = new Counter({
    name: 'strife_rpc_total', help: 'Calls served, by how they ended.', labelNames, registers: [registry],
    // Counted up when somebody asks.
    collect() {
      for (const known of series.values()) {
        total.inc(known.labels, known.uncounted);
        known.uncounted = 0;
      }
    },
  });
  const duration = new Histogram({
    name: 'strife_rpc_duration_seconds', help: 'How long calls took, from identity check to answer.', labelNames, buckets: SECONDS, registers: [registry],
  });
  const lost = new Counter({ name: 'strife_rpc_lost_total', help: 'Calls that ended before a whole request had arrived.', registers: [registry] });

  function ended({ method, startedAtMs }: CallRecord, status: Status): void {
    const key = status === Status.OK ? method : `${method} ${status}`;
    let known = series.get(key);
    if (known === undefined) {
      const labels = { method, status: Status[status] };
      series.set(key, (known = { labels, uncounted: 0, seconds: duration.labels(labels) }));
    }
    known.uncounted += 1;
    known.seconds.observe((performance.now() - startedAtMs) / 1000);
  }

  return {
    succeeded(record) {
      ended(record, Status.OK);
      log.succeeded(record);
    },
    failed(record, status, error) {
      ended(record, status);
      log.failed(record, status, error);
    },
    broke(record, error) {
      ended(record, Status.INTERNAL);
      log.broke(record, error);
    },
    lost(method, peer) {
      lost.inc();
      log.lost(method, peer);
    },
  };
}
