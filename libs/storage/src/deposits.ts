// Money that comes into the bank from outside: from equity to a customer, once for each id.

import type { Account, DeclineReason, Money, Movement } from '@strife/ledger';
import type { AccountRow, AccountTable } from './account-table.ts';
import type { EntryTable } from './entry-table.ts';
import { idToBlob } from './ids.ts';
import type { DepositResult, LedgerStoreOptions } from './ledger-store.ts';
import type { StoreFile } from './store-file.ts';

export interface Deposits {
  deposit(id: string, account: string, amount: Money): DepositResult;
  /** Why `from`, an equity account, may not give `to` this much; or undefined. */
  mayDeposit(from: Account, to: Account | undefined, amount: Money): DeclineReason | undefined;
  /** Inside a write. Writes the entries, and changes both rows without writing them. No id: an opening balance. */
  post(id: Uint8Array | null, from: AccountRow, to: AccountRow, movement: Movement): void;
}

export interface DepositsOptions {
  readonly store: StoreFile;
  readonly accounts: AccountTable;
  readonly entries: EntryTable;
  readonly rules: LedgerStoreOptions['ledger'];
  readonly nowMs: () => number;
  /** Finds or makes the account that deposits in this currency come from. */
  readonly equity: (currency: string) => AccountRow;
}

export function openDeposits({ store, accounts, entries, rules, nowMs, equity }: DepositsOptions): Deposits {
  const insert = store.prepare('INSERT INTO deposits (entry, id, account_id, amount, at_ms) VALUES (?, ?, ?, ?, ?)');
  const select = store.prepareExact('SELECT account_id, amount FROM deposits WHERE id = ?');

  function mayDeposit(from: Account, to: Account | undefined, amount: Money): DeclineReason | undefined {
    return rules.mayCredit(to, amount) ?? rules.mayDebit(from, amount);
  }

  function post(id: Uint8Array | null, from: AccountRow, to: AccountRow, { debited, credited, entries: [out, into] }: Movement): void {
    const atMs = nowMs();
    from.account = debited;
    from.lastEntry = entries.append(out, null, atMs, from.lastEntry);
    to.account = credited;
    to.lastEntry = entries.append(into, null, atMs, to.lastEntry);
    insert.run(from.lastEntry, id, credited.id, into.amountMinor, atMs);
  }

  function replay(earlier: [accountId: bigint, minorUnits: bigint], account: Account | undefined, amount: Money): DepositResult {
    const [accountId, minorUnits] = earlier;
    if (account === undefined || BigInt(account.id) !== accountId) return { kind: 'mismatch', field: 'account' };
    if (account.currency !== amount.currency) return { kind: 'mismatch', field: 'amount.currency' };
    if (minorUnits !== amount.minorUnits) return { kind: 'mismatch', field: 'amount.minor_units' };
    return { kind: 'deposited', account, replayed: true };
  }

  function deposit(id: string, name: string, amount: Money): DepositResult {
    const key = idToBlob(id);
    const to = accounts.byName('customer', name);
    const earlier = store.read(() => select.get(key)) as unknown as [bigint, bigint] | undefined;
    if (earlier !== undefined) return replay(earlier, to?.account, amount);
    // Asked before equity is: a currency that nobody here holds gets no equity account.
    const refusal = rules.mayCredit(to?.account, amount);
    if (refusal !== undefined || to === undefined) return { kind: 'declined', reason: refusal ?? 'no_such_payee' };
    const from = equity(amount.currency);
    const reason = mayDeposit(from.account, to.account, amount);
    if (reason !== undefined) return { kind: 'declined', reason };
    const movement = rules.deposit(from.account, to.account, amount);
    store.write(() => {
      accounts.touch(from, 'entered');
      accounts.touch(to, 'entered');
      post(key, from, to, movement);
      accounts.save();
    });
    return { kind: 'deposited', account: movement.credited, replayed: false };
  }

  return { deposit, mayDeposit, post };
}
