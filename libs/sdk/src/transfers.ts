// Payments: making them, one or many, and looking at them later.

import { v7 as uuidv7, validate as isUuid } from 'uuid';
import { checkTransferAmount, type Money } from '@strife/ledger';
import { WaitFor, type CreateTransferRequest } from '@strife/stubs/gateway';
import { parseAccountName } from './account-name.ts';
import { itemFailure } from './call-failure.ts';
import type { CallContext, CallOptions, PageOptions } from './call-context.ts';
import { InvalidArgumentError, StrifeError, TransferDeclinedError } from './errors.ts';
import type { AccountAddress, Transfer } from './model.ts';
import { asArgument } from './money.ts';
import { pages } from './pages.ts';
import { query } from './query.ts';
import type { Answer, Result } from './submission.ts';
import { submit, type Send } from './submit.ts';
import { toTransfer } from './wire.ts';

/** The most characters that a memo may have. */
export const MEMO_CHARACTERS_MAX = 140;
/** The most payments that travel in one message; `createMany` cuts longer lists into several. */
const BATCH_ITEMS_MAX = 1000;

/** A payment to make. The payer is the account that is logged in. */
export interface NewTransfer {
  /**
   * A UUID. Made by the SDK if absent. One id has at most one effect on balances, for ever: give the same one again to
   * ask again, never to pay twice.
   */
  id?: string | undefined;
  /** The payee: `beta/bob`, or its parts. */
  to: string | AccountAddress;
  /** In the currency of both accounts; above zero, at most 10^15 minor units. */
  amount: Money;
  /** At most 140 characters. */
  memo?: string | undefined;
  /**
   * What to wait for. `settled` (default): both banks show it, or the gateway's wait for that is over. `decided`: the
   * outcome is final and durable, though balances may show it a moment later.
   */
  wait?: 'decided' | 'settled' | undefined;
}

/** What became of one payment of `createMany`. */
export type TransferResult = { ok: true; transfer: Transfer } | { ok: false; error: StrifeError };

/** The payments of the account that is logged in. */
export interface Transfers {
  /**
   * Pays. Resolves once the payment has succeeded. Repeats what is retryable, always under one id, at another gateway
   * where there is one, until `timeoutMs` is over.
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
   * @throws AuthenticationError if nobody is logged in
   */
  createMany(transfers: readonly NewTransfer[], options?: CallOptions): Promise<TransferResult[]>;
  /**
   * A payment of this account, made or received. One that was declined is returned, not thrown.
   *
   * @throws NotFoundError if there is none under this id
   */
  get(id: string, options?: CallOptions): Promise<Transfer>;
  /** The payments made by this account, newest first. */
  list(options?: PageOptions): AsyncIterableIterator<Transfer>;
}

/** A new transfer id, for callers that save it before they pay: a UUIDv7. */
export function newTransferId(): string {
  return uuidv7();
}

export function transfersOf(context: CallContext): Transfers {
  return {
    async create({ timeoutMs, signal, ...transfer }) {
      const request = toRequest(transfer);
      const budget = context.budget({ timeoutMs, signal });
      const [result] = await submit(context.gateways, budget, [request], sendOne(context));
      const outcome = declineAsError(result!);
      if (!outcome.ok) throw outcome.error;
      return outcome.transfer;
    },

    async createMany(transfers, options) {
      const budget = context.budget(options);
      const send = sendBatch(context);
      const checked = transfers.map(checkedRequest);
      const requests = checked.flatMap((item) => ('request' in item ? [item.request] : []));
      const results: Result[] = [];
      for (let start = 0; start < requests.length; start += BATCH_ITEMS_MAX) {
        const batch = requests.slice(start, start + BATCH_ITEMS_MAX);
        results.push(...(await submit(context.gateways, budget, batch, send)));
      }
      const sent = results.values();
      return checked.map((item) =>
        'request' in item ? declineAsError(sent.next().value!) : { ok: false, error: item.error },
      );
    },

    async get(id, options) {
      const transferId = checkedId(id);
      const metadata = context.authorization();
      return query(context.gateways, context.budget(options), async (link, signal) => {
        const response = await link.transfers.getTransfer({ id: transferId }, { metadata, signal });
        return toTransfer(response.transfer);
      });
    },

    list(options) {
      return pages(context, options, async (link, page, callOptions) => {
        const response = await link.transfers.listTransfers(page, callOptions);
        return { items: response.transfers.map(toTransfer), nextPageToken: response.nextPageToken };
      });
    },
  };
}

/** Throws AuthenticationError now, not in the middle of sending, if nobody is logged in. */
function sendOne(context: CallContext): Send<Payment> {
  const metadata = context.authorization();
  return async (link, [request], signal) => {
    const response = await link.transfers.createTransfer(request!, { metadata, signal });
    return [{ kind: 'transfer', transfer: toTransfer(response.transfer) }];
  };
}

function sendBatch(context: CallContext): Send<Payment> {
  const metadata = context.authorization();
  return async (link, requests, signal) => {
    const response = await link.transfers.batchCreateTransfers({ items: [...requests] }, { metadata, signal });
    return response.results.slice(0, requests.length).map(({ result }, index): Answer => {
      switch (result?.$case) {
        case 'transfer':
          return { kind: 'transfer', transfer: toTransfer(result.value) };
        case 'failure':
          return { kind: 'failure', failure: itemFailure(result.value, requests[index]!.id) };
        case undefined:
          throw new StrifeError("the gateway's answer lacks a result", { code: 'BAD_RESPONSE' });
      }
    });
  };
}

function declineAsError(result: Result): TransferResult {
  if (!result.ok || result.transfer.state !== 'declined') return result;
  const { transfer } = result;
  return { ok: false, error: new TransferDeclinedError(transfer.declineReason ?? 'unspecified', transfer) };
}

function checkedRequest(transfer: NewTransfer): { request: Payment } | { error: StrifeError } {
  try {
    return { request: toRequest(transfer) };
  } catch (error) {
    if (error instanceof StrifeError) return { error };
    throw error;
  }
}

/** A payment as it is sent, but for what changes from send to send. */
type Payment = Omit<CreateTransferRequest, 'earlierSendsAnswered'> & { readonly isNew: boolean };

/** Checks what can be checked without a gateway, so that nothing is sent in vain. */
function toRequest({ id, to, amount, memo = '', wait = 'settled' }: NewTransfer): Payment {
  const transferId = id === undefined ? newTransferId() : checkedId(id);
  asArgument(() => checkTransferAmount(amount));
  if ([...memo].length > MEMO_CHARACTERS_MAX) {
    throw invalid('INVALID_MEMO', 'memo', `the memo may have at most ${MEMO_CHARACTERS_MAX} characters`);
  }
  return {
    id: transferId,
    isNew: id === undefined,
    to: parseAccountName(to, 'to'),
    amount: { currency: amount.currency, minorUnits: amount.minorUnits },
    memo,
    waitFor: wait === 'decided' ? WaitFor.DECIDED : WaitFor.SETTLED,
  };
}

function checkedId(id: string): string {
  const trimmed = id.trim().toLowerCase();
  if (!isUuid(trimmed)) throw invalid('INVALID_TRANSFER_ID', 'id', 'a transfer id is a UUID');
  return trimmed;
}

function invalid(code: string, field: string, message: string): InvalidArgumentError {
  return new InvalidArgumentError(message, { code, field, outcome: 'not_applied' });
}
