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

/** What the books know of an id: undefined for nothing. */
export interface KnownLeg {
  readonly id: TransferId;
  readonly leg: LegRecord | undefined;
}

export interface InquirerOptions {
  readonly clock: Clock;
  /** All legs in doubt, each once, with when it was prepared, and showing what becomes of it; others may be among them. */
  readonly legs: () => Iterable<KnownLeg>;
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
/** The most of the processor's time that going through the legs may take. */
const SWEEP_SHARE_MAX = 1 / 20;
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

/** Of an attempt that was asked about. */
interface BackOff {
  readonly log: LogId;
  readonly attempt: number;
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
    const nowMs = clock.monotonicMs();
    sweeps += 1;
    for (const [log, due] of findDue(nowMs)) if (!busy.has(log)) void askAll(log, due);
    for (const [id, { seenIn }] of backOffs) if (seenIn !== sweeps) backOffs.delete(id);
    // Where very many are in doubt, the bank has better things to do.
    const tookMs = clock.monotonicMs() - nowMs;
    cancelSweep = clock.after(Math.max(SWEEP_INTERVAL_MS, tookMs / SWEEP_SHARE_MAX), sweep);
  }

  /** By log, the legs that are to be asked about now. */
  function findDue(nowMs: number): Map<LogId, KnownLeg[]> {
    const wallMs = clock.nowMs();
    const firstMs = Math.max(delayMs, Math.min(2 * usualMs, FIRST_DELAY_MAX_MS));
    const found = new Map<LogId, KnownLeg[]>();
    for (const known of legs()) {
      if (known.leg?.state.kind !== 'prepared') continue;
      const { state: { log, attempt }, preparedAtMs = -Infinity } = known.leg;
      const backOff = backOffs.size === 0 ? undefined : backOffs.get(known.id);
      if (backOff !== undefined && backOff.log === log && backOff.attempt === attempt) {
        backOff.seenIn = sweeps;
        if (backOff.nextAtMs > nowMs) continue;
      } else {
        const waitedMs = wallMs - preparedAtMs;
        // Less than nothing: the clock has gone back since.
        if (waitedMs >= 0 && waitedMs < firstMs) continue;
      }
      const due = found.get(log);
      if (due === undefined) found.set(log, [known]);
      else due.push(known);
    }
    return found;
  }

  /** One call after the other. */
  async function askAll(log: LogId, due: readonly KnownLeg[]): Promise<void> {
    busy.add(log);
    try {
      for (let from = 0; from < due.length && !stopped; from += INQUIRIES_PER_CALL_MAX) {
        const batch = take(log, due.slice(from, from + INQUIRIES_PER_CALL_MAX));
        if (batch.length > 0) await round(log, batch);
      }
    } catch (error) {
      onFailure(log, error);
    } finally {
      busy.delete(log);
    }
  }

  /** Those that are still in doubt; each is due again after its back-off. */
  function take(log: LogId, due: readonly KnownLeg[]): DoubtfulLeg[] {
    const nowMs = clock.monotonicMs();
    const batch: DoubtfulLeg[] = [];
    for (const { id, leg } of due) {
      if (leg?.state.kind !== 'prepared' || leg.state.log !== log || leg.terms === undefined) continue;
      const { state: { attempt, fingerprint }, terms } = leg;
      const before = backOffs.get(id);
      const waitMs = before?.log === log && before.attempt === attempt ? before.delayMs : delayMs;
      backOffs.set(id, { log, attempt, nextAtMs: nowMs + waitMs, delayMs: Math.min(waitMs * 2, delayMaxMs), seenIn: sweeps });
      batch.push({ id, log, attempt, fingerprint, terms });
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
