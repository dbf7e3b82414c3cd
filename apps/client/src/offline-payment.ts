// A payment that is saved first: it is delivered at once where a gateway answers, and otherwise when one does.

import { describeDecline, type OfflineQueue, type QueuedTransfer, type QueueStorageError } from '@strife/sdk';
import { readAmount } from './amount.ts';
import type { Context } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Expiry } from './expiry.ts';
import { describeFailure, exitCodeOfRefusal, NotLoggedInError, type Failure } from './failure.ts';
import { moneyDocument, moneyText, printable, timeText, transferDocument } from './format.ts';
import { withQueue } from './gateway.ts';
import type { Document } from './output.ts';
import { readSession } from './session-file.ts';

/** As it was typed. */
export interface OfflinePayment extends Expiry {
  readonly to: string;
  readonly amountText: string;
  readonly currency?: string | undefined;
  readonly memo?: string | undefined;
  readonly id?: string | undefined;
}

/** Exit code 9 if it stays queued; otherwise as if it had been paid directly. Once it is saved, no trouble of the queue makes it look as if it were not. */
export async function payOffline(context: Context, payment: OfflinePayment): Promise<ExitCode> {
  const { output, settings, signal } = context;
  const session = readSession(settings.sessionFile);
  if (session === undefined) throw new NotLoggedInError('nobody is logged in, so it is not known who pays');
  const { to, amountText, memo, id, expiresInMs, expiresAt } = payment;
  const amount = readAmount(amountText, payment.currency ?? session.currency);
  let saved: QueuedTransfer | undefined;
  let exitCode: ExitCode | undefined;
  try {
    return await withQueue(context, { background: false }, async ({ queue }) => {
      saved = await queue.enqueue({ to, amount, memo, id, expiresInMs, expiresAt });
      output.message(`Saved as ${saved.id}. Delivering ...`);
      const trouble = await deliver(queue, signal);
      const now = await queue.get(saved.id);
      exitCode = tellQueued(context, trouble && isPending(now) ? withProblem(now, trouble) : now);
      return exitCode;
    });
  } catch (error) {
    // It is told already: only closing the queue failed.
    if (exitCode !== undefined) return exitCode;
    if (saved !== undefined) return tellQueued(context, withProblem(saved, error));
    return tellNotSaved(context, error);
  }
}

/** Returns what kept the queue itself from its work, if anything did: what the gateways said is in the payments. */
async function deliver(queue: OfflineQueue, signal: AbortSignal): Promise<unknown> {
  try {
    const { problem } = await queue.flush({ signal });
    return problem?.name === 'QueueStorageError' ? problem : undefined;
  } catch (error) {
    return signal.aborted ? undefined : error;
  }
}

function withProblem(payment: QueuedTransfer, error: unknown): QueuedTransfer {
  const { message, document } = describeFailure(error);
  return { ...payment, problem: { code: String(document['code']), message } };
}

/** Throws the error again unless it leaves open whether the payment was saved. */
function tellNotSaved({ output }: Context, error: unknown): ExitCode {
  const { name, outcome } = error as QueueStorageError;
  // A queue that cannot even be opened says nothing of the payment.
  if (name !== 'QueueStorageError' || outcome !== undefined) throw error;
  const { document, ...failure } = describeFailure(error);
  const message = `the payment is NOT queued: ${failure.message}`;
  output.failure({ ...failure, message, document: { ...document, message, outcome: 'not_applied' } }, error);
  return failure.exitCode;
}

/** What became of one payment of the queue. */
export function tellQueued({ output }: Pick<Context, 'output'>, payment: QueuedTransfer): ExitCode {
  switch (payment.state) {
    case 'done':
      output.result(resultOf(payment), () => queuedText(payment));
      output.message(`See it again: strife transfer show ${payment.id}`);
      return EXIT.ok;
    case 'declined':
    case 'expired':
    case 'failed': {
      const failure = failureOf(payment);
      output.failure(failure, undefined, resultOf(payment));
      return failure.exitCode;
    }
    default:
      output.result({ queued: queuedDocument(payment) }, () => queuedText(payment));
      output.message('It is delivered by `strife queue flush`, or while the menu (`strife`) is open.');
      return EXIT.queued;
  }
}

/** The transfer, or what the queue knows where a gateway said what became of it and no more. */
function resultOf(payment: QueuedTransfer): Document {
  return payment.transfer === undefined ? { queued: queuedDocument(payment) } : { transfer: transferDocument(payment.transfer) };
}

/** One line about a payment of the queue. */
export function queuedText(payment: QueuedTransfer): string {
  const what = `${moneyText(payment.amount)} to ${printable(payment.to)} (${payment.id})`;
  const why = payment.problem === undefined ? '' : ` Last try: ${printable(payment.problem.message)}.`;
  switch (payment.state) {
    case 'done':
      return `Paid ${what}.`;
    case 'declined':
      return `Declined: ${what}: ${describeDecline(payment.transfer?.declineReason ?? 'unspecified')}. Nothing moved.`;
    case 'expired':
      return `Expired: ${what} was not delivered in time. Nothing moved, and nothing will.`;
    case 'failed':
      return `Set aside: ${what}.${why} Try again: strife queue retry ${payment.id}`;
    case 'needs-login':
      return `Queued: ${what} waits until ${printable(payment.from)} logs in.`;
    default: {
      const until = payment.expiresAt === undefined ? '' : ` Until ${timeText(payment.expiresAt)}.`;
      return `Queued: ${what}.${until}${why}`;
    }
  }
}

export function queuedDocument(payment: QueuedTransfer): Document {
  const { id, from, to, amount, memo, state, createdAt, expiresAt, attempts, unanswered, problem, transfer, resultSeq } = payment;
  const money = moneyDocument(amount);
  const result = { problem, transfer: transfer && transferDocument(transfer), resultSeq };
  return { id, from, to, amount: money, memo, state, createdAt, expiresAt, attempts, unanswered, ...result };
}

/** Payments that are not certain to have ended. */
export function isPending({ state }: QueuedTransfer): boolean {
  return state === 'queued' || state === 'sending' || state === 'needs-login';
}

/** With the exit code and the advice on repeating that the payment would have had if it had been paid directly. */
function failureOf(payment: QueuedTransfer): Failure {
  const { id, state, problem, unanswered } = payment;
  const reason = state === 'declined' ? (payment.transfer?.declineReason ?? 'unspecified') : undefined;
  const code = { declined: 'TRANSFER_DECLINED', expired: 'EXPIRED', failed: problem?.code ?? 'SET_ASIDE' }[state as 'declined' | 'expired' | 'failed'];
  const outcome = unanswered ? 'unknown' : 'not_applied';
  const exitCode = state !== 'failed' ? EXIT.declined : unanswered ? EXIT.outcomeUnknown : exitCodeOfRefusal(code);
  const message = queuedText(payment);
  return { exitCode, message, hint: undefined, document: { code, message, exitCode, reason, retryable: unanswered, outcome, transferId: id } };
}
