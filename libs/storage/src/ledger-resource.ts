// The participant's books: joins the protocol's legs, the ledger's rules and the store into batches of one write each.

import type {
  Account, Money, Movement, Pair, applyInside, hold, mayCredit, mayDebit, release, settleCredit, settleDebit,
} from '@strife/ledger';
import type { LedgerEffect, LegBatch, LegRecord, LegTerms, Reason, Resource, TransferId } from '@strife/two-phase-commit';
import type { EntryWrite, LedgerStore, LegWrite, StoredLeg } from './ledger-store.ts';

/** The accounting rules that legs are prepared and settled by: the exports of @strife/ledger. */
export interface LegRules {
  readonly mayDebit: typeof mayDebit;
  readonly mayCredit: typeof mayCredit;
  readonly hold: typeof hold;
  readonly release: typeof release;
  readonly settleDebit: typeof settleDebit;
  readonly settleCredit: typeof settleCredit;
  readonly applyInside: typeof applyInside;
}

/** What a resource needs of the books. */
export type LegBooks = Pick<LedgerStore, 'legs' | 'account' | 'clearing' | 'writeBatch'>;

/** The participant's resource over a bank's books. A batch is one `writeBatch`, made when it is committed; only one batch may be open. */
export function createLedgerResource(store: LegBooks, rules: LegRules): Resource {
  const movements = movementsBy(rules);
  return { open: (ids) => Promise.resolve(createBatch(store, rules, movements, ids)) };
}

/** An account as the batch leaves it. */
interface Place {
  account: Account;
  isChanged: boolean;
}

/** A leg as the batch leaves it. */
interface LegPlace {
  readonly id: TransferId;
  record: LegRecord;
  accountId: number | null;
  isChanged: boolean;
}

/** Where a leg's money leaves and where it arrives, inside this bank. */
interface Sides {
  readonly terms: LegTerms;
  readonly from: Place | undefined;
  readonly to: Place | undefined;
}

function createBatch(store: LegBooks, { mayDebit, mayCredit }: LegRules, movements: Movements, ids: readonly TransferId[]): LegBatch {
  const legs = new Map<TransferId, LegPlace>();
  store.legs(ids).forEach((leg, index) => legs.set(ids[index]!, placeOf(ids[index]!, leg)));
  const customers = new Map<string, Place>();
  const clearings = new Map<string, Place>();
  const entries: EntryWrite[] = [];
  /** What was asked for last: a leg is looked at, checked and changed before the next. */
  let latestLeg: LegPlace | undefined;
  let latestSides: Sides | undefined;

  function legOf(id: TransferId): LegPlace {
    if (latestLeg?.id === id) return latestLeg;
    latestLeg = legs.get(id);
    if (latestLeg === undefined) throw new Error(`transfer ${id} is not of this batch`);
    return latestLeg;
  }

  function customer(name: string): Place | undefined {
    return customers.get(name) ?? place(customers, name, store.account('customer', name));
  }

  function clearing(peer: string, currency: string): Place | undefined {
    const key = `${peer}/${currency}`;
    return clearings.get(key) ?? place(clearings, key, store.clearing(peer, currency));
  }

  function sidesOf(terms: LegTerms): Sides {
    if (latestSides?.terms === terms) return latestSides;
    const { body, side } = terms;
    const from = side === 'credit' ? clearing(body.from.bank, body.currency) : customer(body.from.account);
    const to = side === 'debit' ? clearing(body.to.bank, body.currency) : customer(body.to.account);
    latestSides = { terms, from, to };
    return latestSides;
  }

  function mayHold(terms: LegTerms): Reason | undefined {
    const { side, body } = terms;
    const amount = amountOf(terms);
    // The customer first: no clearing account is opened for a leg that is declined anyway.
    const declined = side === 'credit' ? mayCredit(customer(body.to.account)?.account, amount) : mayDebit(customer(body.from.account)?.account, amount);
    if (declined !== undefined) return declined;
    const { from, to } = sidesOf(terms);
    return side === 'credit' ? mayDebit(from?.account, amount) : mayCredit(to?.account, amount);
  }

  function carryOut(id: TransferId, terms: LegTerms, effect: Exclude<LedgerEffect, 'none'>): void {
    const { from, to } = sidesOf(terms);
    if (from === undefined || to === undefined) throw new Error(`transfer ${id} was prepared without its accounts`);
    const after: Pair & Partial<Movement> = movements[effect](from.account, to.account, amountOf(terms), terms);
    change(from, after.debited);
    change(to, after.credited);
    if (after.entries === undefined) return;
    for (const { accountId, amountMinor, postedMinor } of after.entries) entries.push({ accountId, amountMinor, postedMinor, transferId: id });
  }

  return {
    leg: (id) => legOf(id).record,
    mayHold,
    apply(id, record, effect) {
      const leg = legOf(id);
      const { terms } = record;
      if (effect !== 'none' && terms !== undefined) carryOut(id, terms, effect);
      leg.record = record;
      leg.accountId ??= terms === undefined ? null : ownerOf(terms);
      leg.isChanged = true;
    },
    commit() {
      const writes = changed(legs).map(writeOf);
      const accounts = [...changed(customers), ...changed(clearings)].map(({ account }) => account);
      if (writes.length > 0) store.writeBatch({ legs: writes, accounts, entries });
      return Promise.resolve();
    },
  };

  /** The customer whose leg it is: the payer, when both are here. */
  function ownerOf({ body, side }: LegTerms): number | null {
    return customer(side === 'credit' ? body.to.account : body.from.account)?.account.id ?? null;
  }
}

function place(places: Map<string, Place>, key: string, account: Account | undefined): Place | undefined {
  if (account === undefined) return undefined;
  const found = { account, isChanged: false };
  places.set(key, found);
  return found;
}

function change(found: Place, account: Account): void {
  found.account = account;
  found.isChanged = true;
}

/** In the order in which they were first asked for. */
function changed<T extends { readonly isChanged: boolean }>(places: ReadonlyMap<string, T>): T[] {
  return [...places.values()].filter(({ isChanged }) => isChanged);
}

type Movements = Record<Exclude<LedgerEffect, 'none'>, (from: Account, to: Account, amount: Money, terms: LegTerms) => Pair | Movement>;

/** What each effect does to the two accounts of a leg. */
function movementsBy({ hold, release, settleDebit, settleCredit, applyInside }: LegRules): Movements {
  return {
    hold,
    release,
    settle: (from, to, amount, { side }) => (side === 'debit' ? settleDebit(from, to, amount) : settleCredit(from, to, amount)),
    apply: applyInside,
  };
}

function amountOf({ body }: LegTerms): Money {
  return { currency: body.currency, minorUnits: body.amountMinor };
}

function placeOf(id: TransferId, leg: StoredLeg | undefined): LegPlace {
  if (leg === undefined) return { id, record: NOTHING, accountId: null, isChanged: false };
  const { state, terms, accountId, endedAtMs } = leg;
  return { id, record: { state, terms, endedAtMs: endedAtMs ?? undefined }, accountId, isChanged: false };
}

const NOTHING: LegRecord = { state: { kind: 'absent' } };

function writeOf({ id, record, accountId }: LegPlace): LegWrite {
  return { id, state: record.state, terms: record.terms, accountId, endedAtMs: record.endedAtMs };
}
