// The legs of a bank's store, with a bounded cache of those touched last: a decision follows its Prepare within moments.

import type { LegState, TransferId } from '@strife/two-phase-commit';
import { LRUCache } from 'lru-cache';
import { hexToBlob, idToBlob } from './ids.ts';
import type { LegWrite, StoredLeg } from './ledger-store.ts';
import { LEG_COLUMNS, LEG_STATES, readLeg, termsValues } from './leg-rows.ts';
import type { StoreFile } from './store-file.ts';

/** Legs kept in memory, about a kilobyte each; more than the most that one batch touches. */
const LEGS_CACHED_MAX = 50_000;

type StoredState = Exclude<LegState, { kind: 'absent' }>;

export interface LegTable {
  find(id: TransferId): StoredLeg | undefined;
  prepared(): StoredLeg[];
  /** The payer's transfer before this one, which is in the table. */
  previous(id: TransferId): Uint8Array | null;
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
  /** null: known not to exist. */
  const cache = new LRUCache<TransferId, { readonly leg: StoredLeg | null }>({ max: LEGS_CACHED_MAX });
  const logs = openLogNumbers(store);
  const select = store.prepareExact(`SELECT ${LEG_COLUMNS} FROM legs WHERE id = ?`);
  const selectPrepared = store.prepareExact(`SELECT ${LEG_COLUMNS} FROM legs WHERE state = 0 ORDER BY id`);
  const selectPrevious = store.prepare('SELECT previous FROM legs WHERE id = ?');
  const insert = store.prepare(`
    INSERT OR REPLACE INTO legs (id, state, attempt, log, reason, prepared_at_ms, ended_at_ms, fingerprint, account_id, previous,
      side, payer, payee, peer, currency, amount, memo, deadline_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const update = store.prepare(
    'UPDATE legs SET state = ?, attempt = ?, log = ?, reason = ?, prepared_at_ms = ?, ended_at_ms = ?, deadline_ms = ? WHERE id = ?',
  );

  function find(id: TransferId): StoredLeg | undefined {
    store.requireUsable();
    const known = cache.get(id);
    if (known !== undefined) return known.leg ?? undefined;
    // Outside the read: a malformed id is the caller's mistake, not the end of the store.
    const key = idToBlob(id);
    const leg = store.read(() => {
      const values = select.get(key);
      return values && readLeg(values as unknown as Parameters<typeof readLeg>[0], store.name, logs.name);
    });
    cache.set(id, { leg: leg ?? null });
    return leg;
  }

  function put(write: LegWrite, before: StoredLeg | undefined, previous: Uint8Array | null, nowMs: number): StoredLeg {
    const leg = next(write, before, nowMs);
    const { id, state, terms, accountId, preparedAtMs, endedAtMs } = leg;
    const attempt = 'attempt' in state ? state.attempt : 0;
    const log = 'log' in state ? logs.number(state.log) : null;
    const reason = 'reason' in state ? state.reason : null;
    const changing = [LEG_STATES[state.kind], attempt, log, reason, preparedAtMs, endedAtMs];
    if (before?.terms !== undefined) {
      update.run(...changing, terms?.deadlineMs ?? null, idToBlob(id));
    } else {
      insert.run(idToBlob(id), ...changing, hexToBlob(state.fingerprint), accountId, previous, ...termsValues(terms));
    }
    return leg;
  }

  return {
    find,
    put,
    prepared: () =>
      store.read(() => selectPrepared.all().map((row) => readLeg(row as unknown as Parameters<typeof readLeg>[0], store.name, logs.name))),
    previous: (id) => store.read(() => (selectPrevious.get(idToBlob(id)) as unknown as [Uint8Array | null] | undefined)?.[0] ?? null),
    remember(legs) {
      for (const leg of legs) cache.set(leg.id, { leg });
    },
  };
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
