// A payment that is saved first: it is delivered at once where a gateway answers, and otherwise when one does.

import { describeDecline, type OfflineQueue, type QueuedTransfer, type QueueStorageError } from '@strife/sdk';
import { readAmount } from './amount.ts';
import type { Context } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { describeFailure, NotLoggedInError, type Failure } from './failure.ts';
import { moneyDocument, moneyText, printable, timeText, transferDocument } from './format.ts';
import { withQueue } from './gateway.ts';
import type { Document } from './output.ts';
import { readSession } from './session-file.ts';

/** As it was typed. */
export interface OfflinePayment {
  readonly to: string;
  readonly amountText: string;
  readonly currency?: string | undefined;
  readonly memo?: string | undefined;
  readonly id?: string | undefined;
  readonly expiresInMs?: number | undefined;
  readonly profile?: string | undefined;
}

/** Exit code 9 if it stays queued; otherwise as if it had been paid directly. */
export async function payOffline(context: Context, payment: OfflinePayment): Promise<ExitCode> {
  const { output, settings, signal } = context;
  const session = readSession(settings.sessionFile);
  if (session === undefined) throw new NotLoggedInError('nobody is logged in, so it is not known who pays');
  const { to, amountText, memo, id, expiresInMs } = payment;
  const amount = readAmount(amountText, payment.currency ?? session.currency);
  let isSaved = false;
  const saveAndDeliver = async (queue: OfflineQueue): Promise<ExitCode> => {
    const queued = await queue.enqueue({ to, amount, memo, id, expiresInMs });
    isSaved = true;
    output.message(`Saved as ${queued.id}. Delivering ...`);
    await queue.flush({ signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    return tellQueued(context, await queue.get(queued.id));
  };
  try {
    return await withQueue(context, { background: false }, ({ queue }) => saveAndDeliver(queue));
  } catch (error) {
    const { name, outcome } = error as QueueStorageError;
    // A queue that cannot even be opened says nothing of the payment.
    if (name !== 'QueueStorageError' || outcome !== undefined || isSaved) throw error;
    const { document, ...failure } = describeFailure(error);
    const message = `the payment is NOT queued: ${failure.message}`;
    output.failure({ ...failure, message, document: { ...document, message, outcome: 'not_applied' } }, error);
    return failure.exitCode;
  }
}

/** What became of one payment of the queue. */
export function tellQueued({ output }: Pick<Context, 'output'>, payment: QueuedTransfer): ExitCode {
  const { state, transfer } = payment;
  switch (state) {
    case 'done':
      output.result({ transfer: transferDocument(transfer!) }, () => queuedText(payment));
      output.message(`See it again: strife transfer show ${payment.id}`);
      return EXIT.ok;
    case 'declined':
    case 'expired':
    case 'failed': {
      const result = transfer === undefined ? { queued: queuedDocument(payment) } : { transfer: transferDocument(transfer) };
      const failure = failureOf(payment);
      output.failure(failure, undefined, result);
      return failure.exitCode;
    }
    default:
      output.result({ queued: queuedDocument(payment) }, () => queuedText(payment));
      output.message('It is delivered by `strife queue flush`, or while the menu (`strife`) is open.');
      return EXIT.queued;
  }
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

function failureOf(payment: QueuedTransfer): Failure {
  const { id, state, problem } = payment;
  const reason = state === 'declined' ? (payment.transfer?.declineReason ?? 'unspecified') : undefined;
  const code = { declined: 'TRANSFER_DECLINED', expired: 'EXPIRED', failed: problem?.code ?? 'SET_ASIDE' }[state as 'declined' | 'expired' | 'failed'];
  const outcome = payment.unanswered ? 'unknown' : 'not_applied';
  const exitCode = state !== 'failed' ? EXIT.declined : payment.unanswered ? EXIT.outcomeUnknown : EXIT.internal;
  const message = queuedText(payment);
  return { exitCode, message, hint: undefined, document: { code, message, exitCode, reason, retryable: state === 'failed', outcome, transferId: id } };
}
