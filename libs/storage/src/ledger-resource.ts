// The participant's books: joins the protocol's legs, the ledger's rules and the store into batches of one write each.

import type {
  Account, Money, Movement, Pair, applyInside, hold, mayCredit, mayDebit, release, settleCredit, settleDebit,
} from '@strife/ledger';
import type { LedgerEffect, LegBatch, LegState, LegTerms, Reason, Resource, TransferId } from '@strife/two-phase-commit';
import type { LedgerStore, StoredLeg, TransferEntries } from './ledger-store.ts';

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

/** A leg as the batch leaves it: what is asked for and what is written are the same object. */
interface LegPlace {
  readonly id: TransferId;
  state: LegState;
  terms: LegTerms | undefined;
  accountId: number | null;
  endedAtMs: number | undefined;
  isChanged: boolean;
}

function createBatch(store: LegBooks, { mayDebit, mayCredit }: LegRules, movements: Movements, ids: readonly TransferId[]): LegBatch {
  const legs = new Map<TransferId, LegPlace>();
  const found = store.legs(ids);
  for (let index = 0; index < ids.length; index += 1) legs.set(ids[index]!, placeOf(ids[index]!, found[index]));
  const customers = new Map<string, Place>();
  const clearings = new Map<string, Place>();
  const writes: LegPlace[] = [];
  const changed: Place[] = [];
  const entries: TransferEntries[] = [];
  /** What was asked for last: a leg is looked at, checked and changed before the next, and most are with the same bank. */
  let latestLeg: LegPlace | undefined;
  let latestClearing: { readonly peer: string; readonly currency: string; readonly place: Place | undefined } | undefined;

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
    if (latestClearing?.peer !== peer || latestClearing.currency !== currency) {
      const key = `${peer}/${currency}`;
      latestClearing = { peer, currency, place: clearings.get(key) ?? place(clearings, key, store.clearing(peer, currency)) };
    }
    return latestClearing.place;
  }

  /** The customer whose leg it is: the payer, when both are here. */
  function ownerOf({ side, body }: LegTerms): Place | undefined {
    return customer(side === 'credit' ? body.to.account : body.from.account);
  }

  function counterpartOf({ side, body }: LegTerms): Place | undefined {
    if (side === 'both') return customer(body.to.account);
    return clearing(side === 'credit' ? body.from.bank : body.to.bank, body.currency);
  }

  function mayHold(terms: LegTerms): Reason | undefined {
    const isCredit = terms.side === 'credit';
    const amount = amountOf(terms);
    // The customer first: no clearing account is opened for a leg that is declined anyway.
    const owner = ownerOf(terms)?.account;
    const declined = isCredit ? mayCredit(owner, amount) : mayDebit(owner, amount);
    if (declined !== undefined) return declined;
    const other = counterpartOf(terms)?.account;
    return isCredit ? mayDebit(other, amount) : mayCredit(other, amount);
  }

  function carryOut(id: TransferId, terms: LegTerms, effect: Exclude<LedgerEffect, 'none'>): void {
    const owner = ownerOf(terms);
    const other = counterpartOf(terms);
    if (owner === undefined || other === undefined) throw new Error(`transfer ${id} was prepared without its accounts`);
    const from = terms.side === 'credit' ? other : owner;
    const to = from === owner ? other : owner;
    const after: Pair & Partial<Movement> = movements[effect](from.account, to.account, amountOf(terms), terms);
    change(from, after.debited);
    change(to, after.credited);
    if (after.entries !== undefined) entries.push({ transferId: id, entries: after.entries });
  }

  function change(found: Place, account: Account): void {
    if (!found.isChanged) changed.push(found);
    found.account = account;
    found.isChanged = true;
  }

  return {
    leg: (id) => legOf(id),
    mayHold,
    apply(id, { state, terms, endedAtMs }, effect) {
      const leg = legOf(id);
      if (effect !== 'none' && terms !== undefined) carryOut(id, terms, effect);
      if (!leg.isChanged) writes.push(leg);
      leg.state = state;
      leg.terms = terms;
      leg.endedAtMs = endedAtMs;
      leg.accountId ??= terms === undefined ? null : (ownerOf(terms)?.account.id ?? null);
      leg.isChanged = true;
    },
    commit() {
      const accounts = changed.map(({ account }) => account);
      if (writes.length > 0) store.writeBatch({ legs: writes, accounts, entries });
      return Promise.resolve();
    },
  };
}

function place(places: Map<string, Place>, key: string, account: Account | undefined): Place | undefined {
  if (account === undefined) return undefined;
  const found = { account, isChanged: false };
  places.set(key, found);
  return found;
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
  if (leg === undefined) return { id, state: ABSENT, terms: undefined, accountId: null, endedAtMs: undefined, isChanged: false };
  const { state, terms, accountId, endedAtMs } = leg;
  return { id, state, terms, accountId, endedAtMs: endedAtMs ?? undefined, isChanged: false };
}

const ABSENT: LegState = { kind: 'absent' };
