// The coordinator's decision log in one SQLite file: one row an id, one transaction and one sync a batch.

import { randomUUID } from 'node:crypto';
import type { StatementSync } from 'node:sqlite';
import type { BankName, DecisionLog, DecisionRow, Proposal, TransferId } from '@strife/two-phase-commit';
import { DECISION_COLUMNS, decisionValues, readDecision } from './decision-rows.ts';
import { GATEWAY_STORE } from './decision-schema.ts';
import { idToBlob } from './ids.ts';
import { openRevocations, type RevocationStore } from './revocation-store.ts';
import { StoreSchemaError, type StoreFailedError } from './store-error.ts';
import { openStoreFile, type StoreFile } from './store-file.ts';

/** So many finished deliveries wait, at most, for a batch to ride with. Losing them in a crash only repeats deliveries. */
export const FINISHED_BUFFERED_MAX = 10_000;

export interface DecisionLogOptions {
  readonly file: string;
  /** What an existing file must be called and a new one is; without it a new file gets a random UUID. */
  readonly logId?: string;
  /** The gateway whose log it is: a new file is called `<gateway>.<random UUID>`, and an existing one must begin so. */
  readonly gateway?: string;
  readonly nowMs: () => number;
  /** The protocol's compare-and-set. */
  readonly mayReplace: (row: DecisionRow | undefined, proposal: Proposal) => boolean;
  /** Told once, when the store has failed: log it and end the process. */
  readonly onFatal: (error: StoreFailedError) => void;
}

/**
 * Every method does its work before it returns; the promises are the port's. They reject, with StoreFailedError, only when the
 * store has failed: then it is not known what became durable, and nothing may be answered.
 */
export interface SqliteDecisionLog extends DecisionLog {
  readonly revocations: RevocationStore;
  readonly knownBanks: KnownBanks;
  /** Rows in the log. Counts them one by one: for tools and tests, not for the way of a payment. */
  count(): number;
  /** Writes what is buffered and lets go of the file. Idempotent. */
  close(): void;
}

/** The names of all banks that this gateway ever met: what tells a bank that is down from one that does not exist. */
export interface KnownBanks {
  has(bank: BankName): boolean;
  /** Durable on return; writes only a new name. */
  add(bank: BankName): void;
}

/** Opens or creates. Throws StoreLockedError, StoreSchemaError or another StoreError. */
export function openDecisionLog(options: DecisionLogOptions): SqliteDecisionLog {
  const { file, gateway, onFatal, nowMs, mayReplace } = options;
  const owner = gateway === undefined ? '' : `${gateway}.`;
  const name = options.logId === undefined ? { ifNew: `${owner}${randomUUID()}` } : { required: options.logId };
  return openStoreFile({ file, kind: GATEWAY_STORE, name, onFatal }, (store) => {
    if (!store.name.startsWith(owner)) throw new StoreSchemaError(file, `the log ${store.name}`, `a log of gateway ${gateway}`);
    return new SqliteLog(store, nowMs, mayReplace);
  });
}

/** A decision with the id's place in the queue of deliveries. */
interface Placed {
  readonly row: DecisionRow;
  readonly seq: number;
}

class SqliteLog implements SqliteDecisionLog {
  readonly logId: string;
  readonly exclusive = true;
  readonly revocations: RevocationStore;
  readonly knownBanks: KnownBanks;
  readonly #store: StoreFile;
  readonly #nowMs: () => number;
  readonly #mayReplace: DecisionLogOptions['mayReplace'];
  readonly #select: StatementSync;
  readonly #upsert: StatementSync;
  readonly #enqueue: StatementSync;
  readonly #dequeue: StatementSync;
  readonly #saveNextSeq: StatementSync;
  readonly #page: StatementSync;
  readonly #count: StatementSync;
  #finished: Buffer[] = [];
  #nextSeq: number;

  constructor(store: StoreFile, nowMs: () => number, mayReplace: DecisionLogOptions['mayReplace']) {
    this.logId = store.name;
    this.revocations = openRevocations(store);
    this.knownBanks = openKnownBanks(store);
    this.#store = store;
    this.#nowMs = nowMs;
    this.#mayReplace = mayReplace;
    this.#select = store.prepareExact(`SELECT ${DECISION_COLUMNS}, seq FROM decisions WHERE id = ?`);
    this.#upsert = store.prepare(`
      INSERT INTO decisions (${DECISION_COLUMNS}, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET attempt = excluded.attempt, outcome = excluded.outcome, reason = excluded.reason,
        created_at_ms = excluded.created_at_ms, decided_at_ms = excluded.decided_at_ms`);
    this.#enqueue = store.prepare('INSERT OR REPLACE INTO undelivered (seq, id) VALUES (?, ?)');
    this.#dequeue = store.prepare('DELETE FROM undelivered WHERE seq = (SELECT seq FROM decisions WHERE id = ?)');
    this.#saveNextSeq = store.prepare('UPDATE sequence SET next = ?');
    this.#page = store.prepareExact(`
      SELECT ${DECISION_COLUMNS.split(', ').map((column) => `d.${column}`).join(', ')}
      FROM undelivered u JOIN decisions d ON d.id = u.id
      WHERE u.seq > coalesce((SELECT seq FROM decisions WHERE id = ?), 0) ORDER BY u.seq LIMIT ?`);
    this.#count = store.prepare('SELECT count(*) FROM decisions');
    this.#nextSeq = first(store.prepare('SELECT next FROM sequence'));
  }

  async find(ids: readonly TransferId[]): Promise<(DecisionRow | undefined)[]> {
    // Outside the read: a malformed id is the caller's mistake, not the end of the store.
    const keys = ids.map(idToBlob);
    return this.#store.read(() => keys.map((key) => this.#load(key)?.row));
  }

  async decide(proposals: readonly Proposal[], finished: readonly TransferId[]): Promise<DecisionRow[]> {
    this.#store.requireUsable();
    for (const id of finished) this.#finished.push(idToBlob(id));
    if (proposals.length === 0) {
      if (this.#finished.length >= FINISHED_BUFFERED_MAX) this.#flushFinished();
      return [];
    }
    const keys = proposals.map(({ id }) => idToBlob(id));
    const nowMs = this.#nowMs();
    return this.#store.write(() => {
      // First, because `finished` speaks of rows that earlier batches wrote: a row of this batch is yet to be delivered.
      this.#forgetFinished();
      const firstSeq = this.#nextSeq;
      const rows = proposals.map((proposal, index) => this.#decideOne(keys[index]!, proposal, nowMs));
      if (this.#nextSeq !== firstSeq) this.#saveNextSeq.run(this.#nextSeq);
      return rows;
    });
  }

  async unfinished(limit: number, after?: TransferId): Promise<DecisionRow[]> {
    const afterKey = after === undefined ? null : idToBlob(after);
    this.#flushFinished();
    const rows = this.#store.read(() => this.#page.all(afterKey, limit));
    return (rows as unknown as Parameters<typeof readDecision>[0][]).map(readDecision);
  }

  count(): number {
    return this.#store.read(() => first(this.#count));
  }

  close(): void {
    try {
      if (this.#store.usable) this.#flushFinished();
    } finally {
      this.#store.close();
    }
  }

  #load(id: Buffer): Placed | undefined {
    const values = this.#select.get(id) as unknown as Parameters<typeof readDecision>[0] | undefined;
    return values && { row: readDecision(values), seq: Number(values[values.length - 1]) };
  }

  #decideOne(id: Buffer, proposal: Proposal, nowMs: number): DecisionRow {
    const stored = this.#load(id);
    if (!this.#mayReplace(stored?.row, proposal)) {
      if (stored === undefined) throw new Error(`the compare-and-set refused attempt ${proposal.attempt} of ${proposal.id} without a row to obey`);
      return stored.row;
    }
    const { attempt, fingerprint, body, createdAtMs, verdict } = proposal;
    const row: DecisionRow = { id: proposal.id, attempt, fingerprint, body, createdAtMs, verdict, decidedAtMs: nowMs };
    // An id keeps its place in the queue through all its attempts, so that paging by id misses nothing.
    const seq = stored?.seq ?? this.#nextSeq++;
    this.#upsert.run(id, ...decisionValues(row), seq);
    this.#enqueue.run(seq, id);
    return row;
  }

  #flushFinished(): void {
    if (this.#finished.length > 0) this.#store.write(() => this.#forgetFinished());
  }

  #forgetFinished(): void {
    for (const id of this.#finished) this.#dequeue.run(id);
    this.#finished = [];
  }
}

function first(statement: StatementSync): number {
  return (statement.get() as unknown as [number])[0];
}

function openKnownBanks(store: StoreFile): KnownBanks {
  const insert = store.prepare('INSERT INTO known_banks (name) VALUES (?)');
  const rows = store.prepare('SELECT name FROM known_banks').all() as unknown as [string][];
  const names = new Set(rows.map(([name]) => name));
  return {
    has: (bank) => names.has(bank),
    add(bank) {
      if (names.has(bank)) return;
      store.write(() => insert.run(bank));
      names.add(bank);
    },
  };
}
