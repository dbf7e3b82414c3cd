// Sends payments until each has a certain answer or the time is over, always under the ids that they were given.

import { backOffMs, cancellation, pause, timeoutSignal, type Budget } from './budget.ts';
import { callFailure } from './call-failure.ts';
import { StrifeError } from './errors.ts';
import type { GatewayLink } from './gateway-link.ts';
import type { GatewayPool } from './gateway-pool.ts';
import {
  afterAnswer,
  afterNoConnection,
  conclude,
  openSubmission,
  worthSending,
  type Answer,
  type Result,
  type Submission,
} from './submission.ts';

/** A payment to send. */
export interface Identified {
  readonly id: string;
  /** The id was made for this call, so nobody sent it before. */
  readonly isNew: boolean;
}

/** A payment on one of its sends. */
export type Sending<Payment> = Payment & {
  /** No earlier send of the id is without an answer, so "not applied" can be said of them all. */
  readonly earlierSendsAnswered: boolean;
};

/** One attempt: sends the payments to a gateway and returns an answer for each, in their order. */
export type Send<Payment> = (
  link: GatewayLink,
  payments: readonly Sending<Payment>[],
  signal: AbortSignal,
) => Promise<readonly Answer[]>;

/**
 * Sends payments, and again those whose answer is uncertain or retryable, within the budget. Gives one result for each,
 * in their order; "not applied" only where that is certain. Does not throw, not even when cancelled.
 */
export async function submit<Payment extends Identified>(
  gateways: GatewayPool,
  budget: Budget,
  payments: readonly Payment[],
  send: Send<Payment>,
): Promise<Result[]> {
  const submissions = payments.map(({ id }) => openSubmission<GatewayLink>(id));
  let answerMs = 0;
  for (let attempt = 0; ; attempt++) {
    const pauseMs = attempt === 0 ? 0 : backOffMs(budget.clock, attempt - 1);
    const chosen = [...submissions.keys()].filter((index) =>
      worthSending(submissions[index]!, budget.remainingMs() - pauseMs, answerMs * ANSWER_MARGIN),
    );
    if (chosen.length === 0 || (attempt > 0 && !(await pause(budget, pauseMs)))) break;
    const sending = chosen.map((index) => toSend(payments[index]!, submissions[index]!));
    const outcome = await attemptOnce(gateways, budget, sending, send);
    for (const [position, index] of chosen.entries()) {
      submissions[index] = outcome.apply(submissions[index]!, position);
    }
    answerMs = Math.max(answerMs, outcome.answerMs);
  }
  return submissions.map(conclude);
}

/** How much slower than the slowest answer so far the next one may be. */
const ANSWER_MARGIN = 1.25;

function toSend<Payment extends Identified>(payment: Payment, submission: Submission<GatewayLink>): Sending<Payment> {
  const earlierSendsAnswered = payment.isNew && submission.kind === 'open' && submission.unsettled.size === 0;
  return { ...payment, earlierSendsAnswered };
}

interface AttemptOutcome {
  /** How long the gateway took; 0 if it did not answer. */
  answerMs: number;
  apply(submission: Submission<GatewayLink>, position: number): Submission<GatewayLink>;
}

async function attemptOnce<Payment extends Identified>(
  gateways: GatewayPool,
  budget: Budget,
  payments: readonly Sending<Payment>[],
  send: Send<Payment>,
): Promise<AttemptOutcome> {
  let link: GatewayLink;
  try {
    link = await gateways.connected(budget);
  } catch (thrown) {
    const { error } = callFailure(thrown, undefined);
    return { answerMs: 0, apply: (submission) => afterNoConnection(submission, error) };
  }
  const startedAtMs = budget.clock.nowMs();
  const signal = AbortSignal.any([budget.signal, timeoutSignal(gateways.answerWaitMs(budget))]);
  const answers = await answersOf(link, payments, send, signal, budget);
  if (answers.some(isAnotherGatewaysTurn)) gateways.leave(link);
  return {
    answerMs: signal.aborted ? 0 : budget.clock.nowMs() - startedAtMs,
    apply: (submission, position) => afterAnswer(submission, link, answers[position] ?? missing(payments[position]!)),
  };
}

async function answersOf<Payment extends Identified>(
  link: GatewayLink,
  payments: readonly Sending<Payment>[],
  send: Send<Payment>,
  signal: AbortSignal,
  budget: Budget,
): Promise<readonly Answer[]> {
  try {
    return await send(link, payments, signal);
  } catch (thrown) {
    const reason = budget.signal.aborted ? cancellation(budget.signal) : thrown;
    return payments.map(({ id }) => ({ kind: 'failure', failure: callFailure(reason, { transferId: id }) }));
  }
}

function isAnotherGatewaysTurn(answer: Answer): boolean {
  return answer.kind === 'failure' && answer.failure.error.retryable;
}

function missing({ id }: Identified): Answer {
  const error = new StrifeError('the gateway gave no answer for this transfer', {
    code: 'BAD_RESPONSE',
    outcome: 'unknown',
    transferId: id,
  });
  return { kind: 'failure', failure: { error, lookedUp: false } };
}
