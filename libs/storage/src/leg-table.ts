// The legs of a bank's store. Those in doubt are kept in memory, so that a decision finds its leg without a read.

import type { LegState, TransferId } from '@strife/two-phase-commit';
import { blobToId, writeHex, writeId } from './ids.ts';
import type { LegWrite, StoredLeg } from './ledger-store.ts';
import { openLegAttempts, type LegAttempt } from './leg-attempts.ts';
import { LEG_COLUMNS, LEG_STATES, readLeg, termsValues } from './leg-rows.ts';
import type { StoreFile } from './store-file.ts';

type StoredState = Exclude<LegState, { kind: 'absent' }>;

export interface LegTable {
  find(id: TransferId): StoredLeg | undefined;
  /** The legs of these ids, in their order; undefined for one that does not exist. What it found counts as read until the next write. */
  findAll(ids: readonly TransferId[]): (StoredLeg | undefined)[];
  /** In the order of their ids. */
  prepared(): StoredLeg[];
  inDoubt(): { legs: number; oldestPreparedAtMs: number | undefined };
  /** A leg with its place in the chain of its payer's transfers, in one read. */
  findChained(id: TransferId): ChainedLeg | undefined;
  /** What each attempt did here, oldest first, the newest `limit` at most; empty for an unknown id. */
  attempts(id: TransferId, limit: number): LegAttempt[];
  /** Inside a write: what to `put` the leg on. */
  recall(id: TransferId): KnownLeg;
  /**
   * Inside a write. `known` then knows the leg as it was written.
   *
   * @param previous the payer's transfer before this one; used only when the leg gets its terms
   */
  put(write: LegWrite, known: KnownLeg, previous: Uint8Array | null, nowMs: number): void;
  /** After the write: keeps in memory only what is in doubt. */
  forgetEnded(): void;
}

export interface ChainedLeg {
  readonly leg: StoredLeg;
  /** The payer's transfer before this one. */
  readonly previous: TransferId | null;
}

/** What is known of one id: its leg, or that there is none. */
export interface KnownLeg {
  readonly id: TransferId;
  readonly leg: StoredLeg | undefined;
}

type Entry = { -readonly [Key in keyof KnownLeg]: KnownLeg[Key] };

export function openLegTable(store: StoreFile): LegTable {
  const logs = openLogNumbers(store);
  const attempts = openLegAttempts(store);
  const select = store.prepareExact(`SELECT ${LEG_COLUMNS} FROM legs WHERE id = ?`);
  const countPrepared = store.prepare('SELECT count(*), min(prepared_at_ms) FROM legs WHERE state = 0');
  const selectChained = store.prepareExact(`SELECT ${LEG_COLUMNS}, previous FROM legs WHERE id = ?`);
  const columns = `legs (id, state, attempt, log, reason, prepared_at_ms, ended_at_ms, fingerprint, account_id, previous,
      side, payer, payee, peer, currency, amount, memo, deadline_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
  // These four are carried out by `get`: `run` makes an object that says how many rows changed, which costs a tenth of the statement.
  /** Of an id that is not in the table: should it be there all the same, the write fails, and nothing is overwritten. */
  const insert = store.prepare(`INSERT INTO ${columns}`);
  /** Of a fence that gets its terms. */
  const replace = store.prepare(`INSERT OR REPLACE INTO ${columns}`);
  const update = store.prepare(
    'UPDATE legs SET state = ?, attempt = ?, log = ?, reason = ?, prepared_at_ms = ?, ended_at_ms = ?, deadline_ms = ? WHERE id = ?',
  );
  /** All that changes when what was held is settled. */
  const settle = store.prepare('UPDATE legs SET state = ?, ended_at_ms = ? WHERE id = ?');
  /** All legs in doubt, and what was read or written since the last `forgetEnded`. */
  const known = new Map<TransferId, Entry>();
  /** Of `known`, what may not be in doubt. */
  let passing: Entry[] = [];
  /** Of all ids in the table; '' for none. A greater one is not looked up, and a new one that begins with its time (UUIDv7) mostly is greater. */
  let greatest = greatestId(store);
  /** Filled anew for each statement, which copies what it is given. */
  const key = new Uint8Array(16);
  const fingerprint = new Uint8Array(16);
  for (const row of store.prepareExact(`SELECT ${LEG_COLUMNS} FROM legs WHERE state = 0 ORDER BY id`).iterate()) {
    const leg = readLeg(row as unknown as LegValues, store.name, logs.name);
    known.set(leg.id, { id: leg.id, leg });
  }

  function find(id: TransferId): StoredLeg | undefined {
    store.requireUsable();
    const found = known.get(id);
    if (found !== undefined) return found.leg;
    // Outside the read: a malformed id is the caller's mistake, not the end of the store.
    writeId(id, key);
    return id > greatest ? undefined : store.read(() => read(id));
  }

  /** Inside a read, of a well-formed id. */
  function read(id: TransferId): StoredLeg | undefined {
    writeId(id, key);
    const values = select.get(key);
    return values && readLeg(values as unknown as LegValues, store.name, logs.name);
  }

  function forgetEnded(): void {
    for (const entry of passing) if (!isInDoubt(entry)) known.delete(entry.id);
    passing = [];
  }

  function learn(id: TransferId, leg: StoredLeg | undefined): Entry {
    const entry = { id, leg };
    known.set(id, entry);
    passing.push(entry);
    return entry;
  }

  function put(write: LegWrite, entry: Entry, previous: Uint8Array | null, nowMs: number): void {
    const before = entry.leg;
    const leg = next(write, before, nowMs);
    const { id, state, terms, accountId, preparedAtMs, endedAtMs } = leg;
    const attempt = 'attempt' in state ? state.attempt : heldBy(before);
    const log = 'log' in state ? logs.number(state.log) : null;
    const reason = 'reason' in state ? state.reason : null;
    attempts.keep(write, before, nowMs);
    writeId(id, key);
    if (isSettled(leg, before)) {
      settle.get(LEG_STATES.committed, endedAtMs, key);
    } else if (before?.terms !== undefined) {
      update.get(LEG_STATES[state.kind], attempt, log, reason, preparedAtMs, endedAtMs, terms?.deadlineMs ?? null, key);
    } else {
      writeHex(state.fingerprint, fingerprint);
      const [side, payer, payee, peer, currency, amount, memo, deadlineMs] = termsValues(terms);
      const statement = before === undefined ? insert : replace;
      statement.get(
        key, LEG_STATES[state.kind], attempt, log, reason, preparedAtMs, endedAtMs, fingerprint, accountId, previous,
        side, payer, payee, peer, currency, amount, memo, deadlineMs,
      );
    }
    if (isInDoubt(entry)) passing.push(entry);
    entry.leg = leg;
    if (id > greatest) greatest = id;
  }

  return {
    find,
    recall: (id) => known.get(id) ?? learn(id, find(id)),
    put,
    forgetEnded,
    findAll(ids) {
      store.requireUsable();
      forgetEnded();
      const found: (StoredLeg | undefined)[] = [];
      const unread: number[] = [];
      ids.forEach((id, index) => {
        const entry = known.get(id);
        found.push(entry?.leg);
        if (entry !== undefined) return;
        writeId(id, key);
        if (id > greatest) learn(id, undefined);
        else unread.push(index);
      });
      if (unread.length > 0) store.readTogether(() => {
        for (const index of unread) {
          const id = ids[index]!;
          // Known by now if it stands twice among the ids.
          found[index] = (known.get(id) ?? learn(id, read(id))).leg;
        }
      });
      return found;
    },
    inDoubt() {
      const [legs, oldest] = store.read(() => countPrepared.get()) as unknown as [number, number | null];
      return { legs, oldestPreparedAtMs: oldest ?? undefined };
    },
    prepared() {
      store.requireUsable();
      const legs: StoredLeg[] = [];
      for (const entry of known.values()) if (isInDoubt(entry)) legs.push(entry.leg!);
      return legs.sort((one, other) => (one.id < other.id ? -1 : 1));
    },
    findChained(id) {
      writeId(id, key);
      return store.read(() => {
        const values = selectChained.get(key) as unknown as [...LegValues, previous: Uint8Array | null] | undefined;
        if (values === undefined) return undefined;
        const previous = values.pop() as Uint8Array | null;
        return { leg: readLeg(values as unknown as LegValues, store.name, logs.name), previous: previous && blobToId(previous) };
      });
    },
    attempts(id, limit) {
      const leg = find(id);
      return leg === undefined ? [] : attempts.of(leg, limit);
    },
  };
}

function greatestId(store: StoreFile): TransferId {
  const [blob] = store.prepare('SELECT max(id) FROM legs').get() as unknown as [Uint8Array | null];
  return blob === null ? '' : blobToId(blob);
}

function isInDoubt({ leg }: KnownLeg): boolean {
  return leg?.state.kind === 'prepared';
}

/** Whether nothing but the state and the end of the leg is new. */
function isSettled({ state, terms }: StoredLeg, before: StoredLeg | undefined): boolean {
  return state.kind === 'committed' && before?.state.kind === 'prepared' && before.terms === terms
    && state.attempt === before.state.attempt && state.log === before.state.log;
}

type LegValues = Parameters<typeof readLeg>[0];

/** The attempt whose hold ends when the leg is declined; 0 for none. */
function heldBy(before: StoredLeg | undefined): number {
  return before?.state.kind === 'prepared' ? before.state.attempt : 0;
}

/** A leg written with its terms keeps them, and its account; only the deadline moves with the attempt. */
function next(write: LegWrite, before: StoredLeg | undefined, nowMs: number): StoredLeg & { state: StoredState } {
  const { id, state } = write;
  if (state.kind === 'absent') throw new Error(`leg ${id} cannot be written as absent`);
  const terms = write.terms ?? before?.terms;
  const prepares = state.kind === 'prepared' && before?.state.kind !== 'prepared';
  return {
    id,
    state,
    terms,
    accountId: before?.terms === undefined ? write.accountId : before.accountId,
    preparedAtMs: before === undefined || prepares ? nowMs : before.preparedAtMs,
    endedAtMs: state.kind === 'prepared' ? null : (write.endedAtMs ?? before?.endedAtMs ?? nowMs),
  };
}

/** The numbers of coordinators' logs. A bank meets few of them. */
function openLogNumbers(store: StoreFile): { number(logId: string): number; name(number: number): string } {
  const insert = store.prepare('INSERT INTO logs (number, log_id) VALUES (?, ?)');
  const rows = store.prepare('SELECT number, log_id FROM logs').all() as unknown as [number, string][];
  const names = new Map(rows);
  const numbers = new Map(rows.map(([number, logId]) => [logId, number]));
  return {
    /** Inside a write. */
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
