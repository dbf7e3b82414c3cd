// A decision log in memory with the contract of the durable ones: what is on its disk outlives the handles that are opened on it.

import type { DecisionLog, DecisionRow, FinishedDelivery, LogId, Proposal, TransferId } from '@strife/two-phase-commit';
import { requireId } from './ids.ts';
import type { Sync } from './sync.ts';

/** What is durable. */
export interface DecisionDisk {
  readonly logId: LogId;
  readonly rows: Map<TransferId, DecisionRow>;
  /** The place of each row in the queue of deliveries; an id keeps it through all its attempts. */
  readonly places: Map<TransferId, number>;
  readonly undelivered: Set<TransferId>;
}

export interface MemoryDecisionLog extends DecisionLog {
  /** Told that the delivery of this id's row is done, and not yet written down. */
  hasFinished(id: TransferId): boolean;
  count(): number;
  close(): void;
}

export interface MemoryDecisionLogOptions {
  readonly disk: DecisionDisk;
  readonly exclusive: boolean;
  readonly nowMs: () => number;
  readonly mayReplace: (row: DecisionRow | undefined, proposal: Proposal) => boolean;
  readonly sync: Sync;
  /** Told of each row that has become durable. */
  readonly onRow?: (before: DecisionRow | undefined, after: DecisionRow) => void;
  /** Told of each row whose delivery is durably forgotten. */
  readonly onDone?: (row: DecisionRow) => void;
}

export function createDecisionDisk(logId: LogId): DecisionDisk {
  return { logId, rows: new Map(), places: new Map(), undelivered: new Set() };
}

export function openMemoryDecisionLog({ disk, exclusive, nowMs, mayReplace, sync, onRow, onDone }: MemoryDecisionLogOptions): MemoryDecisionLog {
  /** Not synced: a crash forgets it, and the deliveries are repeated. */
  let finished: FinishedDelivery[] = [];

  /** Another gateway may have taken the row to a later attempt since. */
  function isCurrent({ id, attempt }: FinishedDelivery): boolean {
    return disk.rows.get(id)?.attempt === attempt;
  }

  function forgetFinished(): void {
    for (const delivery of finished) {
      const { id } = delivery;
      if (isCurrent(delivery) && disk.undelivered.delete(id)) onDone?.(disk.rows.get(id)!);
    }
    finished = [];
  }

  function write(proposals: readonly Proposal[]): DecisionRow[] {
    const decidedAtMs = nowMs();
    const changed = new Map<TransferId, DecisionRow>();
    const answers = proposals.map((proposal) => {
      const row = changed.get(proposal.id) ?? disk.rows.get(proposal.id);
      if (!mayReplace(row, proposal)) {
        if (row === undefined) throw new Error(`the compare-and-set refused attempt ${proposal.attempt} of ${proposal.id} without a row to obey`);
        return row;
      }
      const { id, attempt, fingerprint, body, createdAtMs, verdict } = proposal;
      const next: DecisionRow = { id, attempt, fingerprint, body, createdAtMs, verdict, decidedAtMs };
      changed.set(id, next);
      return next;
    });
    sync(() => {
      forgetFinished();
      for (const row of changed.values()) {
        const before = disk.rows.get(row.id);
        disk.rows.set(row.id, row);
        if (before === undefined) disk.places.set(row.id, disk.places.size + 1);
        disk.undelivered.add(row.id);
        onRow?.(before, row);
      }
    });
    return answers;
  }

  return {
    logId: disk.logId,
    exclusive,
    async find(ids) {
      for (const id of ids) requireId(id);
      return ids.map((id) => disk.rows.get(id));
    },
    async decide(proposals, ended) {
      for (const { id } of ended) requireId(id);
      for (const { id } of proposals) requireId(id);
      finished.push(...ended);
      return proposals.length === 0 ? [] : write(proposals);
    },
    async unfinished(limit, after) {
      forgetFinished();
      const from = after === undefined ? 0 : (disk.places.get(after) ?? 0);
      const places = (id: TransferId): number => disk.places.get(id)!;
      const waiting = [...disk.undelivered].filter((id) => places(id) > from).sort((one, other) => places(one) - places(other));
      return waiting.slice(0, limit).map((id) => disk.rows.get(id)!);
    },
    async countUnfinished() {
      forgetFinished();
      return disk.undelivered.size;
    },
    hasFinished: (id) => finished.some((delivery) => delivery.id === id && isCurrent(delivery)),
    count: () => disk.rows.size,
    close: forgetFinished,
  };
}
