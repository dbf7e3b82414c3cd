// The queue's rules: what may be sent next, what an answer does to a payment, and who may be let go. Pure.
//
// Two promises stand on them. A payment that may have been applied is never given up: only a bank's answer ends it. And one that is
// said to have expired is never applied afterwards.

import type { Money } from '@strife/ledger';
import type { ErrorCode } from '../error-codes.ts';
import {
  AuthenticationError,
  ConflictError,
  InvalidArgumentError,
  NotFoundError,
  OutcomeUnknownError,
  StrifeError,
  TlsError,
  TransferDeclinedError,
  UnavailableError,
} from '../errors.ts';
import type { Transfer } from '../model.ts';
import type { QueueLimit } from './queue-errors.ts';
import type { OutgoingPayment, SendResult } from './queue-port.ts';
import type { QueueRow, QueueState, QueueUsage } from './queue-store.ts';

/** How many answers in a row may make no sense before a payment is set aside. */
export const BAD_ANSWERS_MAX = 8;
/** The most payments of one message. */
export const BATCH_ITEMS_MAX = 100;
/** A time that is past by every clock; 0 would mean "never". */
const LONG_AGO_MS = 1;
const BACK_OFF_FIRST_MS = 500;
/** Where nobody can be reached, a try costs nobody but this machine. */
const BACK_OFF_OFFLINE_MAX_MS = 5_000;
const BACK_OFF_MAX_MS = 30_000;
/**
 * The refusals that a login mends: what names the payer is missing, broken or over. Any other, of this release or a later one, may be taken
 * back while the session is good all the time (an intention, a role, a frozen account), so such a payment is tried again.
 */
const MENDED_BY_LOGIN: ReadonlySet<string> = new Set<ErrorCode>([
  'NOT_LOGGED_IN',
  'SESSION_ENDED',
  'SESSION_REVOKED',
  'TOKEN_MISSING',
  'TOKEN_MALFORMED',
  'TOKEN_EXPIRED',
  'TOKEN_FORGED',
  'TOKEN_ISSUER',
  'TOKEN_REVOKED',
  'GRANT_EXPIRED',
  'GRANT_REFUSED',
  'REFRESH_TOKEN_INVALID',
  'REFRESH_TOKEN_EXPIRED',
  'REFRESH_TOKEN_REUSED',
]);

/** The caps of a queue; amounts for each currency that has one. */
export interface QueueLimits {
  readonly payments: number;
  readonly amountEach: readonly Money[];
  readonly amountInTotal: readonly Money[];
}

/** The cap that keeps a payment of this amount out; undefined if there is room. */
export function limitInTheWay(amount: Money, usage: QueueUsage, limits: QueueLimits): QueueLimit | undefined {
  const ofCurrency = ({ currency }: Money): boolean => currency === amount.currency;
  const each = limits.amountEach.find(ofCurrency);
  if (each && amount.minorUnits > each.minorUnits) return { name: 'amountEach', max: each };
  if (usage.payments >= limits.payments) return { name: 'payments', max: limits.payments };
  const total = limits.amountInTotal.find(ofCurrency);
  if (total && usage.total.minorUnits + amount.minorUnits > total.minorUnits) return { name: 'amountInTotal', max: total };
  return undefined;
}

export function isPending(state: QueueState): boolean {
  return state === 'queued' || state === 'sending' || state === 'needs-login';
}

/** What to send of a payer's next payments. */
export interface NextSend {
  /** The rows with what changes before the send. Must be durable before anything is sent. */
  readonly changed: readonly QueueRow[];
  readonly outgoing: readonly OutgoingPayment[];
}

/**
 * Takes a payer's next pending rows, for the one who has the claim: a row in `sending` is from a sender that died.
 *
 * A row that is past its time has expired if it was never sent, or if nothing came of it for certain. Otherwise its bank is asked, with
 * a time that is past by any clock: the bank says what it applied, or declines it for ever.
 */
export function takeNext(rows: readonly QueueRow[], nowMs: number): NextSend {
  const changed: QueueRow[] = [];
  const outgoing: OutgoingPayment[] = [];
  for (const row of rows) {
    const isPast = isPastItsTime(row, nowMs);
    if (isPast && !row.unanswered) {
      changed.push({ ...row, state: 'expired' });
      continue;
    }
    changed.push({ ...row, state: 'sending', attempts: row.attempts + 1, unanswered: true });
    const expiresAtMs = isPast ? LONG_AGO_MS : row.expiresAt?.getTime();
    const { id, to, amount, memo } = row;
    outgoing.push({ id, to, amount, memo, expiresAtMs, earlierSendsAnswered: !row.unanswered });
  }
  return { changed, outgoing };
}

/** The rows that are past their time and were not sent, as expired. Anyone may do this at any time: nobody is sending them. */
export function expireUnsent(rows: readonly QueueRow[], nowMs: number): QueueRow[] {
  return rows
    .filter((row) => row.state !== 'sending' && isPending(row.state) && !row.unanswered && isPastItsTime(row, nowMs))
    .map((row) => ({ ...row, state: 'expired' }));
}

/**
 * A row in `sending` after its send. `result` is undefined where none came. Only one that was sent alone is set aside: what is wrong with a
 * message of many need not be wrong with this one.
 */
export function afterSend(row: QueueRow, result: SendResult | undefined, wasAlone: boolean): QueueRow {
  const after = judged(row, result);
  return after.state === 'failed' && !wasAlone ? { ...after, state: 'queued', badAnswers: row.badAnswers } : after;
}

function judged(row: QueueRow, result: SendResult | undefined): QueueRow {
  if (!result) return badAnswer(row, new StrifeError('the gateway gave no answer for this payment', { code: 'BAD_RESPONSE' }));
  if (result.ok) return afterTransfer(row, result.transfer);
  const { error } = result;
  if (error instanceof TransferDeclinedError) return afterTransfer(row, error.transfer);
  if (error.outcome === 'applied') return { ...row, state: 'done', unanswered: false, problem: problemOf(error) };

  const reason = error instanceof OutcomeUnknownError && error.cause instanceof StrifeError ? error.cause : error;
  const isCertain = error.outcome === 'not_applied';
  if (isCertain && isAboutThePayment(reason)) {
    return { ...row, state: 'failed', unanswered: false, problem: problemOf(reason) };
  }
  const open: QueueRow = { ...row, state: 'queued', unanswered: !isCertain, problem: problemOf(reason) };
  if (isMendedByLogin(reason)) return { ...open, state: 'needs-login', badAnswers: 0 };
  return isNobodysFault(reason) || isCertain ? { ...open, badAnswers: 0 } : badAnswer(open, reason);
}

/** A row in `sending` when the send did not happen: as it was before, `earlier` being whether an earlier send was unanswered. */
export function afterNoSend(row: QueueRow, earlier: boolean, error: StrifeError): QueueRow {
  const state = isMendedByLogin(error) ? 'needs-login' : 'queued';
  return { ...row, state, attempts: row.attempts - 1, unanswered: earlier, problem: problemOf(error) };
}

/** Whether the row may be forgotten: what became of the money is certain, and nobody is about to send it. */
export function mayDrop(row: QueueRow): boolean {
  return row.state !== 'sending' && !row.unanswered;
}

/** The row to be delivered again after it was set aside, or sooner than planned. What has ended stays ended. */
export function afterRetry(row: QueueRow): QueueRow {
  if (row.state !== 'failed') return row;
  return { ...row, state: 'queued', badAnswers: 0, resultSeq: undefined };
}

/**
 * How many payments the next message of a payer takes. One that came through doubles it; anything else brings it back to one. So a
 * gateway is tried with a single payment, and one that always fails holds up only those behind it.
 */
export function nextBatchItems(items: number, allEnded: boolean, itemsMax: number): number {
  return allEnded ? Math.min(items * 2, itemsMax) : 1;
}

/** The pause after so many failures in a row (1, 2, ...): doubling up to a bound, and at least half of that. */
export function backOffMs(failures: number, isOffline: boolean, random: number): number {
  const maxMs = isOffline ? BACK_OFF_OFFLINE_MAX_MS : BACK_OFF_MAX_MS;
  const boundMs = Math.min(maxMs, BACK_OFF_FIRST_MS * 2 ** Math.min(failures - 1, 20));
  return (boundMs * (1 + random)) / 2;
}

/** Whether the row is over, with certainty about its money; one that was set aside without is not. */
export function hasEnded(row: QueueRow): boolean {
  return !isPending(row.state) && !row.unanswered;
}

function isPastItsTime({ expiresAt }: QueueRow, nowMs: number): boolean {
  return expiresAt !== undefined && expiresAt.getTime() <= nowMs;
}

function afterTransfer(row: QueueRow, transfer: Transfer): QueueRow {
  if (!isTransferOf(row, transfer)) {
    return badAnswer(row, new StrifeError('the gateway answered with another transfer', { code: 'BAD_RESPONSE' }));
  }
  const ended = { ...row, unanswered: false, badAnswers: 0, problem: undefined, transfer };
  switch (transfer.state) {
    case 'succeeded':
      return { ...ended, state: 'done' };
    case 'declined':
      return { ...ended, state: transfer.declineReason === 'expired' ? 'expired' : 'declined' };
    case 'pending':
      return {
        ...row,
        state: 'queued',
        badAnswers: 0,
        problem: { code: 'OUTCOME_UNKNOWN', message: 'the banks have not settled the transfer yet' },
      };
  }
}

function isTransferOf(row: QueueRow, { id, from, to, amount }: Transfer): boolean {
  return (
    id === row.id &&
    from === row.from &&
    to === row.to &&
    amount.currency === row.amount.currency &&
    amount.minorUnits === row.amount.minorUnits
  );
}

function badAnswer(row: QueueRow, error: StrifeError): QueueRow {
  const badAnswers = row.badAnswers + 1;
  const state = badAnswers < BAD_ANSWERS_MAX ? 'queued' : 'failed';
  return { ...row, state, unanswered: true, badAnswers, problem: problemOf(error) };
}

/** Refused for what the payment says; sending it again cannot help. */
function isAboutThePayment(error: StrifeError): boolean {
  if (error.retryable) return false;
  return error instanceof InvalidArgumentError || error instanceof NotFoundError || error instanceof ConflictError;
}

function isMendedByLogin(error: StrifeError): boolean {
  return error instanceof AuthenticationError && MENDED_BY_LOGIN.has(error.code);
}

/** The line, the gateway, the bank or whom they let in was the trouble, or this program is ending; not what was sent. */
function isNobodysFault(error: StrifeError): boolean {
  if (error instanceof UnavailableError || error instanceof TlsError || error instanceof AuthenticationError) return true;
  return error.retryable || error.code === 'CLOSED';
}

function problemOf({ code, message }: StrifeError): { code: string; message: string } {
  return { code, message };
}
