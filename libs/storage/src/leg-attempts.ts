// What each attempt under one id did at this bank: the last one from the leg itself, earlier ones from a table that a leg on its first
// attempt never touches.

import type { Reason, TransferId } from '@strife/two-phase-commit';
import { idToBlob } from './ids.ts';
import type { StoredLeg } from './ledger-store.ts';
import type { StoreFile } from './store-file.ts';

/** How earlier attempts ended, as stored. Numbers are for ever. */
const ENDS = { released: 0, fenced: 1, 'taken-over': 2 } as const;
const END_NAMES = ['released', 'fenced', 'taken-over'] as const;

export interface LegAttempt {
  /** Undefined for a decline without a hold: which attempt that was is not kept. */
  readonly attempt: number | undefined;
  /** When it was held; undefined if it never was. */
  readonly preparedAtMs: number | undefined;
  /** `fenced`: an abort came, and nothing was held. `taken-over`: the next attempt went on with its hold. */
  readonly end:
    | { readonly kind: 'in-doubt'; readonly log: string }
    | { readonly kind: 'settled'; readonly log: string; readonly atMs: number }
    | { readonly kind: 'released' | 'fenced' | 'taken-over'; readonly atMs: number }
    | { readonly kind: 'declined'; readonly reason: Reason; readonly atMs: number };
}

export interface LegAttempts {
  /** Inside a write, before `leg` takes the place of `before`: keeps what that takes from an attempt that came before. Nothing on a first attempt. */
  keep(leg: StoredLeg, before: StoredLeg | undefined, nowMs: number): void;
  /** Oldest first; the newest `limit` at most. The last one is the leg as it is. */
  of(leg: StoredLeg, limit: number): LegAttempt[];
}

export function openLegAttempts(store: StoreFile): LegAttempts {
  // Never a reason to fail: whatever is there for this attempt, the last word counts.
  const insert = store.prepare('INSERT OR REPLACE INTO earlier_attempts (id, attempt, ended, prepared_at_ms, ended_at_ms) VALUES (?, ?, ?, ?, ?)');
  const select = store.prepare('SELECT attempt, ended, prepared_at_ms, ended_at_ms FROM earlier_attempts WHERE id = ? ORDER BY attempt DESC LIMIT ?');
  const selectAttempt = store.prepare('SELECT attempt FROM legs WHERE id = ?');

  function earlier(id: TransferId, limit: number): EarlierAttempt[] {
    const rows = store.read(() => select.all(idToBlob(id), limit)) as unknown as [number, number, number | null, number][];
    return rows.reverse().map(([attempt, end, preparedAtMs, atMs]) => {
      return { attempt, preparedAtMs: preparedAtMs ?? undefined, end: { kind: END_NAMES[end] ?? 'released', atMs } };
    });
  }

  return {
    keep({ id, state }, before, nowMs) {
      if (before?.state.kind === 'aborted' && state.kind !== 'aborted') {
        const wasHeld = before.terms !== undefined;
        const ended = wasHeld ? ENDS.released : ENDS.fenced;
        insert.run(idToBlob(id), before.state.attempt, ended, wasHeld ? before.preparedAtMs : null, before.endedAtMs ?? nowMs);
      } else if (before?.state.kind === 'prepared' && state.kind === 'prepared' && state.attempt !== before.state.attempt) {
        insert.run(idToBlob(id), before.state.attempt, ENDS['taken-over'], before.preparedAtMs, nowMs);
      }
    },
    of(leg, limit) {
      const before = earlier(leg.id, limit - 1);
      // A leg in doubt may have no row, and nobody asks for its stored attempt then.
      const [stored] = (store.read(() => selectAttempt.get(idToBlob(leg.id))) as unknown as [number] | undefined) ?? [0];
      return [...heldSince(before), lastAttempt(leg, stored, before.at(-1))];
    },
  };
}

type EarlierAttempt = LegAttempt & { readonly end: { readonly kind: 'released' | 'fenced' | 'taken-over'; readonly atMs: number } };

/** The leg keeps when its hold began; an attempt that took it over holds since then. */
function heldSince(attempts: readonly EarlierAttempt[]): LegAttempt[] {
  return attempts.map((attempt, index) => ({ ...attempt, preparedAtMs: sinceTakeOver(attempts[index - 1]) ?? attempt.preparedAtMs }));
}

function sinceTakeOver(before: EarlierAttempt | undefined): number | undefined {
  return before?.end.kind === 'taken-over' ? before.end.atMs : undefined;
}

/** @param stored the attempt in the leg's row: of a declined leg, the one whose hold the decline ended, or 0 */
function lastAttempt({ state, terms, preparedAtMs, endedAtMs }: StoredLeg, stored: number, before: EarlierAttempt | undefined): LegAttempt {
  const atMs = endedAtMs ?? preparedAtMs;
  const heldAtMs = sinceTakeOver(before) ?? preparedAtMs;
  switch (state.kind) {
    case 'prepared':
      return { attempt: state.attempt, preparedAtMs: heldAtMs, end: { kind: 'in-doubt', log: state.log } };
    case 'committed':
      // Inside one bank nothing is held first.
      return { attempt: state.attempt, preparedAtMs: terms?.side === 'both' ? undefined : heldAtMs, end: { kind: 'settled', log: state.log, atMs } };
    case 'aborted':
      if (terms === undefined) return { attempt: state.attempt, preparedAtMs: undefined, end: { kind: 'fenced', atMs } };
      return { attempt: state.attempt, preparedAtMs: heldAtMs, end: { kind: 'released', atMs } };
    case 'declined':
      return {
        attempt: stored === 0 ? undefined : stored,
        preparedAtMs: stored === 0 ? undefined : heldAtMs,
        end: { kind: 'declined', reason: state.reason, atMs },
      };
    case 'absent':
      throw new Error('a stored leg is never absent');
  }
}
