// Keeps a bank's prepared legs from staying in doubt: asks the gateways that serve each leg's log, and obeys their answers.

import type { Clock } from './ports.ts';
import type { DecideCommand, DoubtfulLeg } from './participant.ts';
import type { Inquiry, InquiryAnswer } from './protocol/decision-rules.ts';
import type { Decision, LogId, TransferId } from './protocol/vocabulary.ts';

export interface Inquirer {
  /** Starts the wait for these legs' decisions. `atOnce` for legs found prepared at start. */
  track(legs: readonly DoubtfulLeg[], atOnce?: boolean): void;
  forget(ids: readonly TransferId[]): void;
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
  /**
   * The first wait, doubled after each round up to `delayMaxMs`. It is twice as long as decisions have lately taken, where that is more, but
   * never over FIRST_DELAY_MAX_MS: an attempt that simply runs is not worth a question.
   */
  readonly delayMs?: number;
  readonly delayMaxMs?: number;
}

const SWEEP_INTERVAL_MS = 100;
const INQUIRIES_PER_CALL_MAX = 1000;
/** However slowly decisions come, the first question about one is not put off for longer. */
const FIRST_DELAY_MAX_MS = 800;
/** How much of what decisions have lately taken is the last one's. */
const LAST_SHARE = 1 / 128;

interface Doubt {
  readonly leg: DoubtfulLeg;
  readonly sinceMs: number;
  nextAtMs: number;
  delayMs: number;
}

export function createInquirer({ clock, ask, decide, onFailure, delayMs = 200, delayMaxMs = 5000 }: InquirerOptions): Inquirer {
  const doubts = new Map<TransferId, Doubt>();
  const busy = new Set<LogId>();
  /** How long legs have lately waited for their decisions: under load for long, and questions about each would only add to it. */
  let usualMs = 0;
  let stopped = false;
  let cancelSweep = clock.after(SWEEP_INTERVAL_MS, sweep);

  function sweep(): void {
    if (stopped) return;
    cancelSweep = clock.after(SWEEP_INTERVAL_MS, sweep);
    const nowMs = clock.monotonicMs();
    const due = new Set<LogId>();
    for (const { leg, nextAtMs } of doubts.values()) if (nextAtMs <= nowMs && !busy.has(leg.log)) due.add(leg.log);
    for (const log of due) void askAll(log);
  }

  /** One call after the other, until nothing of this log is due. */
  async function askAll(log: LogId): Promise<void> {
    busy.add(log);
    try {
      for (let batch = takeDue(log); batch.length > 0 && !stopped; batch = takeDue(log)) await round(log, batch);
    } catch (error) {
      onFailure(log, error);
    } finally {
      busy.delete(log);
    }
  }

  /** Legs to ask about now, as many as fit into a call; each is due again after its back-off. */
  function takeDue(log: LogId): DoubtfulLeg[] {
    const nowMs = clock.monotonicMs();
    const batch: DoubtfulLeg[] = [];
    for (const doubt of doubts.values()) {
      if (doubt.nextAtMs > nowMs || doubt.leg.log !== log) continue;
      doubt.nextAtMs = nowMs + doubt.delayMs;
      doubt.delayMs = Math.min(doubt.delayMs * 2, delayMaxMs);
      if (batch.push(doubt.leg) === INQUIRIES_PER_CALL_MAX) break;
    }
    return batch;
  }

  async function round(log: LogId, batch: readonly DoubtfulLeg[]): Promise<void> {
    const answers = await ask(log, batch.map(inquiryOf));
    const commands = batch.flatMap((leg, index) => {
      const decision = decisionFrom(leg, answers[index]);
      return decision === undefined ? [] : [{ id: leg.id, log, decision }];
    });
    if (commands.length > 0 && !stopped) await decide(commands);
  }

  return {
    track(legs, atOnce = false) {
      const nowMs = clock.monotonicMs();
      const firstMs = Math.max(delayMs, Math.min(2 * usualMs, FIRST_DELAY_MAX_MS));
      for (const leg of legs) {
        const sinceMs = doubts.get(leg.id)?.sinceMs ?? nowMs;
        doubts.set(leg.id, { leg, sinceMs, delayMs, nextAtMs: atOnce ? nowMs : nowMs + firstMs });
      }
    },
    forget(ids) {
      // The first stands for all: they were decided together.
      const first = ids.length === 0 ? undefined : doubts.get(ids[0]!);
      if (first !== undefined) usualMs += (clock.monotonicMs() - first.sinceMs - usualMs) * Math.min(1, ids.length * LAST_SHARE);
      for (const id of ids) doubts.delete(id);
    },
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
