// Payments: making them, one or many, and looking at them later.

import { setImmediate } from 'node:timers/promises';
import type { CallContext, CallOptions, PageOptions } from './call-context.ts';
import { InvalidArgumentError, StrifeError, TransferDeclinedError } from './errors.ts';
import type { Transfer, TransferTimeline } from './model.ts';
import { createOutbox, type Receiver } from './outbox.ts';
import { pages } from './pages.ts';
import { checkedId, toPayment, type NewTransfer, type Payment } from './payment-request.ts';
import { query, type Ask } from './query.ts';
import type { Result } from './submission.ts';
import { toTimeline, toTransfer } from './wire.ts';

/** A longer list lets others have their turn in between, so that connections are not taken for dead meanwhile. */
const ITEMS_IN_ONE_GO_MAX = 5_000;

/** What became of one payment of `createMany`. */
export type TransferResult = { ok: true; transfer: Transfer } | { ok: false; error: StrifeError };

/** The payments of the account that is logged in. */
export interface Transfers {
  /**
   * Pays. Resolves once the payment has succeeded. Repeats what is retryable, always under one id, at another gateway
   * where there is one, until `timeoutMs` is over. Calls made at once travel together, each with an answer of its own.
   *
   * @throws TransferDeclinedError if a bank said no: nothing moved, for ever
   * @throws OutcomeUnknownError if no certain answer came: ask again with its `transferId`
   * @throws ConflictError if the id was used with other content
   * @throws StrifeError of another kind, with `outcome` saying what it means for the money
   */
  create(transfer: NewTransfer & CallOptions): Promise<Transfer>;
  /**
   * Pays many at once: one result for each, in their order. Payments are independent; some may succeed and others not.
   * Repeats those that are retryable, as `create` does. Does not throw for a payment that failed.
   *
   * @throws AuthenticationError if nobody is logged in; InvalidArgumentError for a bad option
   */
  createMany(transfers: readonly NewTransfer[], options?: CallOptions): Promise<TransferResult[]>;
  /**
   * A payment of this account, made or received. One that was declined is returned, not thrown.
   *
   * @throws NotFoundError if there is none under this id
   */
  get(id: string, options?: CallOptions): Promise<Transfer>;
  /**
   * A payment of this account, made or received, step by step. A bank that cannot be reached is named in `missing`.
   *
   * @throws NotFoundError if there is none under this id, also for one that is somebody else's
   */
  explain(id: string, options?: CallOptions): Promise<TransferTimeline>;
  /** The payments made by this account, newest first. */
  list(options?: PageOptions): AsyncIterableIterator<Transfer>;
}

export function transfersOf(context: CallContext, { coalesce }: { coalesce: boolean }): Transfers {
  const { gateways } = context;
  const outbox = createOutbox(context);
  return {
    create: (transfer) => new Promise((resolve, reject) => {
      const payment = toPayment(transfer);
      const timeoutMs = context.checkedTimeoutMs(transfer);
      const receiver: Receiver = (result) => {
        const outcome = declineAsError(result);
        if (outcome.ok) resolve(outcome.transfer);
        else reject(outcome.error);
      };
      outbox.send(payment, { login: context.login(), timeoutMs, signal: transfer.signal, gathers: coalesce }, receiver, 0);
    }),

    async createMany(transfers, options) {
      if (!Array.isArray(transfers)) {
        throw new InvalidArgumentError('createMany takes a list of payments', { code: 'INVALID_OPTION', field: 'transfers', outcome: 'not_applied' });
      }
      const timeoutMs = context.checkedTimeoutMs(options);
      const send = { login: context.login(), timeoutMs, signal: options?.signal, gathers: true };
      // As it is now: between two goes the caller may change its list.
      const asked = [...transfers];
      const results = new Array<TransferResult>(asked.length);
      const all = Promise.withResolvers<void>();
      let awaited = asked.length;
      const receiver: Receiver = (result, place) => {
        results[place] = declineAsError(result);
        awaited -= 1;
        if (awaited === 0) all.resolve();
      };
      for (const [place, transfer] of asked.entries()) {
        if (place > 0 && place % ITEMS_IN_ONE_GO_MAX === 0) await setImmediate();
        const payment = checkedPayment(transfer);
        if (payment instanceof StrifeError) receiver({ ok: false, error: payment }, place);
        else outbox.send(payment, send, receiver, place);
      }
      if (awaited > 0) await all.promise;
      return results;
    },

    async get(id, options) {
      const transferId = checkedId(id);
      const ask: Ask<Transfer> = async (gateway, asking) => {
        const response = await gateway.transfers.getTransfer({ id: transferId }, asking);
        return toTransfer(response.transfer);
      };
      return query(gateways, context.budget(options), ask, context.login());
    },

    async explain(id, options) {
      const transferId = checkedId(id);
      const ask: Ask<TransferTimeline> = async (gateway, asking) => toTimeline(await gateway.transfers.explainTransfer({ id: transferId }, asking));
      return query(gateways, context.budget(options), ask, context.login());
    },

    list(options) {
      return pages(context, options, async ({ transfers }, page, asking) => {
        const response = await transfers.listTransfers(page, asking);
        return { items: response.transfers.map(toTransfer), nextPageToken: response.nextPageToken };
      });
    },
  };
}

function declineAsError(result: Result): TransferResult {
  if (!result.ok || result.transfer.state !== 'declined') return result;
  const { transfer } = result;
  return { ok: false, error: new TransferDeclinedError(transfer.declineReason ?? 'unspecified', transfer) };
}

function checkedPayment(transfer: NewTransfer): Payment | StrifeError {
  try {
    return toPayment(transfer);
  } catch (error) {
    if (error instanceof StrifeError) return error;
    throw error;
  }
}
