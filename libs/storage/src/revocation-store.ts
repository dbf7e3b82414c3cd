// Revoked tokens, by issuer and token id, until they expire; numbered in the order in which this gateway learnt of them.

import type { StoreFile } from './store-file.ts';

export interface RevocationRow {
  readonly issuer: string;
  readonly jti: string;
  /** When the token ends by itself, in ms since the Unix epoch: the row is useless after that. */
  readonly expiresAtMs: number;
}

/** A row with its place: above that of every row that was there before it, and never given again. */
export interface NumberedRevocation extends RevocationRow {
  readonly seq: number;
}

export interface RevocationStore {
  /**
   * Durable on return, all or none. A row that is there already keeps its place, so repeating it is harmless; one that now ends
   * later takes a new place, so that whoever asks for what is new hears of it.
   */
  insert(rows: readonly RevocationRow[]): void;
  /** The rows of tokens that have not expired at `nowMs`. */
  load(nowMs: number): RevocationRow[];
  /** The first rows behind a place, by place: 0 is before the first. */
  after(seq: number, limit: number): NumberedRevocation[];
  /** The last place that was given, also when its row is gone; 0 before the first. */
  lastSeq(): number;
  /** Forgets tokens that have expired at `nowMs`. */
  deleteExpired(nowMs: number): void;
}

export function openRevocations(store: StoreFile): RevocationStore {
  const insert = store.prepare(`
    INSERT OR REPLACE INTO revocations (issuer, jti, expires_at_ms) SELECT ?1, ?2, ?3
    WHERE NOT EXISTS (SELECT 1 FROM revocations WHERE issuer = ?1 AND jti = ?2 AND expires_at_ms >= ?3)`);
  const load = store.prepare('SELECT issuer, jti, expires_at_ms FROM revocations WHERE expires_at_ms > ?');
  const after = store.prepare('SELECT issuer, jti, expires_at_ms, seq FROM revocations WHERE seq > ? ORDER BY seq LIMIT ?');
  const last = store.prepare("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'revocations'");
  const deleteExpired = store.prepare('DELETE FROM revocations WHERE expires_at_ms <= ?');
  return {
    insert: (rows) => {
      store.write(() => {
        for (const { issuer, jti, expiresAtMs } of rows) insert.run(issuer, jti, expiresAtMs);
      });
    },
    load: (nowMs) => {
      const rows = store.read(() => load.all(nowMs)) as unknown as [string, string, number][];
      return rows.map(([issuer, jti, expiresAtMs]) => ({ issuer, jti, expiresAtMs }));
    },
    after: (afterSeq, limit) => {
      const rows = store.read(() => after.all(afterSeq, limit)) as unknown as [string, string, number, number][];
      return rows.map(([issuer, jti, expiresAtMs, seq]) => ({ issuer, jti, expiresAtMs, seq }));
    },
    lastSeq: () => store.read(() => (last.get() as unknown as [number])[0]),
    deleteExpired: (nowMs) => {
      store.write(() => deleteExpired.run(nowMs));
    },
  };
}
