// The participant's books: joins the protocol's legs, the ledger's rules and the store. A batch is one write of the store.

import type { Money, Movement, Pair, applyInside, hold, mayCredit, mayDebit, release, settleCredit, settleDebit } from '@strife/ledger';
import type { LedgerEffect, LegBatch, LegRecord, LegTerms, Reason, Resource, TransferId } from '@strife/two-phase-commit';
import type { BookedAccount, BookedLeg, OpenBooks } from './open-books.ts';

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
export interface LegBooks {
  write<T>(work: (books: OpenBooks) => T): T;
}

/** The participant's resource over a bank's books. */
export function createLedgerResource(store: LegBooks, rules: LegRules): Resource {
  const movements = movementsBy(rules);
  return {
    // Asynchronous, so that what the write throws is the promise's failure.
    async write(work) {
      return store.write((books) => work(createBatch(books, rules, movements)));
    },
  };
}

function createBatch(books: OpenBooks, { mayDebit, mayCredit }: LegRules, movements: Movements): LegBatch {
  /** What was asked for last: a leg is looked at, checked and changed before the next, and most are with the same bank. */
  let latestLeg: BookedLeg | undefined;
  let latestOwner: BookedAccount | undefined;
  let latestClearing: { readonly peer: string; readonly currency: string; readonly account: BookedAccount } | undefined;

  function legOf(id: TransferId): BookedLeg {
    if (latestLeg?.id !== id) latestLeg = books.leg(id);
    return latestLeg;
  }

  /** The customer whose leg it is: the payer, when both are here. */
  function ownerOf({ side, body }: LegTerms): BookedAccount | undefined {
    const name = side === 'credit' ? body.to.account : body.from.account;
    if (latestOwner?.account.name !== name) latestOwner = books.account('customer', name);
    return latestOwner;
  }

  /** The same of a leg that has its terms already: an id is found in half the time. */
  function storedOwnerOf({ leg }: BookedLeg): BookedAccount | undefined {
    if (leg?.terms === undefined || leg.accountId === null) return undefined;
    if (latestOwner?.account.id !== leg.accountId) latestOwner = books.accountById(leg.accountId);
    return latestOwner;
  }

  function counterpartOf({ side, body }: LegTerms): BookedAccount | undefined {
    if (side === 'both') return books.account('customer', body.to.account);
    return clearing(side === 'credit' ? body.from.bank : body.to.bank, body.currency);
  }

  function clearing(peer: string, currency: string): BookedAccount {
    if (latestClearing?.peer !== peer || latestClearing.currency !== currency) {
      latestClearing = { peer, currency, account: books.clearing(peer, currency) };
    }
    return latestClearing.account;
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

  function carryOut(id: TransferId, owner: BookedAccount | undefined, terms: LegTerms, effect: Exclude<LedgerEffect, 'none'>): void {
    const other = counterpartOf(terms);
    if (owner === undefined || other === undefined) throw new Error(`transfer ${id} was prepared without its accounts`);
    const from = terms.side === 'credit' ? other : owner;
    const to = from === owner ? other : owner;
    books.move(id, from, to, movements[effect](from.account, to.account, amountOf(terms), terms));
  }

  return {
    leg: (id) => legOf(id).leg ?? ABSENT,
    mayHold,
    apply(id, record, effect) {
      const { terms } = record;
      const leg = legOf(id);
      const owner = storedOwnerOf(leg) ?? (terms && ownerOf(terms));
      if (effect !== 'none' && terms !== undefined) carryOut(id, owner, terms, effect);
      books.putLeg(leg, record, owner);
    },
  };
}

type Movements = Record<Exclude<LedgerEffect, 'none'>, (from: BookedAccount['account'], to: BookedAccount['account'], amount: Money, terms: LegTerms) => Pair | Movement>;

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

const ABSENT: LegRecord = { state: { kind: 'absent' } };
