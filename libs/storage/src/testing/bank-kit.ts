// Payments for specs: the ledger's rules and the books of a bank joined as an app does, one leg at a time.

import { deposit, hold, mayCredit, mayDebit, release, settleCredit, settleDebit, applyInside, type Account, type Money, type Movement, type Pair } from '@strife/ledger';
import type { LegRecord, LegState, Side, TransferBody, TransferId } from '@strife/two-phase-commit';
import { openLedgerStore, type LedgerStore } from '../ledger-store.ts';

export const FINGERPRINT = '00112233445566778899aabbccddeeff';
export const LOG = '6f1c1c9e-4a2b-4a51-9d7a-0a5b8f1f0001';

export const rules = { mayDebit, mayCredit, deposit };

export function openBank(file: string, bank: string, onFatal: (error: Error) => void = failLoudly): LedgerStore {
  return openLedgerStore({ file, bank, nowMs: () => 5_000, ledger: rules, onFatal });
}

export function idOf(number: number): TransferId {
  return `0197b2a0-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
}

export interface Payment {
  readonly number: number;
  readonly body: TransferBody;
}

export function payment(number: number, from: string, to: string, amountMinor: bigint): Payment {
  return { number, body: { from: nameOf(from), to: nameOf(to), currency: 'EUR', amountMinor, memo: `payment ${number}` } };
}

export type Step = 'prepare' | 'settle' | 'release' | 'apply';

/** Takes each payment one step further at this bank, all in one write. */
export function advance(store: LedgerStore, step: Step, payments: readonly Payment[]): void {
  store.write((books) => {
    for (const { number, body } of payments) {
      const side = sideAt(store.bank, body);
      const from = side === 'credit' ? books.clearing(body.from.bank, body.currency) : books.account('customer', body.from.account)!;
      const to = side === 'debit' ? books.clearing(body.to.bank, body.currency) : books.account('customer', body.to.account)!;
      books.move(idOf(number), from, to, MOVES[step](from.account, to.account, { currency: body.currency, minorUnits: body.amountMinor }, side));
      books.putLeg(books.leg(idOf(number)), { state: STATES[step], terms: { body, side, deadlineMs: 9_000 } }, side === 'credit' ? to : from);
    }
  });
}

/** Writes legs, one after the other, without a movement of money; all in one write. */
export function putLegs(store: LedgerStore, legs: readonly (LegRecord & { readonly number: number; readonly owner?: string })[]): void {
  store.write((books) => {
    for (const { number, owner, ...record } of legs) books.putLeg(books.leg(idOf(number)), record, owner === undefined ? undefined : books.account('customer', owner));
  });
}

/** Of the legs in doubt, in their order. */
export function idsInDoubt(store: Pick<LedgerStore, 'legsInDoubt'>): TransferId[] {
  return [...store.legsInDoubt()].filter(({ leg }) => leg?.state.kind === 'prepared').map(({ id }) => id).sort();
}

export function sideAt(bank: string, { from, to }: TransferBody): Side {
  if (from.bank === to.bank) return 'both';
  return from.bank === bank ? 'debit' : 'credit';
}

const MOVES: Record<Step, (from: Account, to: Account, amount: Money, side: Side) => Pair | Movement> = {
  prepare: hold,
  release,
  apply: applyInside,
  settle: (from, to, amount, side) => (side === 'debit' ? settleDebit : settleCredit)(from, to, amount),
};

const STATES: Record<Step, LegState> = {
  prepare: { kind: 'prepared', fingerprint: FINGERPRINT, attempt: 1, log: LOG },
  settle: { kind: 'committed', fingerprint: FINGERPRINT, attempt: 1, log: LOG },
  apply: { kind: 'committed', fingerprint: FINGERPRINT, attempt: 1, log: LOG },
  release: { kind: 'aborted', fingerprint: FINGERPRINT, attempt: 1 },
};

function nameOf(text: string): { bank: string; account: string } {
  const [bank = '', account = ''] = text.split('/');
  return { bank, account };
}

function failLoudly(error: Error): void {
  throw error;
}
