// Payments for specs: the ledger's rules and the books of a bank joined as an app does, one leg at a time.

import { deposit, hold, mayCredit, mayDebit, release, settleCredit, settleDebit, applyInside, type Account, type Money, type Movement, type Pair } from '@strife/ledger';
import type { LegState, Side, TransferBody, TransferId } from '@strife/two-phase-commit';
import { openLedgerStore, type LedgerStore, type TransferEntries } from '../ledger-store.ts';

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

/** Takes each payment one step further at this bank, all in one batch. */
export function advance(store: LedgerStore, step: Step, payments: readonly Payment[]): void {
  const accounts = new Map<number, Account>();
  const entries: TransferEntries[] = [];
  const latest = (account: Account | undefined): Account => accounts.get(account!.id) ?? account!;
  const legs = payments.map(({ number, body }) => {
    const id = idOf(number);
    const side = sideAt(store.bank, body);
    const from = latest(side === 'credit' ? store.clearing(body.from.bank, body.currency) : store.account('customer', body.from.account));
    const to = latest(side === 'debit' ? store.clearing(body.to.bank, body.currency) : store.account('customer', body.to.account));
    const after: Pair & Partial<Movement> = MOVES[step](from, to, { currency: body.currency, minorUnits: body.amountMinor }, side);
    accounts.set(after.debited.id, after.debited).set(after.credited.id, after.credited);
    if (after.entries !== undefined) entries.push({ transferId: id, entries: after.entries });
    return { id, state: STATES[step], terms: { body, side, deadlineMs: 9_000 }, accountId: side === 'credit' ? to.id : from.id };
  });
  store.writeBatch({ legs, accounts: [...accounts.values()], entries });
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
