// The coordinator's answers to banks that hold legs in doubt: from what runs here, and else from the log.

import type { Clock, DecisionLog } from './ports.ts';
import type { CoordinatorState } from './protocol/coordinator-machine.ts';
import { answerInquiry } from './protocol/decision-rules.ts';
import type { Inquiry, InquiryAnswer } from './protocol/decision-rules.ts';
import type { DecisionRow, TransferId, TransferRequest } from './protocol/vocabulary.ts';

/** With the attempt's deadline by the bank's word, in ms since the Unix epoch. */
export type TimedInquiry = Inquiry & { readonly deadlineMs: number };

interface RunningTransfer {
  readonly request: TransferRequest;
  readonly state: CoordinatorState;
}

export interface InquiryOptions {
  readonly log: Pick<DecisionLog, 'find' | 'decide' | 'exclusive'>;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** How long an attempt lasts. */
  readonly prepareTimeoutMs: number;
  readonly running: (id: TransferId) => RunningTransfer | undefined;
  /** Delivers a row that was written to answer: the bank that did not ask may hold its half too. */
  readonly takeUp: (row: DecisionRow) => void;
}

/** Answers in order. An abort that nobody decided yet is durable before it is answered. */
export function answerInquiries({ log, clock, prepareTimeoutMs, running, takeUp }: InquiryOptions) {
  async function fromLog(inquiries: readonly TimedInquiry[]): Promise<readonly InquiryAnswer[]> {
    const rows = await log.find(inquiries.map(({ id }) => id));
    const answers = inquiries.map((inquiry, index) => answerInquiry(rows[index], inquiry, mayStillRun(inquiry)));
    const unwritten = answers.flatMap((answer, index) => (answer.kind === 'write-first' ? [{ index, proposal: answer.proposal }] : []));
    if (unwritten.length === 0) return answers;
    const written = await log.decide(unwritten.map(({ proposal }) => proposal), []);
    unwritten.forEach(({ index }, position) => {
      const row = written[position]!;
      answers[index] = answerInquiry(row, inquiries[index]!, false);
      takeUp(row);
    });
    return answers;
  }

  function mayStillRun({ id, deadlineMs }: TimedInquiry): boolean {
    const kind = running(id)?.state.kind;
    if (kind === 'preparing' || kind === 'deciding') return true;
    if (log.exclusive) return false;
    // A deadline further off than an attempt lasts was set by a clock that stood elsewhere: nothing that runs waits for it.
    const leftMs = deadlineMs - clock.nowMs();
    return leftMs > 0 && leftMs <= prepareTimeoutMs;
  }

  return async (inquiries: readonly TimedInquiry[]): Promise<readonly InquiryAnswer[]> => {
    const known = inquiries.map((inquiry) => answerOfRun(running(inquiry.id), inquiry));
    const unknown = inquiries.filter((_, index) => known[index] === undefined);
    const found = unknown.length === 0 ? [] : await fromLog(unknown);
    let next = 0;
    return known.map((answer) => answer ?? found[next++]!);
  };
}

/**
 * What a run of this very attempt can say without the log, which spares a loaded gateway most of the reads: it is undecided, or its
 * decision is durable, since it is being delivered.
 */
function answerOfRun(run: RunningTransfer | undefined, { attempt, fingerprint }: Inquiry): InquiryAnswer | undefined {
  if (run === undefined || run.request.fingerprint !== fingerprint) return undefined;
  const { state } = run;
  if (state.kind === 'preparing' || state.kind === 'deciding') return state.attempt === attempt ? { kind: 'pending' } : undefined;
  if (state.kind !== 'delivering' || state.decision.attempt !== attempt) return undefined;
  const { decision } = state;
  if (decision.outcome === 'committed') return { kind: 'committed', attempt };
  return decision.reason === undefined ? { kind: 'aborted', attempt } : { kind: 'aborted', attempt, reason: decision.reason };
}
