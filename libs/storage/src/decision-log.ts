// The coordinator's decision log in one SQLite file: one row an id, one transaction and one sync a batch.

import { randomUUID } from 'node:crypto';
import type { StatementSync } from 'node:sqlite';
import type { BankName, DecisionLog, DecisionRow, FinishedDelivery, Proposal, TransferId, TransientReason } from '@strife/two-phase-commit';
import { DECISION_COLUMNS, OUTCOMES, readDecision, reasonOf } from './decision-rows.ts';
import { GATEWAY_STORE } from './decision-schema.ts';
import { FINISHED_BUFFERED_MAX, openDeliveryQueue, type DeliveryQueue } from './delivery-queue.ts';
import { blobToId, hexToBlob, idToBlob, writeId } from './ids.ts';
import { openProcessStarts, type ProcessStarts } from './process-starts.ts';
import { openRevocations, type RevocationStore } from './revocation-store.ts';
import { StoreSchemaError, type StoreFailedError } from './store-error.ts';
import { openStoreFile, type StoreFile } from './store-file.ts';

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
  /** When the gateway's process started. This start is noted. */
  readonly starts: Pick<ProcessStarts, 'since'>;
  /** What was decided about an id, with the newest `limit` of its earlier attempts; undefined for an id that has no row. */
  history(id: TransferId, limit: number): DecisionHistory | undefined;
  /** When the oldest decision that `unfinished` would give was made, in ms; undefined when there is none. Writes nothing, unlike that: for metrics. */
  oldestUnfinishedAtMs(): number | undefined;
  /** Rows in the log. Counts them one by one: for tools and tests, not for the way of a payment. */
  count(): number;
  /** Writes what is buffered, notes the stop, and lets go of the file. Idempotent. */
  close(): void;
}

export interface DecisionHistory {
  readonly row: DecisionRow;
  /** Both banks have acknowledged the row. When is not kept. */
  readonly isDelivered: boolean;
  /** Oldest first. A number that is missing was never begun: a bank's fence was above it. */
  readonly earlier: readonly EarlierAttempt[];
}

/** An abort that the decision about a later attempt took the place of. */
export interface EarlierAttempt {
  readonly attempt: number;
  readonly why: TransientReason;
  readonly createdAtMs: number;
  readonly decidedAtMs: number;
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
  readonly place: number;
}

class SqliteLog implements SqliteDecisionLog {
  readonly logId: string;
  readonly exclusive = true;
  readonly revocations: RevocationStore;
  readonly knownBanks: KnownBanks;
  readonly starts: ProcessStarts;
  readonly #store: StoreFile;
  readonly #nowMs: () => number;
  readonly #mayReplace: DecisionLogOptions['mayReplace'];
  readonly #select: StatementSync;
  readonly #insert: StatementSync;
  readonly #replace: StatementSync;
  readonly #count: StatementSync;
  readonly #keep: StatementSync;
  readonly #earlier: StatementSync;
  readonly #queue: DeliveryQueue;
  /** Of all ids in the log; '' for none. A greater one is not looked for, and a new one that begins with its time (UUIDv7) mostly is greater. */
  #greatest: TransferId;
  /** Statements copy what they are given, so that one is enough for all ids that are looked for. */
  readonly #soughtKey = new Uint8Array(16);

  constructor(store: StoreFile, nowMs: () => number, mayReplace: DecisionLogOptions['mayReplace']) {
    this.logId = store.name;
    this.revocations = openRevocations(store);
    this.knownBanks = openKnownBanks(store);
    this.starts = openProcessStarts(store, nowMs());
    this.#store = store;
    this.#nowMs = nowMs;
    this.#mayReplace = mayReplace;
    this.#select = store.prepareExact(`SELECT ${DECISION_COLUMNS}, seq FROM decisions WHERE id = ?`);
    this.#insert = store.prepare(`
      INSERT INTO decisions (${DECISION_COLUMNS}, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`);
    this.#replace = store.prepare('UPDATE decisions SET attempt = ?, outcome = ?, reason = ?, created_at_ms = ?, decided_at_ms = ? WHERE id = ?');
    this.#queue = openDeliveryQueue(store);
    this.#count = store.prepare('SELECT count(*) FROM decisions');
    // Never a reason to fail: whatever is there for this attempt, the last word counts.
    this.#keep = store.prepare('INSERT OR REPLACE INTO earlier_attempts (id, attempt, why, created_at_ms, decided_at_ms) VALUES (?, ?, ?, ?, ?)');
    this.#earlier = store.prepare('SELECT attempt, why, created_at_ms, decided_at_ms FROM earlier_attempts WHERE id = ? ORDER BY attempt DESC LIMIT ?');
    this.#greatest = greatestId(store);
  }

  async find(ids: readonly TransferId[]): Promise<(DecisionRow | undefined)[]> {
    this.#store.requireUsable();
    const rows: (DecisionRow | undefined)[] = [];
    /** Of those that may be there, their indexes. */
    const sought: number[] = [];
    for (const id of ids) {
      // Outside the read: a malformed id is the caller's mistake, not the end of the store.
      writeId(id, this.#soughtKey);
      if (id <= this.#greatest) sought.push(rows.length);
      rows.push(undefined);
    }
    if (sought.length > 0) this.#store.readTogether(() => {
      for (const index of sought) {
        writeId(ids[index]!, this.#soughtKey);
        rows[index] = this.#load(this.#soughtKey)?.row;
      }
    });
    return rows;
  }

  async decide(proposals: readonly Proposal[], finished: readonly FinishedDelivery[]): Promise<DecisionRow[]> {
    this.#store.requireUsable();
    this.#queue.finish(finished);
    if (proposals.length === 0) {
      if (this.#queue.finished >= FINISHED_BUFFERED_MAX) this.#flushFinished();
      return [];
    }
    const keys = proposals.map(({ id, key }) => key?.id ?? idToBlob(id));
    const nowMs = this.#nowMs();
    return this.#store.write(() => {
      // First: what was noted as finished was compared with the rows as they stood then, and a row of this batch is yet to be delivered.
      this.#queue.forgetFinished();
      const rows = proposals.map((proposal, index) => this.#decideOne(keys[index]!, proposal, nowMs));
      this.#queue.saveAdded();
      return rows;
    });
  }

  async unfinished(limit: number, after?: TransferId): Promise<DecisionRow[]> {
    const afterKey = after === undefined ? undefined : idToBlob(after);
    this.#flushFinished();
    return this.#store.readTogether(() => {
      const place = (afterKey && this.#load(afterKey)?.place) ?? 0;
      return this.#queue.behind(place, limit).map((key) => this.#load(key)!.row);
    });
  }

  async countUnfinished(): Promise<number> {
    this.#flushFinished();
    return this.#store.read(() => this.#queue.count());
  }

  history(id: TransferId, limit: number): DecisionHistory | undefined {
    const key = idToBlob(id);
    return this.#store.read(() => {
      const stored = this.#load(key);
      if (stored === undefined) return undefined;
      const earlier = this.#earlier.all(key, limit) as unknown as [number, TransientReason, number, number][];
      return {
        row: stored.row,
        isDelivered: this.#queue.isDelivered(key, stored.place, stored.row.attempt),
        earlier: earlier.reverse().map(([attempt, why, createdAtMs, decidedAtMs]) => ({ attempt, why, createdAtMs, decidedAtMs })),
      };
    });
  }

  oldestUnfinishedAtMs(): number | undefined {
    return this.#store.read(() => this.#queue.oldestAtMs());
  }

  count(): number {
    return this.#store.read(() => first(this.#count));
  }

  close(): void {
    try {
      if (!this.#store.usable) return;
      this.#flushFinished();
      this.starts.stop(this.#nowMs());
    } finally {
      this.#store.close();
    }
  }

  #load(key: Uint8Array): Placed | undefined {
    const values = this.#select.get(key) as unknown as Parameters<typeof readDecision>[0] | undefined;
    return values && { row: readDecision(values), place: Number(values[values.length - 1]) };
  }

  #decideOne(key: Uint8Array, proposal: Proposal, nowMs: number): DecisionRow {
    const { id, attempt, fingerprint, body, createdAtMs, verdict } = proposal;
    // Nearly every id is new, and is not looked for: the insertion says whether it is.
    if (this.#mayReplace(undefined, proposal)) {
      const place = this.#queue.nextPlace;
      if (this.#insertNew(key, proposal, nowMs, place)) {
        this.#queue.add(key);
        if (id > this.#greatest) this.#greatest = id;
        return { id, attempt, fingerprint, body, createdAtMs, verdict, decidedAtMs: nowMs, place };
      }
    }
    const stored = this.#load(key);
    if (stored === undefined) throw new Error(`the compare-and-set refused attempt ${attempt} of ${id} without a row to obey`);
    if (!this.#mayReplace(stored.row, proposal)) return { ...stored.row, place: stored.place };
    return this.#replaceWith({ id, attempt, fingerprint, body, createdAtMs, verdict, decidedAtMs: nowMs, place: stored.place }, key, stored);
  }

  /** False, and nothing is written, where the id has a row. The values are no array: one a payment cost a twentieth of the insertion. */
  #insertNew(key: Uint8Array, proposal: Proposal, nowMs: number, place: number): boolean {
    const { verdict, body: { from, to, currency, amountMinor, memo } } = proposal;
    return this.#insert.run(
      key, proposal.attempt, proposal.key?.fingerprint ?? hexToBlob(proposal.fingerprint), OUTCOMES[verdict.outcome], reasonOf(verdict),
      from.bank, from.account, to.bank, to.account, currency, amountMinor, memo, proposal.createdAtMs, nowMs, place,
    ).changes === 1;
  }

  /** Only an abort is replaced, by a decision about the same body. */
  #replaceWith(row: DecisionRow, key: Uint8Array, { row: before, place }: Placed): DecisionRow {
    if (before.verdict.outcome === 'aborted') this.#keep.run(key, before.attempt, before.verdict.why, before.createdAtMs, before.decidedAtMs);
    this.#replace.run(row.attempt, OUTCOMES[row.verdict.outcome], reasonOf(row.verdict), row.createdAtMs, row.decidedAtMs, key);
    this.#queue.addAgain(key, place, row.attempt);
    return row;
  }

  #flushFinished(): void {
    if (this.#queue.finished > 0) this.#store.write(() => this.#queue.forgetFinished());
  }
}

function first(statement: StatementSync): number {
  return (statement.get() as unknown as [number])[0];
}

function greatestId(store: StoreFile): TransferId {
  const [blob] = store.prepare('SELECT max(id) FROM decisions').get() as unknown as [Uint8Array | null];
  return blob === null ? '' : blobToId(blob);
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
