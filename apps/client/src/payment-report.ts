// A payment that failed: what became of the money, and what to do next.

import { formatAmount } from '@strife/ledger';
import type { Money, StrifeError, TransferDeclinedError } from '@strife/sdk';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { describeFailure, type Failure } from './failure.ts';
import { transferDocument } from './format.ts';
import type { Document } from './output.ts';
import { commandLine } from './shell-words.ts';

/** The payment as it was asked for, without what has defaults. */
export interface AskedPayment {
  to: string;
  amount: Money;
  memo?: string | undefined;
  wait?: string | undefined;
  /** When it is no longer wanted: a moment, since a time from now would begin anew with the command that asks again. */
  expiresAt?: Date | undefined;
  /** The settings that were typed as flags, for the command that asks again. */
  typedFlags?: readonly string[] | undefined;
  /** If the caller chose it: then it may have been used before. */
  id?: string | undefined;
}

/**
 * The failure with its meaning for the money, and the command that asks again where that helps: with the same id, unless nothing moved for
 * certain and the id was made for this payment. A new payment says so for certain again; under an id that was used the next failure could no longer.
 * `result` goes beside the error in JSON: the transfer, if it was declined. Undefined for an error of another kind.
 */
export function reportPayment(error: unknown, payment: AskedPayment): { failure: Failure; result: Document } | undefined {
  const failure = describeFailure(error);
  if (failure.document['outcome'] === undefined) return undefined;
  const { transferId } = error as StrifeError;
  const again = transferId && helpsToAskAgain(failure.exitCode) ? askAgainCommand(payment, (error as StrifeError).outcome === 'not_applied' ? payment.id : transferId) : undefined;
  const hint = [meaning(error as StrifeError), failure.hint, again && `${invitation(failure.exitCode)}\n  ${again}`];
  const document = { ...failure.document, ...(again && { askAgain: again }) };
  return { failure: { ...failure, hint: hint.filter(Boolean).join('\n'), document }, result: resultOf(error) };
}

function resultOf(error: unknown): Document {
  if ((error as Error).name !== 'TransferDeclinedError') return {};
  return { transfer: transferDocument((error as TransferDeclinedError).transfer) };
}

function meaning({ outcome, transferId }: StrifeError): string {
  switch (outcome) {
    case 'unknown':
      return `It is NOT known whether the money moved. Transfer id: ${transferId}`;
    case 'applied':
      return `The money has moved. Transfer id: ${transferId}`;
    default:
      return 'Nothing moved.';
  }
}

function helpsToAskAgain(exitCode: ExitCode): boolean {
  return exitCode === EXIT.outcomeUnknown || exitCode === EXIT.unavailable;
}

function invitation(exitCode: ExitCode): string {
  return exitCode === EXIT.unavailable ? 'Try again later:' : 'Ask again; with this id it is never paid twice:';
}

/** With all that was asked for: without its expiry, a payment that was to lapse would be made when somebody asks later. */
function askAgainCommand({ to, amount, memo, wait, expiresAt, typedFlags = [] }: AskedPayment, id: string | undefined): string {
  return commandLine([
    'strife',
    'pay',
    to,
    formatAmount(amount),
    '--currency',
    amount.currency,
    ...(memo ? ['--memo', memo] : []),
    ...(wait === undefined ? [] : ['--wait', wait]),
    ...(expiresAt === undefined ? [] : ['--expires-at', expiresAt.toISOString()]),
    ...typedFlags,
    ...(id === undefined ? [] : ['--id', id]),
  ]);
}
