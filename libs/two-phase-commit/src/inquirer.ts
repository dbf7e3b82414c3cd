// Keeps a bank's prepared legs from staying in doubt: asks the gateways that serve each leg's log, and obeys their answers.

import type { Clock } from './ports.ts';
import type { DecideCommand, DoubtfulLeg } from './participant.ts';
import type { Inquiry, InquiryAnswer } from './protocol/decision-rules.ts';
import type { Decision, LogId, TransferId } from './protocol/vocabulary.ts';

export interface Inquirer {
  /** Starts the wait for a leg's decision. `atOnce` for legs found prepared at start. */
  track(leg: DoubtfulLeg, atOnce?: boolean): void;
  forget(id: TransferId): void;
  /** Somebody who can answer for this log has appeared: ask now, whatever the back-off says. */
  wake(log: LogId): void;
  /** Legs in doubt, and for how long the oldest of them is. */
  doubt(): { legs: number; oldestForMs: number };
  /** Asks no more, and carries out no answer that arrives from now on. */
  stop(): void;
}

export interface InquirerOptions {
  readonly clock: Clock;
  /** Asks any gateway that serves the log; rejects when none can be reached. */
  readonly ask: (log: LogId, inquiries: readonly (Inquiry & { deadlineMs: number })[]) => Promise<readonly InquiryAnswer[]>;
  /** Carries out what was answered; resolves when it is durable. */
  readonly decide: (commands: readonly DecideCommand[]) => Promise<unknown>;
  /** Told of a round that failed; the legs stay in doubt and are asked about again. */
  readonly onFailure: (log: LogId, error: unknown) => void;
  /** The first wait, doubled after each round up to `delayMaxMs`. */
  readonly delayMs?: number;
  readonly delayMaxMs?: number;
}

const SWEEP_INTERVAL_MS = 100;
const INQUIRIES_PER_CALL_MAX = 1000;

interface Doubt {
  readonly leg: DoubtfulLeg;
  readonly sinceMs: number;
  nextAtMs: number;
  delayMs: number;
}

export function createInquirer({ clock, ask, decide, onFailure, delayMs = 200, delayMaxMs = 5000 }: InquirerOptions): Inquirer {
  const doubts = new Map<TransferId, Doubt>();
  const busy = new Set<LogId>();
  let stopped = false;
  let cancelSweep = clock.after(SWEEP_INTERVAL_MS, sweep);

  function sweep(): void {
    if (stopped) return;
    cancelSweep = clock.after(SWEEP_INTERVAL_MS, sweep);
    const nowMs = clock.monotonicMs();
    const due = new Map<LogId, Doubt[]>();
    for (const doubt of doubts.values()) {
      if (doubt.nextAtMs > nowMs || busy.has(doubt.leg.log)) continue;
      const batch = due.get(doubt.leg.log);
      if (batch === undefined) due.set(doubt.leg.log, [doubt]);
      else if (batch.length < INQUIRIES_PER_CALL_MAX) batch.push(doubt);
    }
    for (const [log, batch] of due) void round(log, batch);
  }

  async function round(log: LogId, batch: readonly Doubt[]): Promise<void> {
    busy.add(log);
    const nowMs = clock.monotonicMs();
    for (const doubt of batch) {
      doubt.nextAtMs = nowMs + doubt.delayMs;
      doubt.delayMs = Math.min(doubt.delayMs * 2, delayMaxMs);
    }
    try {
      const answers = await ask(log, batch.map(({ leg }) => inquiryOf(leg)));
      const commands = batch.flatMap(({ leg }, index) => {
        const decision = decisionFrom(leg, answers[index]);
        return decision === undefined ? [] : [{ id: leg.id, log, decision }];
      });
      if (commands.length > 0 && !stopped) await decide(commands);
    } catch (error) {
      onFailure(log, error);
    } finally {
      busy.delete(log);
    }
  }

  return {
    track(leg, atOnce = false) {
      const nowMs = clock.monotonicMs();
      const sinceMs = doubts.get(leg.id)?.sinceMs ?? nowMs;
      doubts.set(leg.id, { leg, sinceMs, delayMs, nextAtMs: atOnce ? nowMs : nowMs + delayMs });
    },
    forget: (id) => void doubts.delete(id),
    wake(log) {
      for (const doubt of doubts.values()) {
        if (doubt.leg.log !== log) continue;
        doubt.nextAtMs = 0;
        doubt.delayMs = delayMs;
      }
    },
    doubt() {
      const nowMs = clock.monotonicMs();
      let oldestForMs = 0;
      for (const { sinceMs } of doubts.values()) oldestForMs = Math.max(oldestForMs, nowMs - sinceMs);
      return { legs: doubts.size, oldestForMs };
    },
    stop() {
      stopped = true;
      cancelSweep();
    },
  };
}

function inquiryOf({ id, attempt, fingerprint, terms }: DoubtfulLeg): Inquiry & { deadlineMs: number } {
  return { id, attempt, fingerprint, body: terms.body, createdAtMs: 0, deadlineMs: terms.deadlineMs };
}

/** "I do not know this transfer" is never a yes: anything but a decision leaves the leg as it is. */
function decisionFrom({ fingerprint }: DoubtfulLeg, answer: InquiryAnswer | undefined): Decision | undefined {
  if (answer?.kind === 'committed') return { outcome: 'committed', attempt: answer.attempt, fingerprint };
  if (answer?.kind !== 'aborted') return undefined;
  const reason = answer.reason === undefined ? {} : { reason: answer.reason };
  return { outcome: 'aborted', attempt: answer.attempt, fingerprint, ...reason };
}
