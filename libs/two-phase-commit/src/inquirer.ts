// Keeps a bank's prepared legs from staying in doubt: asks the gateways that serve each leg's log, and obeys their answers.
//
// It keeps no list of its own: every so often it goes through the legs in doubt, and asks about those that have waited. Nearly all are decided before.

import type { Clock, LegRecord, LegTerms } from './ports.ts';
import type { DecideCommand } from './participant.ts';
import type { Inquiry, InquiryAnswer } from './protocol/decision-rules.ts';
import type { Decision, Fingerprint, LogId, TransferId } from './protocol/vocabulary.ts';

export interface Inquirer {
  /** Decisions have ended the doubt about legs, the first of which had waited for so long. */
  ended(legs: number, waitedMs: number): void;
  /** Somebody who can answer for this log has appeared: ask now, whatever the back-off says. */
  wake(log: LogId): void;
  /** Asks no more, and carries out no answer that arrives from now on. */
  stop(): void;
}

export interface InquirerOptions {
  readonly clock: Clock;
  /** All legs in doubt, each once and with when it was prepared; others may be among them. */
  readonly legs: () => Iterable<{ readonly id: TransferId; readonly leg: LegRecord | undefined }>;
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
/** How much of what decisions have lately taken is one leg's. */
const LEG_SHARE = 1 / 128;

/** A prepared leg: bound by its YES, waiting for the decision of `log`. */
interface DoubtfulLeg {
  readonly id: TransferId;
  readonly log: LogId;
  readonly attempt: number;
  readonly fingerprint: Fingerprint;
  readonly terms: LegTerms;
}

/** Of a leg that was asked about. */
interface BackOff {
  readonly log: LogId;
  nextAtMs: number;
  delayMs: number;
  /** The last sweep that found it in doubt. */
  seenIn: number;
}

export function createInquirer({ clock, legs, ask, decide, onFailure, delayMs = 200, delayMaxMs = 5000 }: InquirerOptions): Inquirer {
  const backOffs = new Map<TransferId, BackOff>();
  const busy = new Set<LogId>();
  /** How long legs have lately waited for their decisions: under load for long, and questions about each would only add to it. */
  let usualMs = 0;
  let sweeps = 0;
  let stopped = false;
  let cancelSweep = clock.after(SWEEP_INTERVAL_MS, sweep);

  function sweep(): void {
    if (stopped) return;
    cancelSweep = clock.after(SWEEP_INTERVAL_MS, sweep);
    sweeps += 1;
    const isDue = dueNow();
    const due = new Set<LogId>();
    for (const { id, leg } of legs()) {
      if (leg?.state.kind !== 'prepared') continue;
      const { log } = leg.state;
      if (isDue(id, leg) && !busy.has(log)) due.add(log);
    }
    for (const [id, { seenIn }] of backOffs) if (seenIn !== sweeps) backOffs.delete(id);
    for (const log of due) void askAll(log);
  }

  /** Whether a leg in doubt is to be asked about now. */
  function dueNow(): (id: TransferId, leg: LegRecord) => boolean {
    const nowMs = clock.monotonicMs();
    const wallMs = clock.nowMs();
    const firstMs = Math.max(delayMs, Math.min(2 * usualMs, FIRST_DELAY_MAX_MS));
    return (id, { preparedAtMs = -Infinity }) => {
      const backOff = backOffs.size === 0 ? undefined : backOffs.get(id);
      // The clock may have gone back since.
      if (backOff === undefined) return Math.abs(wallMs - preparedAtMs) >= firstMs;
      backOff.seenIn = sweeps;
      return backOff.nextAtMs <= nowMs;
    };
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
    const isDue = dueNow();
    const batch: DoubtfulLeg[] = [];
    for (const { id, leg } of legs()) {
      if (leg?.state.kind !== 'prepared' || leg.state.log !== log || leg.terms === undefined || !isDue(id, leg)) continue;
      const waitsMs = backOffs.get(id)?.delayMs ?? delayMs;
      backOffs.set(id, { log, nextAtMs: nowMs + waitsMs, delayMs: Math.min(waitsMs * 2, delayMaxMs), seenIn: sweeps });
      if (batch.push({ id, log, attempt: leg.state.attempt, fingerprint: leg.state.fingerprint, terms: leg.terms }) === INQUIRIES_PER_CALL_MAX) break;
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
    ended(count, waitedMs) {
      usualMs += (Math.max(0, waitedMs) - usualMs) * Math.min(1, count * LEG_SHARE);
    },
    wake(log) {
      for (const backOff of backOffs.values()) {
        if (backOff.log !== log) continue;
        backOff.nextAtMs = 0;
        backOff.delayMs = delayMs;
      }
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
