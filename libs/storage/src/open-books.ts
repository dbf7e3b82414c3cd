// What a write of a bank's books works on.

import type { Account, Movement, Pair } from '@strife/ledger';
import type { LegRecord, TransferId } from '@strife/two-phase-commit';
import type { StoredLeg } from './ledger-store.ts';

/** A leg as the books hold it, with all that the write has done to it; undefined while there is none. */
export interface BookedLeg {
  readonly id: TransferId;
  readonly leg: StoredLeg | undefined;
}

/** An account as the books hold it, with all that the write has done to it. */
export interface BookedAccount {
  readonly account: Account;
}

/**
 * The books inside one write: all that is done to them is one transaction with one sync. Of each leg and each account there is one object, which shows
 * every change at once; it is good for as long as the write lasts.
 */
export interface OpenBooks {
  /** @param id well-formed: a malformed one fails the write */
  leg(id: TransferId): BookedLeg;
  account(kind: Account['kind'], name: string): BookedAccount | undefined;
  accountById(id: number): BookedAccount | undefined;
  /** The clearing account towards `peer` in this currency; made when it does not exist. */
  clearing(peer: string, currency: string): BookedAccount;
  /**
   * Gives the leg a new state. Terms, once written, stay: leave them out or repeat them (only the deadline may move). When it left doubt is, by
   * default, when it is first written so. Chains the payers' transfers.
   *
   * @param owner the customer whose leg it is, the payer when both are here; undefined when there is no such account. Stays as first written with terms
   */
  putLeg(leg: BookedLeg, record: LegRecord, owner: BookedAccount | undefined): void;
  /** Makes the accounts what the movement, or the hold, made of them, and writes its entries, if there are any. Chains the accounts' entries. */
  move(id: TransferId, debited: BookedAccount, credited: BookedAccount, after: Pair & Partial<Movement>): void;
}
