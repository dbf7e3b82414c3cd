// The wire's messages to the public types. A message that lacks what the contract promises is a BAD_RESPONSE.

import {
  DeclineReason as WireReason,
  TransferState,
  type AccountName,
  type Balance as WireBalance,
  type Entry as WireEntry,
  type Money as WireMoney,
} from '@strife/stubs/type';
import {
  TransferEventKind as WireEventKind,
  type ExplainTransferResponse,
  type LoginResponse,
  type RefreshResponse,
  type Transfer as WireTransfer,
  type TransferEvent as WireEvent,
} from '@strife/stubs/gateway';
import type { Money } from '@strife/ledger';
import { formatAccountName } from './account-name.ts';
import { StrifeError } from './errors.ts';
import type { Balance, DeclineReason, Entry, Session, Transfer, TransferEvent, TransferEventKind, TransferTimeline } from './model.ts';

const DECLINE_REASONS = {
  [WireReason.UNSPECIFIED]: 'unspecified',
  [WireReason.INSUFFICIENT_FUNDS]: 'insufficient_funds',
  [WireReason.NO_SUCH_PAYER]: 'no_such_payer',
  [WireReason.NO_SUCH_PAYEE]: 'no_such_payee',
  [WireReason.PAYER_FROZEN]: 'payer_frozen',
  [WireReason.PAYEE_FROZEN]: 'payee_frozen',
  [WireReason.PAYER_CURRENCY]: 'payer_currency',
  [WireReason.PAYEE_CURRENCY]: 'payee_currency',
  [WireReason.LIMIT_EXCEEDED]: 'limit_exceeded',
  [WireReason.EXPIRED]: 'expired',
} as const satisfies Record<WireReason, DeclineReason>;

/** Why, in the public words; `unspecified` for a reason from a newer gateway. */
export function declineReason(reason: WireReason): DeclineReason {
  return DECLINE_REASONS[reason] ?? 'unspecified';
}

export function toTransfer(wire: WireTransfer | undefined): Transfer {
  const transfer = required(wire, 'transfer');
  const state = transferState(transfer.state);
  // Field by field: batches have a thousand of these, and each spread of a part that is mostly missing costs as much as all of it.
  const known: Transfer = {
    id: transfer.id,
    from: accountName(transfer.from, 'transfer.from'),
    to: accountName(transfer.to, 'transfer.to'),
    amount: toMoney(transfer.amount, 'transfer.amount'),
    memo: transfer.memo,
    state,
    replayed: transfer.replayed,
    createdAt: toDate(transfer.createdAtUnixMs),
  };
  if (state === 'declined') known.declineReason = declineReason(transfer.declineReason);
  if (transfer.decidedAtUnixMs !== 0n) known.decidedAt = toDate(transfer.decidedAtUnixMs);
  return known;
}

const EVENT_KINDS = {
  [WireEventKind.UNSPECIFIED]: 'other',
  [WireEventKind.ATTEMPT]: 'attempt',
  [WireEventKind.PREPARED]: 'prepared',
  [WireEventKind.DECLINED]: 'declined',
  [WireEventKind.DECIDED]: 'decided',
  [WireEventKind.SETTLED]: 'settled',
  [WireEventKind.RELEASED]: 'released',
  [WireEventKind.FENCED]: 'fenced',
  [WireEventKind.ACKNOWLEDGED]: 'acknowledged',
  [WireEventKind.STARTED]: 'started',
} as const satisfies Record<WireEventKind, TransferEventKind>;

export function toTimeline({ transfer, events, missing }: ExplainTransferResponse): TransferTimeline {
  const known = toTransfer(transfer);
  return {
    transfer: transfer?.state === TransferState.NOT_APPLIED ? { ...known, state: 'not_applied' } : known,
    events: events.map(toEvent),
    missing: missing.map(({ place, detail }) => ({ place, detail })),
  };
}

function toEvent({ atUnixMs, place, kind, attempt, detail }: WireEvent): TransferEvent {
  return {
    ...(atUnixMs !== 0n && { at: toDate(atUnixMs) }),
    place,
    kind: EVENT_KINDS[kind] ?? 'other',
    ...(attempt !== 0 && { attempt }),
    detail,
  };
}

export function toBalance(wire: WireBalance | undefined): Balance {
  const balance = required(wire, 'balance');
  return {
    account: accountName(balance.account, 'balance.account'),
    posted: toMoney(balance.posted, 'balance.posted'),
    held: toMoney(balance.held, 'balance.held'),
    available: toMoney(balance.available, 'balance.available'),
  };
}

export function toEntry(wire: WireEntry): Entry {
  return {
    ...(wire.transferId !== '' && { transferId: wire.transferId }),
    ...(wire.counterparty && { counterparty: formatAccountName(wire.counterparty) }),
    amount: toMoney(wire.amount, 'entry.amount'),
    posted: toMoney(wire.posted, 'entry.posted'),
    memo: wire.memo,
    settledAt: toDate(wire.settledAtUnixMs),
  };
}

export function toSession(wire: LoginResponse | RefreshResponse): Session {
  return {
    token: wire.token,
    expiresAtMs: Number(wire.expiresAtUnixMs),
    account: accountName(wire.account, 'account'),
    currency: wire.currency,
    ...(wire.refreshToken !== '' && { refreshToken: wire.refreshToken, refreshExpiresAtMs: Number(wire.refreshExpiresAtUnixMs) }),
  };
}

/** A state from a newer gateway counts as `pending`: not known to be decided. */
function transferState(state: TransferState): Transfer['state'] {
  switch (state) {
    case TransferState.SUCCEEDED:
      return 'succeeded';
    case TransferState.DECLINED:
      return 'declined';
    default:
      return 'pending';
  }
}

function accountName(name: AccountName | undefined, field: string): string {
  return formatAccountName(required(name, field));
}

function toMoney(money: WireMoney | undefined, field: string): Money {
  const { currency, minorUnits } = required(money, field);
  return { currency, minorUnits };
}

function toDate(unixMs: bigint): Date {
  return new Date(Number(unixMs));
}

function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) {
    throw new StrifeError(`the gateway's answer lacks ${field}`, { code: 'BAD_RESPONSE', field });
  }
  return value;
}
