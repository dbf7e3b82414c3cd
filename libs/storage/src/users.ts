// Users and their accounts.

import type { Account, DeclineReason, Movement } from '@strife/ledger';
import { newRow, type AccountRow, type AccountTable } from './account-table.ts';
import type { Deposits } from './deposits.ts';
import type { LedgerStoreOptions, NewUser } from './ledger-store.ts';
import type { StoreFile } from './store-file.ts';

export interface Users {
  createUsers(users: readonly NewUser[]): string[];
  userHash(username: string): string | undefined;
  setFrozen(account: string, frozen: boolean): boolean;
}

export interface UsersOptions {
  readonly store: StoreFile;
  readonly accounts: AccountTable;
  readonly deposits: Deposits;
  readonly rules: LedgerStoreOptions['ledger'];
  readonly equity: (currency: string) => AccountRow;
}

/** The users of one call cannot all be made; none was. */
export class OpeningBalanceError extends Error {
  override readonly name = 'OpeningBalanceError';
  readonly username: string;
  readonly reason: DeclineReason;

  constructor(username: string, reason: DeclineReason) {
    super(`the opening balance of ${username} cannot be deposited: ${reason}`);
    this.username = username;
    this.reason = reason;
  }
}

/** A user to be made, with the movement of the opening balance, if there is one. */
interface Opening {
  readonly user: NewUser;
  readonly account: Account;
  readonly movement: Movement | undefined;
}

export function openUsers({ store, accounts, deposits, rules, equity }: UsersOptions): Users {
  const insert = store.prepare('INSERT INTO users (account_id, username, password_hash) VALUES (?, ?, ?)');
  const selectHash = store.prepare('SELECT password_hash FROM users WHERE username = ?');

  function missing(users: readonly NewUser[]): NewUser[] {
    const byName = new Map<string, NewUser>();
    for (const user of users) {
      if (!byName.has(user.username) && accounts.byName('customer', user.username) === undefined) byName.set(user.username, user);
    }
    return [...byName.values()];
  }

  /** Writes nothing but missing equity accounts. Throws OpeningBalanceError. */
  function plan(users: readonly NewUser[]): Opening[] {
    const equities = new Map<string, Account>();
    return users.map((user) => {
      const { username, currency, openingMinor } = user;
      const account: Account = {
        id: accounts.nextId(), kind: 'customer', name: username, currency, posted: 0n, held: 0n, incoming: 0n, floor: 0n, frozen: false,
      };
      if (openingMinor === 0n) return { user, account, movement: undefined };
      const amount = { currency, minorUnits: openingMinor };
      const from = equities.get(currency) ?? equity(currency).account;
      const reason = deposits.mayDeposit(from, account, amount);
      if (reason !== undefined) throw new OpeningBalanceError(username, reason);
      const movement = rules.deposit(from, account, amount);
      equities.set(currency, movement.debited);
      return { user, account, movement };
    });
  }

  /** Inside a write. */
  function make(openings: readonly Opening[]): void {
    for (const { user, account, movement } of openings) {
      const row = newRow(account);
      if (movement !== undefined) {
        const from = equity(account.currency);
        accounts.touch(from, 'entered');
        deposits.post(null, from, row, movement);
      }
      accounts.insert(row);
      insert.run(account.id, user.username, user.passwordHash);
    }
    accounts.save();
  }

  return {
    createUsers(users) {
      const openings = plan(missing(users));
      if (openings.length > 0) store.write(() => make(openings));
      return openings.map(({ user }) => user.username);
    },

    userHash: (username) => store.read(() => (selectHash.get(username) as unknown as [string] | undefined)?.[0]),

    setFrozen(name, frozen) {
      const row = accounts.byName('customer', name);
      if (row === undefined) return false;
      store.write(() => accounts.setFrozen(row, frozen));
      return true;
    },
  };
}
