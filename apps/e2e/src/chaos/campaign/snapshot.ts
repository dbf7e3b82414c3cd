// What the stores of a running cluster held, each at one moment: copies that SQLite makes in one read transaction, so that the owner goes on
// meanwhile, all that is said of a store is about the same moment, and a moment at which something was wrong can be kept.

import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { auditStores } from '@strife/storage';
import type { AuditReport } from '@strife/storage';

export interface StoreOfService {
  readonly role: 'bank' | 'gateway';
  readonly name: string;
  readonly file: string;
}

/** What a store says about one payment: a bank's leg, or the row of a decision log. */
export interface Fact {
  readonly state: 'prepared' | 'committed' | 'aborted' | 'declined';
  readonly attempt: number;
  /** The log that decides it; null where no log has a say any more. */
  readonly log: string | null;
  readonly fingerprint: string;
  /** Where it has legs, as far as this store knows. */
  readonly banks: readonly string[];
  /** What it does to a clearing account when it is settled here; absent inside one bank, and in decision logs. */
  readonly clearing?: { readonly account: string; readonly minor: bigint };
}

interface Moment {
  readonly name: string;
  /** When it was taken, in UTC. */
  readonly takenAt: string;
  /** By transfer. */
  readonly facts: ReadonlyMap<string, Fact>;
}

export interface BankSnapshot extends Moment {
  readonly role: 'bank';
  /** The sum of its entries, by clearing account: "beta/EUR". */
  readonly clearing: ReadonlyMap<string, bigint>;
  /** Of all deposits. */
  readonly depositedMinor: bigint;
  /** Of this bank by itself. */
  readonly audit: AuditReport;
}

export interface GatewaySnapshot extends Moment {
  readonly role: 'gateway';
  readonly log: string;
}

export type Snapshot = BankSnapshot | GatewaySnapshot;

/** As the stores number them: for ever, so a copy cannot grow old. */
const LEG_STATES = ['prepared', 'committed', 'aborted', 'declined'] as const;
const OUTCOMES = ['committed', 'declined', 'aborted'] as const;
const [DEBIT, CREDIT] = [0, 1];
const CLEARING = 1;

/**
 * Copies the stores, one after the other in this order, into a folder that it makes, and reads the copies: the moment of each is later than
 * that of the one before. @throws Error when a store cannot be read
 */
export function takeSnapshots(stores: readonly StoreOfService[], folder: string): Snapshot[] {
  mkdirSync(folder, { recursive: true });
  const copies = stores.map((store) => {
    const takenAt = new Date().toISOString();
    const copy = join(folder, basename(store.file));
    copyStore(store.file, copy);
    return { ...store, takenAt, copy };
  });
  return copies.map(({ role, name, takenAt, copy }) => (role === 'bank' ? readBank(name, takenAt, copy) : readGateway(name, takenAt, copy)));
}

function copyStore(file: string, copy: string): void {
  read(file, (database) => {
    // Of the copy alone: nobody needs it after a crash of this machine.
    database.exec('PRAGMA synchronous = OFF');
    database.prepare('VACUUM INTO ?').run(copy);
  });
}

function readBank(name: string, takenAt: string, copy: string): BankSnapshot {
  return read(copy, (database) => {
    const facts = new Map<string, Fact>();
    const legs = 'SELECT hex(id), state, attempt, log_id, hex(fingerprint), side, peer, currency, amount FROM all_legs LEFT JOIN logs ON number = log';
    for (const row of rows(database, legs)) {
      const [id, state, attempt, log, fingerprint, side, peer, currency, amount] = row as [string, bigint, bigint, string | null, string, bigint | null, string | null, string, bigint];
      const isBetween = side !== null && peer !== null && [DEBIT, CREDIT].includes(Number(side));
      facts.set(uuidOf(id), {
        state: LEG_STATES[Number(state)]!, attempt: Number(attempt), log, fingerprint, banks: isBetween ? [name, peer] : [name],
        ...(isBetween && { clearing: { account: `${peer}/${currency}`, minor: Number(side) === DEBIT ? amount : -amount } }),
      });
    }
    const sums = rows(database, `SELECT name, sum(amount) FROM entries JOIN accounts ON accounts.id = account_id WHERE kind = ${CLEARING} GROUP BY account_id`);
    const [[deposited = 0n] = []] = rows(database, 'SELECT sum(amount) FROM deposits');
    return {
      role: 'bank', name, takenAt, facts, clearing: new Map(sums as Iterable<[string, bigint]>), depositedMinor: deposited as bigint,
      audit: auditStores({ banks: [copy], gateways: [] }),
    };
  });
}

function readGateway(name: string, takenAt: string, copy: string): GatewaySnapshot {
  return read(copy, (database) => {
    const [[log] = []] = rows(database, 'SELECT name FROM identity') as Iterable<[string]>;
    const facts = new Map<string, Fact>();
    for (const row of rows(database, 'SELECT hex(id), outcome, attempt, hex(fingerprint), from_bank, to_bank FROM decisions')) {
      const [id, outcome, attempt, fingerprint, from, to] = row as [string, bigint, bigint, string, string, string];
      facts.set(uuidOf(id), { state: OUTCOMES[Number(outcome)]!, attempt: Number(attempt), log: log!, fingerprint, banks: [from, to] });
    }
    return { role: 'gateway', name, takenAt, facts, log: log! };
  });
}

function read<Result>(file: string, work: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    return work(database);
  } finally {
    database.close();
  }
}

function rows(database: DatabaseSync, sql: string): Iterable<readonly unknown[]> {
  const statement = database.prepare(sql);
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  return statement.iterate() as unknown as Iterable<readonly unknown[]>;
}

function uuidOf(hex: string): string {
  return hex.toLowerCase().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
