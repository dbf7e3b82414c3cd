// When processes owned a store: one row for each start, completed by a clean stop. What has no stop, and is not the last, was killed or crashed.

import type { StoreFile } from './store-file.ts';

/** Of starts before the newest ones nothing is kept. */
const STARTS_KEPT_MAX = 10_000;

/** In the schema of every kind of store that has starts. */
export const STARTS_SCHEMA = `
  -- One row for each start of the store's process.
  CREATE TABLE starts (
    seq INTEGER PRIMARY KEY,
    started_at_ms INTEGER NOT NULL,
    stopped_at_ms INTEGER            -- when it stopped cleanly
  ) STRICT;`;

export interface ProcessStart {
  readonly startedAtMs: number;
  /** What was before it. `unclean`: the process was killed, or it crashed, or the machine did; when is not known. */
  readonly before: { readonly kind: 'nothing' } | { readonly kind: 'unclean' } | { readonly kind: 'stopped'; readonly atMs: number };
}

export interface ProcessStarts {
  /** Starts at this time or later, oldest first; the newest `limit` of them at most. */
  since(atMs: number, limit: number): ProcessStart[];
  /** Notes that the process stops now, cleanly. Durable on return. */
  stop(atMs: number): void;
}

/** Notes that the store's process starts now. Durable on return. */
export function openProcessStarts(store: StoreFile, nowMs: number): ProcessStarts {
  const insert = store.prepare('INSERT INTO starts (started_at_ms) VALUES (?)');
  const forget = store.prepare('DELETE FROM starts WHERE seq <= ?');
  const stopLast = store.prepare('UPDATE starts SET stopped_at_ms = ? WHERE seq = ?');
  const select = store.prepare(`
    SELECT s.started_at_ms, b.seq IS NOT NULL, b.stopped_at_ms FROM starts s LEFT JOIN starts b ON b.seq = s.seq - 1
    WHERE s.started_at_ms >= ? ORDER BY s.seq DESC LIMIT ?`);
  const seq = store.write(() => {
    const own = Number(insert.run(nowMs).lastInsertRowid);
    forget.run(own - STARTS_KEPT_MAX);
    return own;
  });
  return {
    since(atMs, limit) {
      const rows = store.read(() => select.all(atMs, limit)) as unknown as [number, 0 | 1, number | null][];
      return rows.reverse().map(([startedAtMs, hasBefore, stoppedAtMs]) => ({ startedAtMs, before: beforeIt(hasBefore === 1, stoppedAtMs) }));
    },
    stop: (atMs) => void store.write(() => stopLast.run(atMs, seq)),
  };
}

function beforeIt(hasBefore: boolean, stoppedAtMs: number | null): ProcessStart['before'] {
  if (!hasBefore) return { kind: 'nothing' };
  return stoppedAtMs === null ? { kind: 'unclean' } : { kind: 'stopped', atMs: stoppedAtMs };
}
