// What a caller says about a payment, checked and put into the form in which it is sent.

import { validate as isUuid } from 'uuid';
import { checkTransferAmount, type Money } from '@strife/ledger';
import { WaitFor, type CreateTransferRequest } from '@strife/stubs/gateway';
import { parseAccountName } from './account-name.ts';
import { InvalidArgumentError } from './errors.ts';
import type { AccountAddress } from './model.ts';
import { asArgument } from './money.ts';
import { newTransferId } from './transfer-ids.ts';

/** The most characters that a memo may have. */
export const MEMO_CHARACTERS_MAX = 140;
/** The longest that a payment may be told to wait by `expiresInMs`: ten years. */
const EXPIRES_IN_MS_MAX = 10 * 366 * 24 * 60 * 60 * 1000;

/** A payment to make. The payer is the account that is logged in. */
export interface NewTransfer {
  /**
   * A UUID. Made by the SDK if absent. One id has at most one effect on balances, for ever: give the same one again to
   * ask again, never to pay twice.
   */
  id?: string | undefined;
  /**
   * With `id`: whether it is certain that no earlier send of it is without an answer, as for an id that was saved and never sent. Then
   * "not applied" can be said for certain in more cases. Default: true for an id that the SDK makes, else false. When in doubt leave it out.
   */
  earlierSendsAnswered?: boolean | undefined;
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
  /**
   * When the payment is no longer wanted, by the clock of the payer's bank. From then on the bank declines it as `expired`, for ever;
   * it can never be applied afterwards. Default: never.
   */
  expiresAt?: Date | undefined;
  /** As `expiresAt`, in milliseconds from now by this machine's clock. Only one of the two may be given. */
  expiresInMs?: number | undefined;
}

/** A payment in the form in which it is sent. */
export interface Payment {
  /** With `earlierSendsAnswered` as it is for the first send: the same as `isNew`. */
  readonly request: Readonly<CreateTransferRequest> & { readonly to: AccountAddress };
  /** No send from before this call is without an answer. */
  readonly isNew: boolean;
}

/** Checks what can be checked without a gateway, so that nothing is sent in vain. Throws InvalidArgumentError. */
export function toPayment(transfer: NewTransfer): Payment {
  if (typeof transfer !== 'object' || transfer === null) {
    throw invalid('INVALID_OPTION', 'transfer', "a payment is an object such as { to: 'beta/bob', amount: eur('12.50') }");
  }
  const { id, earlierSendsAnswered, to, amount, memo = '', wait = 'settled', expiresAt, expiresInMs } = transfer;
  const transferId = id === undefined ? newTransferId() : checkedId(id);
  if (typeof amount?.minorUnits !== 'bigint' || typeof amount.currency !== 'string') {
    throw invalid('INVALID_AMOUNT', 'amount', "the amount must be money, such as eur('12.50')");
  }
  asArgument(() => checkTransferAmount(amount));
  if (earlierSendsAnswered !== undefined && typeof earlierSendsAnswered !== 'boolean') {
    throw invalid('INVALID_OPTION', 'earlierSendsAnswered', 'earlierSendsAnswered must be true or false');
  }
  if (typeof memo !== 'string' || (memo.length > MEMO_CHARACTERS_MAX && [...memo].length > MEMO_CHARACTERS_MAX)) {
    throw invalid('INVALID_MEMO', 'memo', `the memo must be text of at most ${MEMO_CHARACTERS_MAX} characters`);
  }
  if (wait !== 'settled' && wait !== 'decided') throw invalid('INVALID_WAIT', 'wait', 'wait must be "settled" or "decided"');
  const isNew = earlierSendsAnswered === true || id === undefined;
  const request = {
    id: transferId,
    to: parseAccountName(to, 'to'),
    amount: { currency: amount.currency, minorUnits: amount.minorUnits },
    memo,
    waitFor: wait === 'decided' ? WaitFor.DECIDED : WaitFor.SETTLED,
    earlierSendsAnswered: isNew,
    expiresAtUnixMs: expiry(expiresAt, expiresInMs),
  };
  return { request, isNew };
}

/** The id as it is sent. Throws InvalidArgumentError. */
export function checkedId(id: string): string {
  const trimmed = typeof id === 'string' ? id.trim().toLowerCase() : '';
  if (!isUuid(trimmed)) throw invalid('INVALID_TRANSFER_ID', 'id', 'a transfer id is a UUID');
  return trimmed;
}

function expiry(expiresAt: Date | undefined, expiresInMs: number | undefined): bigint {
  if (expiresAt !== undefined && expiresInMs !== undefined) {
    throw invalid('INVALID_EXPIRY', 'expiresInMs', 'give expiresAt or expiresInMs, not both');
  }
  if (expiresInMs !== undefined) {
    if (typeof expiresInMs !== 'number' || !(expiresInMs > 0 && expiresInMs <= EXPIRES_IN_MS_MAX)) {
      throw invalid('INVALID_EXPIRY', 'expiresInMs', `expiresInMs must be above 0 and at most ${EXPIRES_IN_MS_MAX}`);
    }
    return BigInt(Math.ceil(Date.now() + expiresInMs));
  }
  if (expiresAt === undefined) return 0n;
  const atMs = expiresAt instanceof Date ? expiresAt.getTime() : NaN;
  if (!(atMs > 0)) throw invalid('INVALID_EXPIRY', 'expiresAt', 'expiresAt must be a valid Date');
  return BigInt(atMs);
}

function invalid(code: string, field: string, message: string): InvalidArgumentError {
  return new InvalidArgumentError(message, { code, field, outcome: 'not_applied' });
}
