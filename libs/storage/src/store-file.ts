// One SQLite file with one owner: opening, checking, migrating, and transactions that end the store when they fail.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { openCheckpointer, type Checkpointer } from './checkpointer.ts';
import { openLogHold, type LogHold } from './log-hold.ts';
import { openStoreMark, requireUnmarked, type StoreMark } from './store-mark.ts';
import { StoreError, StoreFailedError, StoreLockedError, StoreSchemaError, isBusy, openingError } from './store-error.ts';
import { resyncAfterCrash } from './wal-resync.ts';

/** How long opening waits for readers, such as an audit, to let go. */
const BUSY_TIMEOUT_MS = 5_000;
/**
 * Of a new file; SQLite's own. With half of it a log takes fewer bytes and more system calls, with twice of it too many bytes where each payment dirties
 * an account's page of its own.
 */
const PAGE_BYTES = 4096;
/** The log is copied into the main file once it has grown by so much: fewer, larger checkpoints. */
const WAL_CHECKPOINT_BYTES = 64 * 1024 * 1024;
/** What is left of it when the owner copies the rest. */
const WAL_REST_BYTES = 1024 * 1024;
/** What is kept of the log's file after a checkpoint. */
const WAL_KEPT_BYTES = 128 * 1024 * 1024;
/**
 * Holds the inner pages of the trees over ten million accounts, and the newest pages of legs and entries. More would be memory of this process for
 * what the system caches anyway.
 */
const PAGE_CACHE_KIB = 32 * 1024;

/** What one kind of store is: its mark in the file, and its schema as a list of steps, only ever appended to. */
export interface StoreKind {
  /** For messages: "bank store". */
  readonly title: string;
  /** SQLite's `application_id`. */
  readonly applicationId: number;
  /** Step n takes the schema from version n to n + 1. */
  readonly migrations: readonly string[];
}

export interface StoreFileOptions {
  /** Made, with its directory, when missing. */
  readonly file: string;
  readonly kind: StoreKind;
  /** What a new file is named; an existing file must have this name, unless it is `nameIfNew`. */
  readonly name: { readonly required: string } | { readonly ifNew: string };
  /** Told once, when a write or read failed and the store is dead: log it and end the process. */
  readonly onFatal: (error: StoreFailedError) => void;
}

/** An open store: exclusively owned by this process until closed or until the process dies. */
export interface StoreFile {
  readonly path: string;
  /** The name inside the file. */
  readonly name: string;
  /** False once it failed or was closed. */
  readonly usable: boolean;
  prepare(sql: string): StatementSync;
  /** As `prepare`, with every integer read as a bigint: for rows that hold money. */
  prepareExact(sql: string): StatementSync;
  /** Runs reads. Any failure ends the store, as in `write`. */
  read<T>(work: () => T): T;
  /** As `read`, of one state of the store, and not inside a `write`. From a few reads on it is cheaper: each alone would take a lock of its own. */
  readTogether<T>(work: () => T): T;
  /**
   * Runs `work` as one transaction and returns once it is synced to disk. Any failure, of `work` or of the disk, ends the store:
   * `onFatal` is told and everything after throws StoreFailedError.
   */
  write<T>(work: () => T): T;
  /** Throws what any use of a failed or closed store throws. */
  requireUsable(): void;
  /** Idempotent. Copies the log into the main file and removes it, unless the store failed: then both stay as they are. */
  close(): void;
}

/**
 * Opens or creates, and returns what `use` makes of the open store; lets go of it when `use` throws.
 * Throws StoreLockedError, StoreSchemaError, StoreRolledBackError or another StoreError.
 */
export function openStoreFile<T>(options: StoreFileOptions, use: (store: StoreFile) => T): T {
  const { kind, name } = options;
  const expected = describe(kind, 'required' in name ? name.required : undefined);
  const path = resolvePath(options.file, expected);
  const unlock = lock(path, expected);
  let database: DatabaseSync | undefined;
  let mark: StoreMark | undefined;
  let hold: LogHold | undefined;
  try {
    if (!existsSync(path)) {
      requireUnmarked(path);
      create(path, kind, 'required' in name ? name.required : name.ifNew);
    } else if (isMarkedAs(path, kind)) {
      resyncAfterCrash(path);
    }
    hold = openLogHold(path);
    database = connect(path, kind, name);
    hold.begin();
    mark = openStoreMark(path, database);
    return use(new OwnedStoreFile({ path, name: storedName(database), database, mark, hold, unlock, onFatal: options.onFatal }));
  } catch (error) {
    mark?.abandon();
    if (database?.isOpen === true) database.close();
    hold?.release();
    unlock();
    throw openingError(path, error, expected);
  }
}

/**
 * Checks that an open database is a store of this kind, name and a schema version that this program knows; returns the version.
 * Throws StoreSchemaError.
 */
export function checkIdentity(database: DatabaseSync, path: string, kind: StoreKind, requiredName?: string): number {
  const expected = describe(kind, requiredName);
  const applicationId = pragma(database, 'application_id');
  if (applicationId !== kind.applicationId) {
    const other = STORE_MARK === applicationId >>> 16 ? 'another kind of Strife store' : 'not a Strife store';
    throw new StoreSchemaError(path, `${other} (application id ${applicationId})`, expected);
  }
  const version = pragma(database, 'user_version');
  if (version < 1 || version > kind.migrations.length) {
    const newer = version > kind.migrations.length ? ', made by a newer program' : '';
    throw new StoreSchemaError(path, `at schema version ${version}${newer}`, `version ${kind.migrations.length} or older`);
  }
  const found = storedName(database);
  if (requiredName !== undefined && found !== requiredName) throw new StoreSchemaError(path, describe(kind, found), expected);
  return version;
}

/** Whether the file itself says so: until then it may be another program's, which may be writing it. From SQLite's file format, "the database header". */
function isMarkedAs(path: string, kind: StoreKind): boolean {
  const field = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    return readSync(file, field, 0, field.length, APPLICATION_ID_AT) === field.length && field.readUInt32BE() === kind.applicationId;
  } finally {
    closeSync(file);
  }
}

const APPLICATION_ID_AT = 68;

/** The first two bytes of every Strife store's application id: "St". */
const STORE_MARK = 0x5374;

interface Owned {
  readonly path: string;
  readonly name: string;
  readonly database: DatabaseSync;
  readonly mark: StoreMark;
  readonly hold: LogHold;
  readonly unlock: () => void;
  readonly onFatal: (error: StoreFailedError) => void;
}

class OwnedStoreFile implements StoreFile {
  readonly path: string;
  readonly name: string;
  readonly #database: DatabaseSync;
  readonly #mark: StoreMark;
  readonly #hold: LogHold;
  readonly #unlock: () => void;
  readonly #onFatal: (error: StoreFailedError) => void;
  readonly #checkpointer: Checkpointer;
  readonly #begin: StatementSync;
  readonly #beginReading: StatementSync;
  readonly #commit: StatementSync;
  #state: 'open' | 'failed' | 'closed' = 'open';
  #failure: StoreFailedError | undefined;

  constructor({ path, name, database, mark, hold, unlock, onFatal }: Owned) {
    this.path = path;
    this.name = name;
    this.#database = database;
    this.#mark = mark;
    this.#hold = hold;
    this.#unlock = unlock;
    this.#onFatal = onFatal;
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#beginReading = database.prepare('BEGIN');
    this.#commit = database.prepare('COMMIT');
    // An older program may have made the file with pages of another size.
    const pageBytes = pragma(database, 'page_size');
    this.#checkpointer = openCheckpointer({
      path, database, everyPages: WAL_CHECKPOINT_BYTES / pageBytes, shortPages: WAL_REST_BYTES / pageBytes, onFailure: (error) => void this.#fail('copying the log', error),
    });
  }

  get usable(): boolean {
    return this.#state === 'open';
  }

  prepare(sql: string): StatementSync {
    const statement = this.#database.prepare(sql);
    statement.setReturnArrays(true);
    return statement;
  }

  prepareExact(sql: string): StatementSync {
    const statement = this.prepare(sql);
    statement.setReadBigInts(true);
    return statement;
  }

  read<T>(work: () => T): T {
    this.requireUsable();
    try {
      return work();
    } catch (error) {
      throw this.#fail('reading', error);
    }
  }

  readTogether<T>(work: () => T): T {
    return this.read(() => {
      this.#beginReading.run();
      const result = work();
      this.#commit.run();
      return result;
    });
  }

  write<T>(work: () => T): T {
    this.requireUsable();
    try {
      this.#begin.run();
      const result = work();
      this.#mark.beforeCommit();
      this.#commit.run();
      this.#mark.afterCommit();
      this.#checkpointer.afterCommit();
      return result;
    } catch (error) {
      throw this.#fail('writing', error);
    }
  }

  close(): void {
    if (this.#state === 'closed') return;
    const isWhole = this.#state === 'open';
    this.#state = 'closed';
    let isMarked = false;
    try {
      if (isWhole) this.#mark.close();
      else this.#mark.abandon();
      isMarked = isWhole;
    } finally {
      try {
        // Of a store that failed the log stays: only a start can tell what of it is safe.
        if (this.#checkpointer.close() && isMarked) this.#hold.release();
        this.#database.close();
      } finally {
        this.#hold.release();
        this.#unlock();
      }
    }
  }

  requireUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#state === 'closed') throw new StoreError(this.path, 'is closed');
  }

  #fail(doing: string, cause: unknown): StoreFailedError {
    // An inner read of a failed write has told already.
    if (this.#failure !== undefined) return this.#failure;
    const detail = cause instanceof Error ? cause.message : String((cause as { message?: unknown })?.message ?? cause);
    this.#failure = new StoreFailedError(this.path, `failed in ${doing}: ${detail}`, { cause });
    this.#state = 'failed';
    this.#onFatal(this.#failure);
    return this.#failure;
  }
}

/** Absolute and without symbolic links, so that one store has one lock; makes the directory. */
function resolvePath(file: string, expected: string): string {
  const absolute = resolve(file);
  try {
    mkdirSync(dirname(absolute), { recursive: true });
    if (existsSync(absolute)) {
      const path = realpathSync(absolute);
      const stats = statSync(path);
      if (!stats.isFile()) throw new StoreError(path, 'is not a regular file');
      // Stores come into being whole (see `create`), so an empty file has lost its contents or was never one.
      if (stats.size === 0) throw new StoreSchemaError(path, 'empty', `${expected}; remove the file to start a new one`);
      return path;
    }
    return join(realpathSync(dirname(absolute)), basename(absolute));
  } catch (error) {
    throw openingError(absolute, error, expected);
  }
}

/**
 * Takes ownership: an exclusive transaction on a database of its own beside the store, never written and never committed. The
 * operating system drops it with the process, however that dies, and readers of the store itself are not in its way.
 */
function lock(path: string, expected: string): () => void {
  const lockPath = `${path}.lock`;
  let holder: DatabaseSync | undefined;
  try {
    holder = new DatabaseSync(lockPath, { timeout: 0 });
    holder.exec('BEGIN EXCLUSIVE');
    const held = holder;
    return () => held.close();
  } catch (error) {
    holder?.close();
    throw isBusy(error) ? new StoreLockedError(path) : openingError(lockPath, error, expected);
  }
}

/** Makes a complete store under another name and moves it into place, so that a crash leaves a whole one or none. */
function create(path: string, kind: StoreKind, name: string): void {
  const draft = `${path}.new`;
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(draft + suffix, { force: true });
  const database = new DatabaseSync(draft);
  try {
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA synchronous = FULL`);
    database.exec(`PRAGMA application_id = ${kind.applicationId}`);
    database.exec('CREATE TABLE identity (only INTEGER PRIMARY KEY CHECK (only = 1), name TEXT NOT NULL) STRICT');
    database.prepare('INSERT INTO identity (only, name) VALUES (1, ?)').run(name);
    migrate(database, kind, 0);
  } finally {
    database.close();
  }
  // No store is here, so what a removed one left beside it is not this one's log.
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
  renameSync(draft, path);
  syncDirectory(dirname(path));
}

function connect(path: string, kind: StoreKind, name: StoreFileOptions['name']): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    const version = checkIdentity(database, path, kind, 'required' in name ? name.required : undefined);
    const [mode] = Object.values(database.prepare('PRAGMA journal_mode = WAL').get() ?? {});
    if (mode !== 'wal') throw new StoreError(path, `cannot use a write-ahead log here (journal mode is ${String(mode)})`);
    // SQLite's own checkpoints tell nobody when they fail.
    database.exec(`
      PRAGMA wal_autocheckpoint = 0;
      PRAGMA synchronous = FULL;
      PRAGMA journal_size_limit = ${WAL_KEPT_BYTES};
      PRAGMA cache_size = -${PAGE_CACHE_KIB};
      PRAGMA temp_store = MEMORY;
      PRAGMA trusted_schema = OFF;
    `);
    migrate(database, kind, version);
    requireWritable(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Each step is one transaction with its version number, so a crash in between leaves a version that exists. */
function migrate(database: DatabaseSync, kind: StoreKind, from: number): void {
  for (let version = from; version < kind.migrations.length; version++) {
    database.exec(`BEGIN IMMEDIATE; ${kind.migrations[version]}; PRAGMA user_version = ${version + 1}; COMMIT`);
  }
}

/** A read-only file and a full disk are found at start, not at the first payment. */
function requireWritable(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE; UPDATE identity SET name = name; COMMIT');
}

function storedName(database: DatabaseSync): string {
  return String(database.prepare('SELECT name FROM identity').get()?.['name']);
}

function pragma(database: DatabaseSync, name: 'application_id' | 'user_version' | 'page_size'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function describe(kind: StoreKind, name?: string): string {
  return name === undefined ? `a ${kind.title}` : `the ${kind.title} of ${JSON.stringify(name)}`;
}
