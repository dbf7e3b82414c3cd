// Double entry: what may be held, and what holding, releasing and settling do to the two accounts of a movement.
//
// Every movement at a bank is between two of its accounts, from one to the other: a debit leg from the customer to the
// peer's clearing account, a credit leg from the clearing account to the customer, a transfer inside the bank from payer
// to payee, a deposit from equity to the customer.

import { available, type Account } from './account.ts';
import { BALANCE_MINOR_MAX, type Money } from './money.ts';

/** Why a movement is declined, for ever under its id. */
export type DeclineReason =
  | 'insufficient_funds'
  | 'no_such_payer'
  | 'no_such_payee'
  | 'payer_frozen'
  | 'payee_frozen'
  | 'payer_currency'
  | 'payee_currency'
  | 'limit_exceeded'
  /** Never said by these rules, which know no clock: the payer no longer wanted it when it arrived. */
  | 'expired';

/** One line of an account's books. Never changed once written. */
export interface Entry {
  readonly accountId: number;
  /** Signed: negative leaves the account. */
  readonly amountMinor: bigint;
  /** The account's posted balance after this entry. */
  readonly postedMinor: bigint;
}

/** Both accounts of a movement after it: `debited` is the one that money leaves. */
export interface Pair {
  readonly debited: Account;
  readonly credited: Account;
}

/** A movement with its two entries, which sum to zero: the debited account's first. */
export interface Movement extends Pair {
  readonly entries: readonly [Entry, Entry];
}

/** A precondition that only a bug can break. Nothing was changed; the process must not go on. */
export class LedgerInvariantError extends Error {
  override readonly name = 'LedgerInvariantError';
}

/** Whether `amount`, more than zero, may be taken from the account now: undefined, or why not. Asks for clearing and equity accounts too. */
export function mayDebit(account: Account | undefined, amount: Money): DeclineReason | undefined {
  requirePositive(amount);
  if (account === undefined) return 'no_such_payer';
  if (account.currency !== amount.currency) return 'payer_currency';
  if (account.frozen) return 'payer_frozen';
  if (lowest(account) - amount.minorUnits >= (account.floor ?? -BALANCE_MINOR_MAX)) return undefined;
  return account.floor === null ? 'limit_exceeded' : 'insufficient_funds';
}

/** Whether `amount`, more than zero, may be given to the account now: undefined, or why not. Asks for clearing and equity accounts too. */
export function mayCredit(account: Account | undefined, amount: Money): DeclineReason | undefined {
  requirePositive(amount);
  if (account === undefined) return 'no_such_payee';
  if (account.currency !== amount.currency) return 'payee_currency';
  if (account.frozen) return 'payee_frozen';
  return highest(account) + amount.minorUnits > BALANCE_MINOR_MAX ? 'limit_exceeded' : undefined;
}

/**
 * Prepares a leg: sets the amount aside in `from` and keeps room for it in `to`.
 * `mayDebit(from)` and `mayCredit(to)` must both be undefined.
 */
export function hold(from: Account, to: Account, amount: Money): Pair {
  requireAllowed(from, to, amount);
  return {
    debited: changed(from, from.posted, from.held + amount.minorUnits, from.incoming),
    credited: changed(to, to.posted, to.held, to.incoming + amount.minorUnits),
  };
}

/** Takes back exactly what `hold` did with the same arguments. */
export function release(from: Account, to: Account, amount: Money): Pair {
  requireHeld(from, to, amount);
  return {
    debited: changed(from, from.posted, from.held - amount.minorUnits, from.incoming),
    credited: changed(to, to.posted, to.held, to.incoming - amount.minorUnits),
  };
}

/** Settles a held debit leg. It cannot fail for what happened since the hold, a freeze included. */
export function settleDebit(customer: Account, clearing: Account, amount: Money): Movement {
  requireKinds(customer, 'customer', clearing, 'clearing');
  return settle(customer, clearing, amount);
}

/** Settles a held credit leg. It cannot fail for what happened since the hold, a freeze included. */
export function settleCredit(clearing: Account, customer: Account, amount: Money): Movement {
  requireKinds(clearing, 'clearing', customer, 'customer');
  return settle(clearing, customer, amount);
}

/** Moves money between two customers of one bank at once, without a hold. `mayDebit` and `mayCredit` must both be undefined. */
export function applyInside(payer: Account, payee: Account, amount: Money): Movement {
  requireKinds(payer, 'customer', payee, 'customer');
  requireAllowed(payer, payee, amount);
  return move(payer, payee, amount.minorUnits);
}

/** Brings money into the bank. `mayDebit(equity)` and `mayCredit(customer)` must both be undefined. */
export function deposit(equity: Account, customer: Account, amount: Money): Movement {
  requireKinds(equity, 'equity', customer, 'customer');
  requireAllowed(equity, customer, amount);
  return move(equity, customer, amount.minorUnits);
}

/** `release` and `move` in one. */
function settle(from: Account, to: Account, amount: Money): Movement {
  requireHeld(from, to, amount);
  const { minorUnits: minor } = amount;
  return entered(
    changed(from, from.posted - minor, from.held - minor, from.incoming),
    changed(to, to.posted + minor, to.held, to.incoming - minor),
    minor,
  );
}

function move(from: Account, to: Account, minor: bigint): Movement {
  return entered(changed(from, from.posted - minor, from.held, from.incoming), changed(to, to.posted + minor, to.held, to.incoming), minor);
}

/** The account with other sums. Written out: this happens four times a payment and bank, and a spread takes three times as long. */
function changed({ id, kind, name, currency, floor, frozen }: Account, posted: bigint, held: bigint, incoming: bigint): Account {
  return { id, kind, name, currency, posted, held, incoming, floor, frozen };
}

/** The movement that made the accounts what they are. */
function entered(debited: Account, credited: Account, minor: bigint): Movement {
  return {
    debited,
    credited,
    entries: [
      { accountId: debited.id, amountMinor: -minor, postedMinor: debited.posted },
      { accountId: credited.id, amountMinor: minor, postedMinor: credited.posted },
    ],
  };
}

/** The balance if every prepared leg that takes settles, and none that gives. */
function lowest(account: Account): bigint {
  return available(account);
}

/** The balance if every prepared leg that gives settles, and none that takes. */
function highest(account: Account): bigint {
  return account.posted + account.incoming;
}

function requirePositive(amount: Money): void {
  if (amount.minorUnits <= 0n) throw new LedgerInvariantError(`an amount of ${amount.minorUnits} ${amount.currency} is no movement`);
}

function requireAllowed(from: Account, to: Account, amount: Money): void {
  requireTwo(from, to);
  const reason = mayDebit(from, amount) ?? mayCredit(to, amount);
  if (reason !== undefined) throw new LedgerInvariantError(`${describe(from, to, amount)} was not allowed: ${reason}`);
}

function requireHeld(from: Account, to: Account, amount: Money): void {
  requireTwo(from, to);
  requirePositive(amount);
  const { currency, minorUnits } = amount;
  if (from.currency !== currency || to.currency !== currency || from.held < minorUnits || to.incoming < minorUnits) {
    throw new LedgerInvariantError(`${describe(from, to, amount)} was not held`);
  }
}

function requireTwo(from: Account, to: Account): void {
  if (from.id === to.id) throw new LedgerInvariantError(`account ${from.id} cannot pay itself`);
}

function requireKinds(from: Account, fromKind: Account['kind'], to: Account, toKind: Account['kind']): void {
  if (from.kind !== fromKind || to.kind !== toKind) {
    throw new LedgerInvariantError(`a movement from ${fromKind} to ${toKind} was asked of ${from.kind} ${from.id} and ${to.kind} ${to.id}`);
  }
}

function describe(from: Account, to: Account, amount: Money): string {
  return `moving ${amount.minorUnits} ${amount.currency} from account ${from.id} to account ${to.id}`;
}
