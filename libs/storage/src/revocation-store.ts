// Revoked tokens, by issuer and token id, until they expire.

import type { StoreFile } from './store-file.ts';

export interface RevocationRow {
  readonly issuer: string;
  readonly jti: string;
  /** When the token ends by itself, in ms since the Unix epoch: the row is useless after that. */
  readonly expiresAtMs: number;
}

export interface RevocationStore {
  /** Durable on return. Repeating it is harmless. */
  insert(row: RevocationRow): void;
  /** The rows of tokens that have not expired at `nowMs`. */
  load(nowMs: number): RevocationRow[];
  /** Forgets tokens that have expired at `nowMs`. */
  deleteExpired(nowMs: number): void;
}

export function openRevocations(store: StoreFile): RevocationStore {
  const insert = store.prepare(`
    INSERT INTO revocations (issuer, jti, expires_at_ms) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET expires_at_ms = max(expires_at_ms, excluded.expires_at_ms)`);
  const load = store.prepare('SELECT issuer, jti, expires_at_ms FROM revocations WHERE expires_at_ms > ?');
  const deleteExpired = store.prepare('DELETE FROM revocations WHERE expires_at_ms <= ?');
  return {
    insert: ({ issuer, jti, expiresAtMs }) => {
      store.write(() => insert.run(issuer, jti, expiresAtMs));
    },
    load: (nowMs) => {
      const rows = store.read(() => load.all(nowMs)) as unknown as [string, string, number][];
      return rows.map(([issuer, jti, expiresAtMs]) => ({ issuer, jti, expiresAtMs }));
    },
    deleteExpired: (nowMs) => {
      store.write(() => deleteExpired.run(nowMs));
    },
  };
}
