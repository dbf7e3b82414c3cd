// Payments over the wire: one alone as a call of its own, several as a batch.

import { WaitFor, type CreateTransferRequest, type TransferResult as WireResult } from '@strife/stubs/gateway';
import { itemFailure } from './call-failure.ts';
import { StrifeError } from './errors.ts';
import type { GatewayClients } from './gateway-link.ts';
import type { AskOptions } from './query.ts';
import type { Answer } from './submission.ts';
import { toTransfer } from './wire.ts';

/** The most payments in one message; the gateway takes no more. */
export const BATCH_ITEMS_MAX = 1_000;
/** The most bytes of payments in one message, by `wireBytes`. */
export const BATCH_BYTES_MAX = 1024 * 1024;
/** What ids, numbers and tags take at the most. */
const PAYMENT_BYTES = 120;

/** At least what a payment takes in a message. */
export function wireBytes({ memo, to }: Pick<CreateTransferRequest, 'memo' | 'to'>): number {
  return PAYMENT_BYTES + 3 * (memo.length + (to?.bank.length ?? 0) + (to?.account.length ?? 0));
}

/** Sends payments and gives an answer for each, in their order; an answer may be missing. Throws when the whole call failed. */
export async function sendPayments(
  gateway: GatewayClients,
  requests: CreateTransferRequest[],
  options: AskOptions,
): Promise<readonly Answer[]> {
  const [alone] = requests;
  if (requests.length === 1 && alone) {
    const { transfer } = await gateway.transfers.createTransfer(alone, options);
    return [{ kind: 'transfer', transfer: toTransfer(transfer) }];
  }
  const { results } = await gateway.transfers.batchCreateTransfers({ items: requests }, options);
  return requests.map(({ id }, index) => toAnswer(results[index], id));
}

/** What says how long an answer may take, beside the banks. */
export function waitName(request: Pick<CreateTransferRequest, 'waitFor'>): string {
  return request.waitFor === WaitFor.DECIDED ? 'decided' : 'settled';
}

function toAnswer(item: WireResult | undefined, transferId: string): Answer {
  switch (item?.result?.$case) {
    case 'transfer':
      return answerOf(item.result.value, transferId);
    case 'failure':
      return { kind: 'failure', failure: itemFailure(item.result.value, transferId) };
    case undefined:
      return badAnswer('the gateway gave no answer for this transfer', transferId);
  }
}

/** One bad result says nothing about the others. */
function answerOf(wire: Parameters<typeof toTransfer>[0], transferId: string): Answer {
  try {
    return { kind: 'transfer', transfer: toTransfer(wire) };
  } catch (cause) {
    return badAnswer((cause as Error).message, transferId);
  }
}

function badAnswer(message: string, transferId: string): Answer {
  const error = new StrifeError(message, { code: 'BAD_RESPONSE', outcome: 'unknown', transferId });
  return { kind: 'failure', failure: { error, lookedUp: false } };
}
