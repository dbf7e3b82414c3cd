// The public data types: plain values, with accounts written `alpha/alice` and money as a currency with bigint minor units.

import type { DeclineReason as LedgerReason, Money } from '@strife/ledger';

/** An account at a bank, as in `alpha/alice`. */
export interface AccountAddress {
  bank: string;
  account: string;
}

/** Why a transfer was declined. A reason that this release does not know is `unspecified`. */
export type DeclineReason = LedgerReason | 'unspecified';

/** A payment, as the gateway that decided it tells it. */
export interface Transfer {
  /** The UUID that it was made under. */
  id: string;
  /** The payer, such as `alpha/alice`. */
  from: string;
  /** The payee, such as `beta/bob`. */
  to: string;
  amount: Money;
  memo: string;
  /** `pending`: prepared at a bank and not known to be decided. */
  state: 'succeeded' | 'declined' | 'pending';
  /** Set when declined. */
  declineReason?: DeclineReason;
  /** The id had been answered before; nothing moved now. */
  replayed: boolean;
  createdAt: Date;
  /** Absent while pending. */
  decidedAt?: Date;
}

/** A payment step by step, as one gateway and the two banks have it in their books. */
export interface TransferTimeline {
  /** `not_applied`: the last attempt was given up; nothing moved, and the same id may be sent again. */
  transfer: Omit<Transfer, 'state'> & { state: Transfer['state'] | 'not_applied' };
  /** By time, each by the clock of its place: clocks that differ may show effects before causes. Those without a time are last. */
  events: TransferEvent[];
  /** Where something may have happened that is not among the events. */
  missing: MissingPlace[];
}

export interface TransferEvent {
  /** Absent if it is not kept when it was. */
  at?: Date;
  /** `gateway g1`, `bank alpha` */
  place: string;
  kind: TransferEventKind;
  /** Absent if it is not of one attempt, or not kept of which. */
  attempt?: number;
  /** For a person. */
  detail: string;
}

/**
 * What happened. `attempt`: a gateway began one. `prepared`: a bank holds its half, and votes YES. `declined`: a bank closed the id, for ever. `decided`: a gateway's log has
 * the outcome of an attempt. `settled`: a bank moved the money. `released`: a bank let go of what it held. `fenced`: a bank that held nothing
 * shut the attempt out. `acknowledged`: both banks did as decided. `started`: a process started again in between. `other`: a newer gateway's word.
 */
export type TransferEventKind = 'attempt' | 'prepared' | 'declined' | 'decided' | 'settled' | 'released' | 'fenced' | 'acknowledged' | 'started' | 'other';

export interface MissingPlace {
  /** `bank alpha` */
  place: string;
  /** For a person: why. */
  detail: string;
}

/** Posted is what the ledger says, held is promised to payments in doubt; available = posted - held. */
export interface Balance {
  /** `alpha/alice` */
  account: string;
  posted: Money;
  held: Money;
  available: Money;
}

/** One line of an account's history. */
export interface Entry {
  /** Absent for a deposit. */
  transferId?: string;
  /** Who paid or was paid, such as `beta/bob`; absent for a deposit. */
  counterparty?: string;
  /** Signed: negative left the account. */
  amount: Money;
  /** The posted balance after this entry. */
  posted: Money;
  memo: string;
  settledAt: Date;
}

/**
 * A login. Plain data: it may be saved and given to `connect` again. Whoever has it can pay.
 *
 * It lives on by being refreshed: a new `token` and a new `refreshToken` take the place of the old ones.
 */
export interface Session {
  /** Sent with every call. */
  token: string;
  /** When `token` ends, Unix time. */
  expiresAtMs: number;
  /** The account that it is for, such as `alpha/alice`. */
  account: string;
  /** The account's currency, ISO 4217. */
  currency: string;
  /** Good for one refresh. Absent where the gateway gives none: then the session ends with `token`. */
  refreshToken?: string;
  /** When `refreshToken` ends, Unix time: until then the session can live on without a password. */
  refreshExpiresAtMs?: number;
  /**
   * A refresh that has begun and whose answer is not known. It stands here before it is sent, so that a process that died in
   * between asks for the same again: another request with the same `refreshToken` would end the session.
   */
  refreshRequestId?: string;
}
