// An account as the ledger's rules see it. Plain data; every change makes a new one.

/**
 * Whatever is prepared may settle or be released, in any order, and both ends stay inside the limits:
 *
 *   posted - held      is at least `floor` (or -BALANCE_MINOR_MAX where there is no floor), and
 *   posted + incoming  is at most BALANCE_MINOR_MAX.
 *
 * `posted - held` is the balance if everything that may leave does and nothing arrives, `posted + incoming` the reverse;
 * every other outcome lies between them. So a leg that was checked when it was prepared can always be settled, whatever
 * else was settled in between.
 */
export interface Account {
  readonly id: number;
  /** A customer's; the position towards one peer bank in one currency; or where deposits come from. */
  readonly kind: 'customer' | 'clearing' | 'equity';
  readonly name: string;
  /** ISO 4217. */
  readonly currency: string;
  /** The sum of the account's entries, in minor units. */
  readonly posted: bigint;
  /** Set aside for prepared legs that take from this account. */
  readonly held: bigint;
  /** Room kept for prepared legs that give to this account. Not spendable. */
  readonly incoming: bigint;
  /** The least that `available` may be; null for clearing and equity, which may go as far as BALANCE_MINOR_MAX below zero. */
  readonly floor: bigint | null;
  /** No new leg is prepared. Those already prepared still settle: a YES binds. */
  readonly frozen: boolean;
}

/** What may be spent, before the floor, in minor units. */
export function available(account: Account): bigint {
  return account.posted - account.held;
}
