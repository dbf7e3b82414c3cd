// The legs of a bank's store. Those in doubt are kept in memory, so that a decision finds its leg without a read.

import type { LegState, TransferId } from '@strife/two-phase-commit';
import { hexToBlob, idToBlob, writeId } from './ids.ts';
import type { LegWrite, StoredLeg } from './ledger-store.ts';
import { openLegAttempts, type LegAttempt } from './leg-attempts.ts';
import { LEG_COLUMNS, LEG_STATES, readLeg, termsValues } from './leg-rows.ts';
import type { StoreFile } from './store-file.ts';

type StoredState = Exclude<LegState, { kind: 'absent' }>;

export interface LegTable {
  find(id: TransferId): StoredLeg | undefined;
  /** The legs that exist among these ids. What it found counts as read until the next write. */
  findAll(ids: readonly TransferId[]): Map<TransferId, StoredLeg>;
  /** In the order of their ids. */
  prepared(): StoredLeg[];
  inDoubt(): { legs: number; oldestPreparedAtMs: number | undefined };
  /** The payer's transfer before this one, which is in the table. */
  previous(id: TransferId): Uint8Array | null;
  /** What each attempt did here, oldest first, the newest `limit` at most; empty for an unknown id. */
  attempts(id: TransferId, limit: number): LegAttempt[];
  /**
   * Inside a write. Returns the leg as it now is, for `remember`.
   *
   * @param before the leg as it was, if it was
   * @param previous the payer's transfer before this one; used only when the leg gets its terms
   */
  put(write: LegWrite, before: StoredLeg | undefined, previous: Uint8Array | null, nowMs: number): StoredLeg;
  /** After the write of these legs became durable. */
  remember(legs: Iterable<StoredLeg>): void;
}

export function openLegTable(store: StoreFile): LegTable {
  const logs = openLogNumbers(store);
  const attempts = openLegAttempts(store);
  const select = store.prepareExact(`SELECT ${LEG_COLUMNS} FROM legs WHERE id = ?`);
  const countPrepared = store.prepare('SELECT count(*), min(prepared_at_ms) FROM legs WHERE state = 0');
  const selectPrevious = store.prepare('SELECT previous FROM legs WHERE id = ?');
  const insert = store.prepare(`
    INSERT OR REPLACE INTO legs (id, state, attempt, log, reason, prepared_at_ms, ended_at_ms, fingerprint, account_id, previous,
      side, payer, payee, peer, currency, amount, memo, deadline_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const update = store.prepare(
    'UPDATE legs SET state = ?, attempt = ?, log = ?, reason = ?, prepared_at_ms = ?, ended_at_ms = ?, deadline_ms = ? WHERE id = ?',
  );
  /** All legs in doubt. */
  const doubtful = new Map<TransferId, StoredLeg>();
  /** What `findAll` read last; null: does not exist. */
  const known = new Map<TransferId, StoredLeg | null>();
  /** Filled anew for each statement, which copies what it is given. */
  const key = new Uint8Array(16);
  for (const row of store.prepareExact(`SELECT ${LEG_COLUMNS} FROM legs WHERE state = 0 ORDER BY id`).iterate()) {
    const leg = readLeg(row as unknown as LegValues, store.name, logs.name);
    doubtful.set(leg.id, leg);
  }

  function find(id: TransferId): StoredLeg | undefined {
    store.requireUsable();
    const leg = doubtful.get(id) ?? known.get(id);
    if (leg !== undefined) return leg ?? undefined;
    // Outside the read: a malformed id is the caller's mistake, not the end of the store.
    const blob = idToBlob(id);
    return store.read(() => read(blob));
  }

  /** Inside a read. */
  function read(blob: Uint8Array): StoredLeg | undefined {
    const values = select.get(blob);
    return values && readLeg(values as unknown as LegValues, store.name, logs.name);
  }

  function put(write: LegWrite, before: StoredLeg | undefined, previous: Uint8Array | null, nowMs: number): StoredLeg {
    const leg = next(write, before, nowMs);
    const { id, state, terms, accountId, preparedAtMs, endedAtMs } = leg;
    const attempt = 'attempt' in state ? state.attempt : heldBy(before);
    const log = 'log' in state ? logs.number(state.log) : null;
    const reason = 'reason' in state ? state.reason : null;
    attempts.keep(write, before, nowMs);
    writeId(id, key);
    if (before?.terms !== undefined) {
      update.run(LEG_STATES[state.kind], attempt, log, reason, preparedAtMs, endedAtMs, terms?.deadlineMs ?? null, key);
    } else {
      insert.run(
        key, LEG_STATES[state.kind], attempt, log, reason, preparedAtMs, endedAtMs, hexToBlob(state.fingerprint), accountId,
        previous, ...termsValues(terms),
      );
    }
    return leg;
  }

  return {
    find,
    put,
    findAll(ids) {
      store.requireUsable();
      known.clear();
      const others = ids.filter((id) => !doubtful.has(id));
      const blobs = others.map(idToBlob);
      if (others.length > 0) store.readTogether(() => others.forEach((id, index) => known.set(id, read(blobs[index]!) ?? null)));
      const found = new Map<TransferId, StoredLeg>();
      for (const id of ids) {
        const leg = doubtful.get(id) ?? known.get(id) ?? undefined;
        if (leg !== undefined) found.set(id, leg);
      }
      return found;
    },
    inDoubt() {
      const [legs, oldest] = store.read(() => countPrepared.get()) as unknown as [number, number | null];
      return { legs, oldestPreparedAtMs: oldest ?? undefined };
    },
    prepared() {
      store.requireUsable();
      return [...doubtful.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
    },
    previous: (id) => store.read(() => (selectPrevious.get(idToBlob(id)) as unknown as [Uint8Array | null] | undefined)?.[0] ?? null),
    attempts(id, limit) {
      const leg = find(id);
      return leg === undefined ? [] : attempts.of(leg, limit);
    },
    remember(legs) {
      known.clear();
      for (const leg of legs) {
        if (leg.state.kind === 'prepared') doubtful.set(leg.id, leg);
        else doubtful.delete(leg.id);
      }
    },
  };
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
    ...(terms === undefined ? {} : { terms }),
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
