// The participant's books: joins the protocol's legs, the ledger's rules and the store into batches of one write each.

import { applyInside, hold, mayCredit, mayDebit, release, settleCredit, settleDebit } from '@strife/ledger';
import type { Account, Money, Movement, Pair } from '@strife/ledger';
import type { EntryWrite, LedgerStore, LegWrite } from '@strife/storage';
import type { LedgerEffect, LegBatch, LegRecord, LegTerms, Reason, Resource, TransferId } from '@strife/two-phase-commit';

export function createLedgerResource(store: LedgerStore): Resource {
  return { open: (ids) => Promise.resolve(createBatch(store, ids)) };
}

function createBatch(store: LedgerStore, ids: readonly TransferId[]): LegBatch {
  const stored = store.legs(ids);
  const legs = new Map<TransferId, LegWrite & LegRecord>();
  const accounts = new Map<number, Account>();
  const entries: EntryWrite[] = [];

  /** The account with everything that this batch already did to it. */
  function latest(account: Account | undefined): Account | undefined {
    return account === undefined ? undefined : (accounts.get(account.id) ?? account);
  }

  function customer(name: string): Account | undefined {
    return latest(store.account('customer', name));
  }

  /** Where the leg's money leaves and where it arrives, inside this bank. */
  function sidesOf({ body, side }: LegTerms): { from: Account | undefined; to: Account | undefined } {
    const clearing = (): Account | undefined => latest(store.clearing(side === 'debit' ? body.to.bank : body.from.bank, body.currency));
    return {
      from: side === 'credit' ? clearing() : customer(body.from.account),
      to: side === 'debit' ? clearing() : customer(body.to.account),
    };
  }

  function mayHold(terms: LegTerms): Reason | undefined {
    const amount = amountOf(terms);
    // The customer first: no clearing account is opened for a leg that is declined anyway.
    const declined = terms.side === 'credit' ? mayCredit(customer(terms.body.to.account), amount) : mayDebit(customer(terms.body.from.account), amount);
    if (declined !== undefined) return declined;
    const { from, to } = sidesOf(terms);
    return mayDebit(from, amount) ?? mayCredit(to, amount);
  }

  function carryOut(id: TransferId, terms: LegTerms, effect: Exclude<LedgerEffect, 'none'>): void {
    const { from, to } = sidesOf(terms);
    if (from === undefined || to === undefined) throw new Error(`transfer ${id} was prepared without its accounts`);
    const after: Pair & Partial<Movement> = movements[effect](from, to, amountOf(terms), terms);
    accounts.set(after.debited.id, after.debited);
    accounts.set(after.credited.id, after.credited);
    for (const entry of after.entries ?? []) entries.push({ ...entry, transferId: id });
  }

  return {
    leg: (id) => legs.get(id) ?? recordOf(stored.get(id)),
    mayHold,
    apply(id, record, effect) {
      const { terms } = record;
      const accountId = stored.get(id)?.accountId ?? (terms === undefined ? null : ownerOf(terms));
      legs.set(id, { ...record, id, accountId });
      if (effect !== 'none' && terms !== undefined) carryOut(id, terms, effect);
    },
    commit() {
      if (legs.size > 0) store.writeBatch({ legs: [...legs.values()], accounts: [...accounts.values()], entries });
      return Promise.resolve();
    },
  };

  /** The customer whose leg it is: the payer, when both are here. */
  function ownerOf({ body, side }: LegTerms): number | null {
    return store.account('customer', side === 'credit' ? body.to.account : body.from.account)?.id ?? null;
  }
}

/** What each effect does to the two accounts of a leg. */
const movements = {
  hold,
  release,
  settle: (from, to, amount, { side }) => (side === 'debit' ? settleDebit(from, to, amount) : settleCredit(from, to, amount)),
  apply: applyInside,
} satisfies Record<Exclude<LedgerEffect, 'none'>, (from: Account, to: Account, amount: Money, terms: LegTerms) => Pair | Movement>;

function amountOf({ body }: LegTerms): Money {
  return { currency: body.currency, minorUnits: body.amountMinor };
}

function recordOf(leg: ReturnType<LedgerStore['transfer']>): LegRecord {
  if (leg === undefined) return { state: { kind: 'absent' } };
  const { state, terms, endedAtMs } = leg;
  return { state, ...(terms === undefined ? {} : { terms }), ...(endedAtMs === null ? {} : { endedAtMs }) };
}
