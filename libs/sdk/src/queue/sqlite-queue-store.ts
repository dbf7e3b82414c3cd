// The queue in a SQLite file that several processes may have open.

import { createHash } from 'node:crypto';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { FileLock } from './file-lock.ts';
import { changingValues, COLUMNS, toRow, type Columns } from './queue-columns.ts';
import { QueueStorageError } from './queue-errors.ts';
import { isPending } from './queue-rules.ts';
import { isCorruption, openQueueFile, type QueueFile } from './sqlite-queue-file.ts';
import {
  PENDING_STATES,
  type Claim,
  type QueueRow,
  type QueueSelection,
  type QueueStore,
  type QueueUsage,
  type ResultMarks,
  type SetAside,
} from './queue-store.ts';

/** How often it is looked whether another process changed the file; only while somebody watches. Reads a few bytes of shared memory. */
const WATCH_MS = 500;
/** Acknowledged results beyond these are forgotten, the oldest first. */
const ACKNOWLEDGED_KEPT = 1_000;
/** Results beyond these are forgotten even if nobody acknowledged them. */
const RESULTS_KEPT_MAX = 100_000;
/** The largest a file may grow, in pages of 4 KiB: 1 GiB. */
const FILE_PAGES_MAX = 262_144;

const PENDING = `state IN ('${PENDING_STATES.join(`', '`)}')`;

/**
 * Opens the file, or makes it with its directory. A corrupt one gets another name, with nothing deleted, and a new one is begun.
 *
 * @throws QueueStorageError if the file cannot be opened, is not a queue, or is of a newer version
 */
export async function openSqliteQueueStore(file: string, options: { pagesMax?: number } = {}): Promise<QueueStore> {
  const opened = await openQueueFile(file);
  opened.database.exec(`PRAGMA max_page_count = ${options.pagesMax ?? FILE_PAGES_MAX}`);
  return new SqliteStore(opened);
}

class SqliteStore implements QueueStore {
  readonly location: string;
  readonly setAside: SetAside | undefined;
  readonly #file: QueueFile;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #claims = new Map<string, FileLock>();
  /** The payers whose claim is given out here. */
  readonly #held = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #watching: NodeJS.Timeout | undefined;
  #dataVersion: unknown;
  #isClosed = false;

  constructor(file: QueueFile) {
    this.location = file.path;
    this.setAside = file.setAside;
    this.#file = file;
    this.#database = file.database;
  }

  async add(row: QueueRow, admit: (usage: QueueUsage) => void): Promise<QueueRow> {
    return this.#write(() => {
      const [known] = this.#select({ ids: [row.id] });
      if (known) return known;
      admit(this.#usage(row.amount.currency));
      this.#run(
        `INSERT INTO payments (id, payer, payee, currency, amount_minor, memo, created_at_ms, expires_at_ms, state, attempts,
           unanswered, problem_code, problem_message, transfer, bad_answers)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        [row.id, row.from, row.to, row.amount.currency, row.amount.minorUnits, row.memo, row.createdAt.getTime(),
          row.expiresAt?.getTime() ?? null, ...changingValues(row)],
      );
      return row;
    });
  }

  async list(selection: QueueSelection): Promise<QueueRow[]> {
    return this.#read(() => this.#select(selection));
  }

  async payers(): Promise<string[]> {
    return this.#read(() => this.#all(`SELECT DISTINCT payer FROM payments WHERE ${PENDING}`, []).map((row) => String(row['payer'])));
  }

  async nextExpiry(): Promise<Date | undefined> {
    const sql = `SELECT min(expires_at_ms) AS next FROM payments WHERE ${PENDING} AND expires_at_ms IS NOT NULL AND unanswered = 0`;
    const next = this.#read(() => this.#all(sql, [])[0]?.['next']);
    return next === null || next === undefined ? undefined : new Date(Number(next));
  }

  async change(selection: QueueSelection, rule: (rows: readonly QueueRow[]) => readonly QueueRow[]): Promise<QueueRow[]> {
    return this.#write(() => {
      const changed = rule(this.#select(selection));
      let { last } = this.#marks();
      const firstNew = last;
      const written = changed.map((row) => {
        const numbered = isPending(row.state) || row.resultSeq !== undefined ? row : { ...row, resultSeq: ++last };
        this.#run(
          `UPDATE payments SET state = ?, attempts = ?, unanswered = ?, problem_code = ?, problem_message = ?, transfer = ?,
             bad_answers = ?, result_seq = ? WHERE id = ?`,
          [...changingValues(numbered), numbered.resultSeq ?? null, row.id],
        );
        return numbered;
      });
      if (last > firstNew) {
        this.#run('UPDATE marks SET last = ?', [last]);
        this.#forget();
      }
      return written;
    });
  }

  async remove(id: string, check: (row: QueueRow) => void): Promise<void> {
    this.#write(() => {
      const [row] = this.#select({ ids: [id] });
      if (!row) return;
      check(row);
      this.#run('DELETE FROM payments WHERE id = ?', [id]);
    });
  }

  async results(seq: number, limit: number): Promise<QueueRow[]> {
    const sql = `SELECT ${COLUMNS} FROM payments WHERE result_seq > ? ORDER BY result_seq LIMIT ?`;
    return this.#read(() => this.#all(sql, [seq, limit]).map(toRow));
  }

  async marks(): Promise<ResultMarks> {
    return this.#read(() => this.#marks());
  }

  async acknowledge(seq: number): Promise<void> {
    this.#write(() => {
      this.#run('UPDATE marks SET acknowledged = max(acknowledged, min(?, last))', [seq]);
      this.#forget();
    });
  }

  async claim(payer: string): Promise<Claim | undefined> {
    return this.#guarded('QUEUE_UNREADABLE', 'the right to deliver cannot be taken', () => {
      let lock = this.#claims.get(payer);
      if (!lock) {
        const digest = createHash('sha256').update(payer).digest('hex').slice(0, 16);
        lock = new FileLock(`${this.location}.owner-${digest}`);
        this.#claims.set(payer, lock);
      }
      const taken = lock;
      if (this.#held.has(payer) || !taken.tryTake('exclusive')) return undefined;
      this.#held.add(payer);
      let isReleased = false;
      return {
        release: () => {
          if (isReleased) return;
          isReleased = true;
          this.#held.delete(payer);
          taken.release();
        },
      };
    });
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (!this.#watching) {
      this.#dataVersion = this.#currentDataVersion();
      this.#watching = setInterval(() => this.#look(), WATCH_MS).unref();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stopWatching();
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopWatching();
    for (const lock of this.#claims.values()) lock.close();
    this.#file.close();
  }

  #stopWatching(): void {
    clearInterval(this.#watching);
    this.#watching = undefined;
  }

  /** SQLite's own counter: it differs after a commit of any other connection. */
  #look(): void {
    const dataVersion = this.#currentDataVersion();
    if (dataVersion === this.#dataVersion) return;
    this.#dataVersion = dataVersion;
    this.#notify();
  }

  #currentDataVersion(): unknown {
    try {
      return this.#statement('PRAGMA data_version').get()?.['data_version'];
    } catch {
      // Whoever reads next is told what is wrong.
      return this.#dataVersion;
    }
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  #read<T>(work: () => T): T {
    return this.#guarded('QUEUE_UNREADABLE', 'the queue cannot be read', work);
  }

  #write<T>(work: () => T): T {
    const result = this.#guarded('QUEUE_NOT_SAVED', 'nothing was saved in the queue', () => {
      this.#statement('BEGIN IMMEDIATE').run();
      let step: 'work' | 'commit' = 'work';
      try {
        const done = work();
        step = 'commit';
        this.#statement('COMMIT').run();
        return done;
      } catch (error) {
        this.#rollBack();
        throw step === 'commit' && isDiskFailure(error) ? new UncertainCommit(error) : error;
      }
    });
    this.#notify();
    return result;
  }

  #rollBack(): void {
    try {
      this.#statement('ROLLBACK').run();
    } catch {
      // SQLite rolled back by itself, as it does when the disk is full.
    }
  }

  #guarded<T>(code: string, what: string, work: () => T): T {
    if (this.#isClosed) throw this.#error('QUEUE_CLOSED', 'the queue is closed', undefined);
    try {
      return work();
    } catch (error) {
      if (error instanceof UncertainCommit) {
        throw this.#error('QUEUE_SAVE_UNCERTAIN', 'the disk failed; it is not known whether the queue was saved', error.cause);
      }
      if ((error as { code?: unknown }).code !== 'ERR_SQLITE_ERROR') throw error;
      if (isCorruption(error)) throw this.#error('QUEUE_CORRUPT', 'the queue is corrupt; open it again to set it aside', error);
      throw this.#error(code, what, error);
    }
  }

  #error(code: string, what: string, cause: unknown): QueueStorageError {
    const why = cause instanceof Error || hasMessage(cause) ? `: ${cause.message}` : '';
    return new QueueStorageError(this.location, `${what}${why} (${this.location})`, { code, cause });
  }

  #select({ ids, payer, states, limit }: QueueSelection): QueueRow[] {
    const conditions: string[] = [];
    const values: SQLInputValue[] = [];
    if (ids) {
      conditions.push('id IN (SELECT value FROM json_each(?))');
      values.push(JSON.stringify(ids));
    }
    if (payer !== undefined) {
      conditions.push('payer = ?');
      values.push(payer);
    }
    // States are words of this program. Written out, they let SQLite use the indexes of what is pending.
    if (states) conditions.push(`state IN ('${states.join(`', '`)}')`);
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
    return this.#all(`SELECT ${COLUMNS} FROM payments ${where} ORDER BY position LIMIT ?`, [...values, limit ?? -1]).map(toRow);
  }

  #usage(currency: string): QueueUsage {
    const [all] = this.#all(`SELECT count(*) AS payments FROM payments WHERE ${PENDING}`, []);
    const [own] = this.#all(`SELECT coalesce(sum(amount_minor), 0) AS total FROM payments WHERE ${PENDING} AND currency = ?`, [currency]);
    return { payments: Number(all?.['payments']), total: { currency, minorUnits: own?.['total'] as bigint } };
  }

  #marks(): ResultMarks {
    const [marks] = this.#all('SELECT last, acknowledged FROM marks', []);
    return { last: Number(marks?.['last']), acknowledged: Number(marks?.['acknowledged']) };
  }

  /** A payment that was set aside waits for a person, and is kept. */
  #forget(): void {
    const { last, acknowledged } = this.#marks();
    const oldest = Math.max(Math.min(acknowledged, last - ACKNOWLEDGED_KEPT), last - RESULTS_KEPT_MAX);
    if (oldest > 0) this.#run(`DELETE FROM payments WHERE result_seq <= ? AND state <> 'failed'`, [oldest]);
  }

  #run(sql: string, values: SQLInputValue[]): void {
    this.#statement(sql).run(...values);
  }

  #all(sql: string, values: SQLInputValue[]): Columns[] {
    return this.#statement(sql).all(...values) as Columns[];
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      // Amounts are 64 bits.
      statement.setReadBigInts(true);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** The disk failed while a transaction was made durable: SQLite took it back, but it may be found in the log after a crash. */
class UncertainCommit extends Error {
  constructor(cause: unknown) {
    super('uncertain', { cause });
  }
}

const SQLITE_IOERR = 10;

function isDiskFailure(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_IOERR;
}

function hasMessage(value: unknown): value is { message: string } {
  return typeof value === 'object' && value !== null && 'message' in value;
}
