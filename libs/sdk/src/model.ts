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

/** A login. Plain data: it may be saved and given to `connect` again until it expires. Whoever has the token can pay. */
export interface Session {
  token: string;
  expiresAtMs: number;
  /** The account that it is for, such as `alpha/alice`. */
  account: string;
  /** The account's currency, ISO 4217. */
  currency: string;
}
