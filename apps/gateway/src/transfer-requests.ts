// Checks what a caller asks for, field by field, before anything else sees it.

import { AMOUNT_MINOR_MAX, isCurrency } from '@strife/ledger';
import { MEMO_CHARACTERS_MAX, memoFits, namePattern, nameRule, readTransferId, UNIX_MS_MAX } from '@strife/service';
import type { CreateTransferRequest } from '@strife/stubs/gateway';
import { writeFingerprint } from '@strife/two-phase-commit';
import type { AccountName, TransferRequest } from '@strife/two-phase-commit';
import { invalidArgument } from './failures.ts';
import type { Failure } from './failures.ts';

/** Names of banks and accounts. */
// oxlint-disable-next-line no-control-regex -- control characters are what it is there to find
const controlCharacters = /[\u0000-\u001f\u007f]/;

export type Checked<T> = { readonly kind: 'ok'; readonly value: T } | { readonly kind: 'wrong'; readonly failure: Failure };

/** The transfer that `payer` asks for, or the first thing that is wrong with it. */
export function checkTransferRequest(request: CreateTransferRequest, payer: AccountName, nowMs: number): Checked<TransferRequest> {
  const key = { id: Buffer.allocUnsafe(16), fingerprint: Buffer.allocUnsafe(16) };
  const id = readTransferId(request.id, key.id);
  if (id === undefined) return wrong('id', 'MALFORMED_ID', 'must be a UUID, such as 0190f8a2-7c1e-7d3a-9f6b-2b1c3d4e5f60');
  const { to, amount, memo } = request;
  if (to === undefined) return wrong('to', 'MISSING', 'is missing');
  if (!namePattern.test(to.bank)) return wrong('to.bank', 'MALFORMED_NAME', nameRule);
  if (!namePattern.test(to.account)) return wrong('to.account', 'MALFORMED_NAME', nameRule);
  if (to.bank === payer.bank && to.account === payer.account) return wrong('to', 'OWN_ACCOUNT', 'must be another account than your own');
  if (amount === undefined) return wrong('amount', 'MISSING', 'is missing');
  if (!isCurrency(amount.currency)) return wrong('amount.currency', 'UNKNOWN_CURRENCY', 'must be an ISO 4217 code, such as EUR');
  if (amount.minorUnits <= 0n) return wrong('amount.minor_units', 'INVALID_AMOUNT', 'must be more than zero');
  if (amount.minorUnits > AMOUNT_MINOR_MAX) return wrong('amount.minor_units', 'INVALID_AMOUNT', `must be at most ${AMOUNT_MINOR_MAX}`);
  if (!memoFits(memo)) return wrong('memo', 'MEMO_TOO_LONG', `must have at most ${MEMO_CHARACTERS_MAX} characters`);
  if (controlCharacters.test(memo)) return wrong('memo', 'MEMO_CONTROL_CHARACTERS', 'must be one line without control characters');
  if (request.expiresAtUnixMs < 0n) return wrong('expires_at_unix_ms', 'INVALID_TIME', 'must be a time in ms since 1970, or 0 for never');
  const body = { from: payer, to, currency: amount.currency, amountMinor: amount.minorUnits, memo };
  return { kind: 'ok', value: { id, fingerprint: writeFingerprint(body, key.fingerprint), key, body, createdAtMs: nowMs } };
}

/**
 * When the payer no longer wants it, in ms since the Unix epoch; undefined for never. A time that has passed is no error here: the
 * payer's bank declines it, durably, which closes the id at every gateway.
 */
export function expiryOf({ expiresAtUnixMs }: Pick<CreateTransferRequest, 'expiresAtUnixMs'>): number | undefined {
  if (expiresAtUnixMs === 0n) return undefined;
  return Number(expiresAtUnixMs < UNIX_MS_MAX ? expiresAtUnixMs : UNIX_MS_MAX);
}

function wrong(field: string, reason: string, message: string): Checked<never> {
  return { kind: 'wrong', failure: invalidArgument(field, reason, message) };
}
