// The legs of a bank's store. Those in doubt are kept in memory, so that a decision finds its leg without a read, and mostly have no row of their own
// yet: see prepared-legs.ts.

import type { SQLOutputValue, StatementSync } from 'node:sqlite';
import type { LegRecord, LegState, TransferId } from '@strife/two-phase-commit';
import { blobToId, writeHex, writeId } from './ids.ts';
import type { StoredLeg } from './ledger-store.ts';
import { openLegAttempts, type LegAttempt } from './leg-attempts.ts';
import { LEG_COLUMNS, LEG_STATES, SIDES, peerOf, readLeg, type LogNumbers } from './leg-rows.ts';
import { openPreparedLegs, type PreparedEntry } from './prepared-legs.ts';
import type { StoreFile } from './store-file.ts';

export interface LegTable {
  find(id: TransferId): StoredLeg | undefined;
  /** In the order of their ids; each has its leg. */
  inDoubt(): PreparedEntry[];
  /** The same in no order, and what was read or written last. */
  known(): Iterable<KnownLeg>;
  countInDoubt(): { legs: number; oldestPreparedAtMs: number | undefined };
  /** A leg with its place in the chain of its payer's transfers, in one read. */
  findChained(id: TransferId): ChainedLeg | undefined;
  /** What each attempt did here, oldest first, the newest `limit` at most; empty for an unknown id. */
  attempts(id: TransferId, limit: number): LegAttempt[];
  /** Inside a write: what to `put` the leg on; one object for each id until the write ends. */
  recall(id: TransferId): KnownLeg;
  /** Inside a write. `known` then knows the leg as it was written. Returns whether it has got a row in the table, with terms, that it did not have before. */
  put(known: KnownLeg, record: LegRecord, placing: Placing): boolean;
  /** Inside a write, after all that it puts: what was prepared becomes durable only by this. Returns other legs that have got a row by it. */
  flush(nowMs: number): readonly StoredLeg[];
  /** After the write: keeps in memory only what is in doubt. */
  forgetEnded(): void;
}

export interface ChainedLeg {
  readonly leg: StoredLeg;
  /** The payer's transfer before this one. */
  readonly previous: TransferId | null;
}

export interface Placing {
  /** As in StoredLeg. Used, like `previous`, only when the leg gets its terms. */
  readonly accountId: number | null;
  /** The payer's transfer before this one. */
  readonly previous: TransferId | null;
  readonly nowMs: number;
}

/** What is known of one id: its leg, or that there is none. */
export type KnownLeg = PreparedEntry;

/** @param preparedKeptMax as in LedgerStoreOptions */
export function openLegTable(store: StoreFile, preparedKeptMax?: number): LegTable {
  const logs = openLogNumbers(store);
  const attempts = openLegAttempts(store);
  const select = store.prepareExact(`SELECT ${LEG_COLUMNS} FROM legs WHERE id = ?`);
  const selectGreatest = store.prepare('SELECT max(id) FROM legs');
  const selectChained = store.prepareExact(`SELECT ${LEG_COLUMNS}, previous FROM legs WHERE id = ?`);
  const columns = `legs (id, state, attempt, log, reason, prepared_at_ms, ended_at_ms, fingerprint, account_id, previous,
      side, payer, payee, peer, currency, amount, memo, deadline_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
  // These three are carried out by `get`: `run` makes an object that says how many rows changed, which costs a tenth of the statement.
  /** Of an id that is not in the table: should it be there all the same, the write fails, and nothing is overwritten. */
  const insert = store.prepare(`INSERT INTO ${columns}`);
  /** Of a fence that gets its terms. */
  const replace = store.prepare(`INSERT OR REPLACE INTO ${columns}`);
  const update = store.prepare(
    'UPDATE legs SET state = ?, attempt = ?, log = ?, reason = ?, prepared_at_ms = ?, ended_at_ms = ?, deadline_ms = ? WHERE id = ?',
  );
  /** All legs in doubt, and what was read or written since the last `forgetEnded`. */
  const known = new Map<TransferId, PreparedEntry>();
  /** Of `known`, what may not be in doubt. */
  let passing: PreparedEntry[] = [];
  /** Of all ids in the table; '' for none. */
  let greatestRow = readGreatest();
  /** Of all ids that are stored or were asked for to be written. A greater one is not looked up, and a new one that begins with its time (UUIDv7) mostly is greater. */
  let greatest = greatestRow;
  /** Whether the write that is under way prepared a leg that has no row. */
  let hasNew = false;
  /** Filled anew for each statement, which copies what it is given. */
  const key = new Uint8Array(16);
  const previousKey = new Uint8Array(16);
  const fingerprint = new Uint8Array(16);
  const read = (values: readonly SQLOutputValue[]): StoredLeg => readLeg(values, store.name, logs.name);
  const prepared = openPreparedLegs({
    store, logs, legsKeptMax: preparedKeptMax,
    onFound(entry) {
      known.set(entry.id, entry);
      if (entry.id > greatest) greatest = entry.id;
    },
    moveOut: ({ leg, previous }) => insertRow(insert, leg!, leg, previous),
  });
  for (const row of store.prepareExact(`SELECT ${LEG_COLUMNS} FROM legs WHERE state = 0`).iterate()) {
    const leg = read(row as unknown as LegValues);
    known.set(leg.id, entryOf(leg.id, leg));
  }

  function find(id: TransferId): StoredLeg | undefined {
    store.requireUsable();
    const found = known.get(id);
    return found === undefined ? findRow(id) : found.leg;
  }

  /** Of an id that is not in doubt. */
  function findRow(id: TransferId): StoredLeg | undefined {
    // Outside the read: a malformed id is the caller's mistake, not the end of the store.
    requireId(id);
    if (id > greatest) return undefined;
    const values = store.read(() => select.get(key));
    return values && read(values as unknown as LegValues);
  }

  /** Leaves the id in `key`. Throws RangeError for a malformed one. */
  function requireId(id: TransferId): void {
    writeId(id, key);
  }

  function forgetEnded(): void {
    for (const entry of passing) if (!isInDoubt(entry)) known.delete(entry.id);
    passing = [];
  }

  function learn(id: TransferId, leg: StoredLeg | undefined): PreparedEntry {
    const entry = entryOf(id, leg);
    known.set(id, entry);
    passing.push(entry);
    return entry;
  }

  function put(entry: PreparedEntry, record: LegRecord, placing: Placing): boolean {
    const before = entry.leg;
    const { previous } = placing;
    const leg = next(entry.id, record, before, placing);
    attempts.keep(leg, before, placing.nowMs);
    if (isInDoubt(entry)) passing.push(entry);
    entry.leg = leg;
    if (before === undefined && leg.state.kind === 'prepared') {
      entry.previous = previous;
      prepared.add(entry);
      hasNew = true;
      return false;
    }
    if (entry.row !== undefined) {
      insertRow(insert, leg, before, entry.previous);
      prepared.remove(entry);
      return true;
    }
    if (before?.terms !== undefined) {
      updateRow(leg, before);
      return false;
    }
    insertRow(before === undefined ? insert : replace, leg, before, previous);
    return leg.terms !== undefined;
  }

  function insertRow(statement: StatementSync, { id, state, terms, accountId, preparedAtMs, endedAtMs }: StoredLeg, before: StoredLeg | undefined, previous: TransferId | null): void {
    writeId(id, key);
    if (previous !== null) writeId(previous, previousKey);
    if (state.kind === 'absent') throw new Error(`leg ${id} cannot be written as absent`);
    writeHex(state.fingerprint, fingerprint);
    const body = terms?.body;
    statement.get(
      key, LEG_STATES[state.kind], attemptOf(state, before), logOf(state), reasonOf(state), preparedAtMs, endedAtMs, fingerprint, accountId,
      previous === null ? null : previousKey, terms === undefined ? null : SIDES[terms.side], body?.from.account ?? null, body?.to.account ?? null,
      terms === undefined ? null : peerOf(terms), body?.currency ?? null, body?.amountMinor ?? null, body?.memo ?? null, terms?.deadlineMs ?? null,
    );
    if (id > greatestRow) greatestRow = id;
  }

  function updateRow({ id, state, terms, preparedAtMs, endedAtMs }: StoredLeg, before: StoredLeg): void {
    if (state.kind === 'absent') throw new Error(`leg ${id} cannot be written as absent`);
    writeId(id, key);
    update.get(
      LEG_STATES[state.kind], attemptOf(state, before), logOf(state), reasonOf(state), preparedAtMs, endedAtMs, terms?.deadlineMs ?? null, key,
    );
  }

  function logOf(state: LegState): number | null {
    return 'log' in state ? logs.number(state.log) : null;
  }

  function readGreatest(): TransferId {
    const [blob] = selectGreatest.get() as unknown as [Uint8Array | null];
    return blob === null ? '' : blobToId(blob);
  }

  /** What has no row yet would be lost to one that is there behind the back of this program. */
  function requireNothingBeyond(): void {
    const stored = readGreatest();
    if (stored > greatestRow) throw new Error(`leg ${stored} is in the table, and was not written by this program`);
  }

  return {
    find,
    recall(id) {
      if (id > greatest) {
        requireId(id);
        // So the next one that is not greater is looked up, be it this very one.
        greatest = id;
        return learn(id, undefined);
      }
      return known.get(id) ?? learn(id, findRow(id));
    },
    put,
    flush(nowMs) {
      if (hasNew) requireNothingBeyond();
      hasNew = false;
      return prepared.flush(nowMs);
    },
    forgetEnded,
    known: () => (store.usable ? known.values() : []),
    countInDoubt() {
      store.requireUsable();
      let legs = 0;
      let oldestPreparedAtMs: number | undefined;
      for (const entry of known.values()) {
        if (!isInDoubt(entry)) continue;
        legs += 1;
        oldestPreparedAtMs = Math.min(oldestPreparedAtMs ?? Infinity, entry.leg!.preparedAtMs);
      }
      return { legs, oldestPreparedAtMs };
    },
    inDoubt() {
      store.requireUsable();
      return [...known.values()].filter(isInDoubt).sort((one, other) => (one.id < other.id ? -1 : 1));
    },
    findChained(id) {
      const entry = known.get(id);
      if (entry?.row !== undefined) return { leg: entry.leg!, previous: entry.previous };
      writeId(id, key);
      return store.read(() => {
        const values = selectChained.get(key) as unknown as [...LegValues, previous: Uint8Array | null] | undefined;
        if (values === undefined) return undefined;
        const previous = values.pop() as Uint8Array | null;
        return { leg: read(values as unknown as LegValues), previous: previous && blobToId(previous) };
      });
    },
    attempts(id, limit) {
      const leg = find(id);
      return leg === undefined ? [] : attempts.of(leg, limit);
    },
  };
}

function isInDoubt({ leg }: KnownLeg): boolean {
  return leg?.state.kind === 'prepared';
}

function entryOf(id: TransferId, leg: StoredLeg | undefined): PreparedEntry {
  return { id, leg, previous: null, row: undefined, at: 0 };
}

/** Of a declined leg, the attempt whose hold that ended; 0 for none. */
function attemptOf(state: LegState, before: StoredLeg | undefined): number {
  if ('attempt' in state) return state.attempt;
  return before?.state.kind === 'prepared' ? before.state.attempt : 0;
}

function reasonOf(state: LegState): string | null {
  return 'reason' in state ? state.reason : null;
}

type LegValues = Parameters<typeof readLeg>[0];

/** A leg written with its terms keeps them, and its account; only the deadline moves with the attempt. */
function next(id: TransferId, record: LegRecord, before: StoredLeg | undefined, { accountId, nowMs }: Placing): StoredLeg {
  const { state } = record;
  const terms = record.terms ?? before?.terms;
  const prepares = state.kind === 'prepared' && before?.state.kind !== 'prepared';
  return {
    id,
    state,
    terms,
    accountId: before?.terms === undefined ? accountId : before.accountId,
    preparedAtMs: before === undefined || prepares ? nowMs : before.preparedAtMs,
    endedAtMs: state.kind === 'prepared' ? null : (record.endedAtMs ?? before?.endedAtMs ?? nowMs),
  };
}

/** The numbers of coordinators' logs. A bank meets few of them. */
function openLogNumbers(store: StoreFile): LogNumbers {
  const insert = store.prepare('INSERT INTO logs (number, log_id) VALUES (?, ?)');
  const rows = store.prepare('SELECT number, log_id FROM logs').all() as unknown as [number, string][];
  const names = new Map(rows);
  const numbers = new Map(rows.map(([number, logId]) => [logId, number]));
  return {
    number(logId) {
      const known = numbers.get(logId);
      if (known !== undefined) return known;
      const number = names.size + 1;
      insert.run(number, logId);
      numbers.set(logId, number);
      names.set(number, logId);
      return number;
    },
    name(number) {
      const logId = names.get(number);
      if (logId === undefined) throw new Error(`a leg of log number ${number}, which is not in the table of logs`);
      return logId;
    },
  };
}
