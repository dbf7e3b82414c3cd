// What the gateway counts of its payments, beside its calls. Counted by batch, and read only when somebody asks.

import { Counter, Gauge, Histogram } from '@strife/service';
import type { Registry } from '@strife/service';
import type { SqliteDecisionLog } from '@strife/storage';
import type { Clock, Coordinator, DecisionLog } from '@strife/two-phase-commit';

/** How a payment ended for its caller: `succeeded`, `declined`, or what a failure says of the money; and why, if not well. */
export interface PaymentOutcome {
  readonly outcome: 'succeeded' | 'declined' | 'not_applied' | 'unknown';
  /** A decline reason or a failure's reason; empty for a success. */
  readonly reason: string;
}

export interface PaymentMetrics {
  /** Counts the payments of one call. */
  count(outcomes: readonly PaymentOutcome[]): void;
  /** The same log, with the sizes of its writes counted. */
  observeWrites(log: DecisionLog): DecisionLog;
  /** Shows what is under way and what is not delivered, whenever somebody asks. Asking writes nothing. */
  watch(coordinator: Pick<Coordinator, 'load'>, log: Pick<SqliteDecisionLog, 'oldestUnfinishedAtMs'>, clock: Pick<Clock, 'nowMs'>): void;
}

const ITEMS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

export function createPaymentMetrics(registry: Registry): PaymentMetrics {
  const registers = [registry];
  const transfers = new Counter({ name: 'strife_transfers_total', help: 'Transfers answered, by outcome and reason.', labelNames: ['outcome', 'reason'], registers });
  const batches = new Histogram({
    name: 'strife_batch_items', help: 'Items handled at once: transfers of one call, decisions of one write.', labelNames: ['kind'], buckets: ITEMS, registers,
  });
  const calls = batches.labels('transfers');
  const successes = transfers.labels('succeeded', '');
  const writes = batches.labels('decisions');

  return {
    count(outcomes) {
      calls.observe(outcomes.length);
      const tally = new Map<string, { of: PaymentOutcome; count: number }>();
      let succeeded = 0;
      for (const of of outcomes) {
        // By far the most, and all alike.
        if (of.outcome === 'succeeded') {
          succeeded += 1;
          continue;
        }
        const key = `${of.outcome} ${of.reason}`;
        const known = tally.get(key);
        if (known === undefined) tally.set(key, { of, count: 1 });
        else known.count += 1;
      }
      if (succeeded > 0) successes.inc(succeeded);
      for (const { of, count } of tally.values()) transfers.inc({ outcome: of.outcome, reason: of.reason }, count);
    },

    observeWrites: (log) => ({
      logId: log.logId,
      exclusive: log.exclusive,
      find: (ids) => log.find(ids),
      unfinished: (limit, after) => log.unfinished(limit, after),
      countUnfinished: () => log.countUnfinished(),
      decide(proposals, finished) {
        if (proposals.length > 0) writes.observe(proposals.length);
        return log.decide(proposals, finished);
      },
    }),

    watch(coordinator, log, clock) {
      gauge('strife_queue_depth', 'Transfers that are not decided.', () => coordinator.load().undecided);
      gauge('strife_in_doubt', 'Decisions that not every bank is known to have carried out.', () => coordinator.load().undelivered);
      gauge('strife_oldest_in_doubt_seconds', 'Age of the oldest of them.', () => {
        if (coordinator.load().undelivered === 0) return 0;
        const decidedAtMs = log.oldestUnfinishedAtMs();
        return decidedAtMs === undefined ? 0 : Math.max(0, clock.nowMs() - decidedAtMs) / 1000;
      });
    },
  };

  function gauge(name: string, help: string, read: () => number): Gauge {
    return new Gauge({
      name, help, registers,
      collect() {
        this.set(read());
      },
    });
  }
}
