// A bank's login sessions: which refresh token counts, and which sessions were ended.

import type { StoreFile } from './store-file.ts';

export interface SessionRow {
  readonly id: string;
  readonly account: string;
  /** Of the refresh token that counts; 1 at first. */
  readonly generation: number;
  /** Tells the request by which that token was given out; null for the first. */
  readonly requestDigest: string | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** When somebody ended it; null while it goes on. */
  readonly endedAtMs: number | null;
}

export interface SessionStore {
  /**
   * Adds a session. Of the account's sessions that are neither ended nor expired then, the one behind the `keptMax` that came last
   * expires at `row.createdAtMs`, so that there are never more. Durable on return, like every change here.
   */
  insert(row: SessionRow, keptMax: number): void;
  find(id: string): SessionRow | undefined;
  /** Gives an existing session its next generation. */
  advance(id: string, generation: number, requestDigest: string): void;
  /** Ends a session; one that has ended keeps its time, and an unknown one is none. */
  end(id: string, atMs: number): void;
  /** The sessions that somebody ended after this time. */
  endedAfter(atMs: number): { id: string; endedAtMs: number }[];
  /** Removes sessions that expired or were ended at this time or before. */
  removeOver(atMs: number): void;
}

const COLUMNS = 'id, account, generation, request_digest, created_at_ms, expires_at_ms, ended_at_ms';

export function openSessions(store: StoreFile): SessionStore {
  const insert = store.prepare(`INSERT INTO sessions (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`);
  // In the order in which they came, whatever the clock said. One row, so that no account's past is read at a login.
  const expireOldest = store.prepare(`
    UPDATE sessions SET expires_at_ms = ? WHERE rowid = (
      SELECT rowid FROM sessions WHERE account = ? AND ended_at_ms IS NULL AND expires_at_ms > ? ORDER BY rowid DESC LIMIT 1 OFFSET ?)`);
  const find = store.prepare(`SELECT ${COLUMNS} FROM sessions WHERE id = ?`);
  const advance = store.prepare('UPDATE sessions SET generation = ?, request_digest = ? WHERE id = ?');
  const end = store.prepare('UPDATE sessions SET ended_at_ms = ? WHERE id = ? AND ended_at_ms IS NULL');
  const endedAfter = store.prepare('SELECT id, ended_at_ms FROM sessions WHERE ended_at_ms > ?');
  const removeOver = store.prepare('DELETE FROM sessions WHERE expires_at_ms <= ? OR ended_at_ms <= ?');
  return {
    insert(row, keptMax) {
      const { id, account, generation, requestDigest, createdAtMs, expiresAtMs, endedAtMs } = row;
      store.write(() => {
        insert.run(id, account, generation, requestDigest, createdAtMs, expiresAtMs, endedAtMs);
        expireOldest.run(createdAtMs, account, createdAtMs, keptMax);
      });
    },
    find(id) {
      const row = store.read(() => find.get(id)) as unknown as Columns | undefined;
      return row === undefined ? undefined : rowOf(row);
    },
    advance(id, generation, requestDigest) {
      store.write(() => {
        const { changes } = advance.run(generation, requestDigest, id);
        if (changes !== 1) throw new Error('a session that does not exist was to be refreshed');
      });
    },
    end: (id, atMs) => void store.write(() => end.run(atMs, id)),
    endedAfter(atMs) {
      const rows = store.read(() => endedAfter.all(atMs)) as unknown as [string, number][];
      return rows.map(([id, endedAtMs]) => ({ id, endedAtMs }));
    },
    removeOver: (atMs) => void store.write(() => removeOver.run(atMs, atMs)),
  };
}

type Columns = [string, string, number, string | null, number, number, number | null];

function rowOf([id, account, generation, requestDigest, createdAtMs, expiresAtMs, endedAtMs]: Columns): SessionRow {
  return { id, account, generation, requestDigest, createdAtMs, expiresAtMs, endedAtMs };
}
