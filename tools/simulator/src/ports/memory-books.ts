// A bank's books in memory with the contract of the durable ones: what is on their disk outlives the handles that are opened on it.

import type { Account, DeclineReason, Entry, Money } from '@strife/ledger';
import { OpeningBalanceError } from '@strife/storage';
import type { DepositResult, LedgerStore, LedgerStoreOptions, NewUser, OpenBooks, StoredLeg } from '@strife/storage';
import type { LegRecord, TransferId } from '@strife/two-phase-commit';
import { requireId } from './ids.ts';
import type { Sync } from './sync.ts';

/** The books without pages of history and sessions, which no rule of the protocol looks at. */
export type MemoryBooks = Pick<
  LedgerStore,
  'bank' | 'transfer' | 'legsInDoubt' | 'inDoubt' | 'account' | 'write' | 'createUsers' | 'userHash' | 'setFrozen' | 'deposit' | 'close'
> & {
  /** The first half of `write`: nothing is durable before `commit`, and nothing of it is seen before that. */
  begin<T>(work: (books: OpenBooks) => T): BegunWrite<T>;
};

export interface BegunWrite<T> {
  readonly result: T;
  commit(): void;
}

/** An entry; of a deposit, without a transfer. */
export interface MemoryEntry extends Entry {
  readonly transferId?: TransferId;
}

/** What is durable. */
export interface BooksDisk {
  readonly bank: string;
  /** By id, which counts from 1. */
  readonly accounts: (Account | undefined)[];
  readonly accountIds: Record<Account['kind'], Map<string, number>>;
  readonly legs: Map<TransferId, StoredLeg>;
  readonly entries: MemoryEntry[];
  readonly deposits: Map<string, { readonly account: string; readonly amount: Money }>;
  readonly users: Map<string, string>;
}

/** A batch as it became durable. */
export interface WrittenBatch {
  readonly legs: readonly { readonly before: StoredLeg | undefined; readonly after: StoredLeg }[];
  readonly accounts: readonly Account[];
  readonly entries: readonly MemoryEntry[];
}

export interface MemoryBooksOptions {
  readonly disk: BooksDisk;
  readonly nowMs: () => number;
  readonly ledger: LedgerStoreOptions['ledger'];
  readonly sync: Sync;
  readonly onWritten?: (batch: WrittenBatch) => void;
}

export function createBooksDisk(bank: string): BooksDisk {
  return { bank, accounts: [undefined], accountIds: { customer: new Map(), clearing: new Map(), equity: new Map() }, legs: new Map(), entries: [], deposits: new Map(), users: new Map() };
}

export function openMemoryBooks({ disk, nowMs, ledger, sync, onWritten }: MemoryBooksOptions): MemoryBooks {
  function find(kind: Account['kind'], name: string): Account | undefined {
    const id = disk.accountIds[kind].get(name);
    return id === undefined ? undefined : disk.accounts[id];
  }

  function equity(currency: string): Account {
    const existing = find('equity', currency);
    if (existing !== undefined) return existing;
    const account = newInternal(disk.accounts.length, 'equity', currency, currency);
    sync(() => insert(account));
    return account;
  }

  function insert(account: Account): void {
    disk.accounts[account.id] = account;
    disk.accountIds[account.kind].set(account.name, account.id);
  }

  const prepared = (): StoredLeg[] => [...disk.legs.values()].filter(({ state }) => state.kind === 'prepared');

  /** What is done to the books stands beside the disk until all of it is durable at once. */
  function begin<T>(work: (books: OpenBooks) => T): BegunWrite<T> {
    const atMs = nowMs();
    const legs = new Map<TransferId, { readonly id: TransferId; leg: StoredLeg | undefined }>();
    const accounts = new Map<string, { account: Account; isChanged: boolean }>();
    const written: { before: StoredLeg | undefined; after: StoredLeg }[] = [];
    const made: Account[] = [];
    const entries: MemoryEntry[] = [];
    const place = (account: Account) => {
      const known = accounts.get(`${account.kind} ${account.name}`) ?? { account, isChanged: false };
      accounts.set(`${account.kind} ${account.name}`, known);
      return known;
    };
    const placeOf = ({ kind, name }: Account) => accounts.get(`${kind} ${name}`)!;
    const result = work({
      leg(id) {
        requireId(id);
        const leg = legs.get(id) ?? { id, leg: disk.legs.get(id) };
        legs.set(id, leg);
        return leg;
      },
      account(kind, name) {
        const account = find(kind, name);
        return account && place(account);
      },
      accountById(id) {
        const account = disk.accounts[id];
        return account && place(account);
      },
      clearing(peer, currency) {
        const name = `${peer}/${currency}`;
        const account = find('clearing', name) ?? made.find((one) => one.name === name);
        if (account !== undefined) return place(account);
        made.push(newInternal(disk.accounts.length + made.length, 'clearing', name, currency));
        return place(made.at(-1)!);
      },
      putLeg({ id }, record, owner) {
        const known = legs.get(id)!;
        const before = known.leg;
        known.leg = nextLeg(id, record, before, owner?.account.id ?? null, atMs);
        written.push({ before, after: known.leg });
      },
      move(transferId, from, to, { debited, credited, entries: own }) {
        const isMoved = debited.posted !== from.account.posted || credited.posted !== to.account.posted;
        if (own === undefined && isMoved) throw new Error(`transfer ${transferId} would change a balance without an entry`);
        Object.assign(placeOf(from.account), { account: debited, isChanged: true });
        Object.assign(placeOf(to.account), { account: credited, isChanged: true });
        if (own !== undefined) entries.push(...own.map((entry) => ({ ...entry, transferId })));
      },
    });
    const changed = [...accounts.values()].filter(({ isChanged }) => isChanged).map(({ account }) => account);
    const commit = (): void => sync(() => {
      made.forEach(insert);
      for (const { after } of written) disk.legs.set(after.id, after);
      for (const account of changed) disk.accounts[account.id] = { ...account, frozen: disk.accounts[account.id]!.frozen };
      disk.entries.push(...entries);
      onWritten?.({ legs: written, accounts: changed, entries });
    });
    return { result, commit: written.length + made.length + changed.length === 0 ? () => undefined : commit };
  }

  /** Why an equity account may not give this much, or undefined. */
  function refusal(from: Account, to: Account | undefined, amount: Money): DeclineReason | undefined {
    return ledger.mayCredit(to, amount) ?? ledger.mayDebit(from, amount);
  }

  function createUsers(users: readonly NewUser[]): string[] {
    const made = new Map<string, { readonly user: NewUser; readonly account: Account; readonly entries: MemoryEntry[] }>();
    const equities = new Map<string, Account>();
    let id = disk.accounts.length;
    for (const user of users) if (user.openingMinor > 0n && !disk.users.has(user.username)) equity(user.currency);
    id = Math.max(id, disk.accounts.length);
    for (const user of users) {
      const { username, currency, openingMinor } = user;
      if (made.has(username) || find('customer', username) !== undefined) continue;
      let account: Account = { id, kind: 'customer', name: username, currency, posted: 0n, held: 0n, incoming: 0n, floor: 0n, frozen: false };
      id += 1;
      const entries: MemoryEntry[] = [];
      if (openingMinor > 0n) {
        const amount = { currency, minorUnits: openingMinor };
        const from = equities.get(currency) ?? equity(currency);
        const reason = refusal(from, account, amount);
        if (reason !== undefined) throw new OpeningBalanceError(username, reason);
        const movement = ledger.deposit(from, account, amount);
        equities.set(currency, movement.debited);
        account = movement.credited;
        entries.push(...movement.entries);
      }
      made.set(username, { user, account, entries });
    }
    if (made.size === 0) return [];
    sync(() => {
      for (const account of equities.values()) disk.accounts[account.id] = account;
      for (const { user, account, entries } of made.values()) {
        insert(account);
        disk.users.set(user.username, user.passwordHash);
        disk.entries.push(...entries);
      }
    });
    return [...made.keys()];
  }

  function deposit(id: string, name: string, amount: Money): DepositResult {
    requireId(id);
    const to = find('customer', name);
    const earlier = disk.deposits.get(id);
    if (earlier !== undefined) {
      if (earlier.account !== name || to === undefined) return { kind: 'mismatch', field: 'account' };
      if (to.currency !== amount.currency) return { kind: 'mismatch', field: 'amount.currency' };
      if (earlier.amount.minorUnits !== amount.minorUnits) return { kind: 'mismatch', field: 'amount.minor_units' };
      return { kind: 'deposited', account: to, replayed: true };
    }
    const reason = ledger.mayCredit(to, amount);
    if (reason !== undefined || to === undefined) return { kind: 'declined', reason: reason ?? 'no_such_payee' };
    const from = equity(amount.currency);
    const refused = refusal(from, to, amount);
    if (refused !== undefined) return { kind: 'declined', reason: refused };
    const { debited, credited, entries } = ledger.deposit(from, to, amount);
    sync(() => {
      disk.accounts[debited.id] = debited;
      disk.accounts[credited.id] = credited;
      disk.entries.push(...entries);
      disk.deposits.set(id, { account: name, amount });
    });
    return { kind: 'deposited', account: credited, replayed: false };
  }

  return {
    bank: disk.bank,
    transfer(id) {
      requireId(id);
      return disk.legs.get(id);
    },
    legsInDoubt: () => prepared().map(({ id }) => ({
      id,
      get leg() {
        return disk.legs.get(id);
      },
    })),
    inDoubt() {
      const since = prepared().map(({ preparedAtMs }) => preparedAtMs);
      return { legs: since.length, oldestPreparedAtMs: since.length === 0 ? undefined : Math.min(...since) };
    },
    account: find,
    begin,
    write(work) {
      const { result, commit } = begin(work);
      commit();
      return result;
    },
    createUsers,
    userHash: (username) => disk.users.get(username),
    setFrozen(name, frozen) {
      const account = find('customer', name);
      if (account === undefined) return false;
      sync(() => {
        disk.accounts[account.id] = { ...account, frozen };
      });
      return true;
    },
    deposit,
    close: () => undefined,
  };
}

function newInternal(id: number, kind: 'clearing' | 'equity', name: string, currency: string): Account {
  return { id, kind, name, currency, posted: 0n, held: 0n, incoming: 0n, floor: null, frozen: false };
}

/** A leg written with its terms keeps them, and its account; only the deadline moves with the attempt. */
function nextLeg(id: TransferId, record: LegRecord, before: StoredLeg | undefined, accountId: number | null, nowMs: number): StoredLeg {
  const { state } = record;
  if (state.kind === 'absent') throw new Error(`leg ${id} cannot be written as absent`);
  const terms = record.terms ?? before?.terms;
  const prepares = state.kind === 'prepared' && before?.state.kind !== 'prepared';
  return {
    id,
    state,
    ...(terms === undefined ? {} : { terms }),
    accountId: before?.terms === undefined ? accountId : before.accountId,
    preparedAtMs: before === undefined || prepares ? nowMs : before.preparedAtMs,
    endedAtMs: state.kind === 'prepared' ? null : (record.endedAtMs ?? before?.endedAtMs ?? nowMs),
  };
}
