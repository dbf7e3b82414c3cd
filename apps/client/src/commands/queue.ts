// `strife queue list|flush|retry|drop`

import { setTimeout as delay } from 'node:timers/promises';
import type { OfflineQueue, QueuedTransfer, QueueState, StrifeError } from '@strife/sdk';
import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { moneyText, printable, timeText } from '../format.ts';
import { withQueue } from '../gateway.ts';
import { isPending, queuedDocument, queuedText, tellQueued } from '../offline-payment.ts';
import { plainTable } from '../plain-table.ts';
import { startProgress } from '../progress.ts';

const STATES: readonly QueueState[] = ['queued', 'sending', 'needs-login', 'done', 'declined', 'expired', 'failed'];
const RESULT_EVENTS = ['delivered', 'declined', 'expired', 'set-aside'] as const;
/** How often `flush --wait` looks whether there is something left to wait for. */
const LOOK_MS = 200;

/** In the order in which they were queued. With --json a document for each payment. */
export async function listQueue(context: Context, { state }: { state?: string }): Promise<void> {
  if (state !== undefined && !STATES.includes(state as QueueState)) {
    throw new UsageError(`state: must be one of ${STATES.join(', ')}`, { field: 'state' });
  }
  const { output } = context;
  await withQueue(context, { background: false }, async ({ queue }) => {
    const payments = await queue.list({ state: state as QueueState | undefined });
    if (output.json) {
      for (const payment of payments) output.result({ queued: queuedDocument(payment) }, () => '');
      return;
    }
    const rows = payments.map((payment) => [
      payment.id, payment.state, timeText(payment.createdAt), moneyText(payment.amount), printable(payment.from), printable(payment.to), printable(payment.problem?.message ?? ''),
    ]);
    const table = await plainTable(['Id', 'State', 'Queued', 'Amount', 'From', 'To', 'Problem'], rows, output.colors);
    output.result({}, () => (rows.length === 0 ? 'The queue is empty.' : table));
  });
}

/**
 * Exit code 0 if nothing is left, 9 if something is, of whomever. With `wait` it goes on until nothing is left that the login of this command
 * can deliver: what others have queued waits for theirs.
 */
export async function flushQueue(context: Context, { wait = false }: { wait?: boolean }): Promise<ExitCode> {
  const { output, signal } = context;
  return withQueue(context, { background: wait }, async (strife) => {
    const { queue } = strife;
    const open = new Set((await pendingPayments(queue)).map(({ id }) => id));
    if (open.size === 0) {
      output.result({ pending: 0 }, () => 'The queue is empty.');
      return EXIT.ok;
    }
    const progress = await startProgress(output, open.size, `Delivering ${open.size === 1 ? '1 payment' : `${open.size} payments`}`);
    const tell = (payment: QueuedTransfer): void => {
      if (!isPending(payment) && open.delete(payment.id)) progress.step(() => output.result({ queued: queuedDocument(payment) }, () => queuedText(payment)));
    };
    const refused = new Set<string>();
    const unsubscribe = [...RESULT_EVENTS.map((event) => queue.on(event, tell)), queue.on('needs-login', (payer) => refused.add(payer))];
    const needsLogin = ({ from }: QueuedTransfer): boolean => from !== strife.session?.account || refused.has(from);
    let problem: StrifeError | undefined;
    try {
      ({ problem } = await queue.flush({ signal }));
      while (wait && !(await pendingPayments(queue)).every(needsLogin)) await delay(LOOK_MS, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      for (const end of unsubscribe) end();
      // What no event told of: results that came while the last of them was told, or of another command.
      for (const payment of await queue.list()) tell(payment);
      progress.end();
    }
    const left = await pendingPayments(queue);
    return tellPending(context, left.length, left.filter(needsLogin), problem);
  });
}

/** @param waiting those of the pending ones that their payers must log in for */
function tellPending({ output, signal }: Context, pending: number, waiting: readonly QueuedTransfer[], problem: StrifeError | undefined): ExitCode {
  const payers = [...Map.groupBy(waiting, ({ from }) => from)].map(([account, { length }]) => ({ account, payments: length }));
  const others = payers.map(({ account, payments }) => `, ${payments} of them until ${printable(account)} logs in`).join('');
  const why = pending > 0 && problem !== undefined ? ` Last try: ${printable(problem.message)}.` : '';
  const document = { pending, ...(payers.length > 0 && { waitingForLogin: payers }) };
  output.result(document, () => (pending === 0 ? 'Nothing is queued any more.' : `${pending} still queued${others}.${why}`));
  if (signal.aborted) return EXIT.interrupted;
  return pending === 0 ? EXIT.ok : EXIT.queued;
}

async function pendingPayments(queue: OfflineQueue): Promise<QueuedTransfer[]> {
  return (await queue.list()).filter(isPending);
}

/** Delivers a payment again that was set aside, and any other at once. */
export async function retryQueued(context: Context, id: string): Promise<ExitCode> {
  const { signal } = context;
  return withQueue(context, { background: false }, async ({ queue }) => {
    await queue.retry(id);
    await queue.flush({ signal });
    return tellQueued(context, await queue.get(id));
  });
}

/** Forgets a payment that was never sent, or whose end is certain. */
export async function dropQueued(context: Context, id: string): Promise<void> {
  await withQueue(context, { background: false }, async ({ queue }) => {
    const payment = await queue.get(id);
    await queue.drop(id);
    const wasPending = isPending(payment);
    context.output.result({ dropped: queuedDocument(payment) }, () => `Dropped ${moneyText(payment.amount)} to ${printable(payment.to)} (${payment.id}).${wasPending ? ' It was never sent; nothing moved.' : ''}`);
  });
}
