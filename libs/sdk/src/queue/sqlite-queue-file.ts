// Opens the queue's SQLite file: makes it, upgrades it, and sets it aside when it is corrupt. Nothing is ever deleted.
//
// Everyone who has the file open shares `<file>.lock`; whoever makes, upgrades or sets aside has it alone. So nobody's file is changed
// or moved from under them.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, realpathSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileLock } from './file-lock.ts';
import { QueueStorageError } from './queue-errors.ts';
import type { SetAside } from './queue-store.ts';

/** SQLite's `application_id`: "StQu". */
export const APPLICATION_ID = 0x53745175;
/** How long opening waits for another process that makes or upgrades the file, or uses one that must be upgraded. */
const LOCK_WAIT_MS = 3_000;
const LOCK_RETRY_MS = 25;
/** How long a write waits for another process's write. */
const BUSY_TIMEOUT_MS = 2_000;

const PENDING = `state IN ('queued', 'sending', 'needs-login')`;

/** Step n takes the schema from version n to n + 1. Only ever appended to. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE payments (
     position INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     payer TEXT NOT NULL,
     payee TEXT NOT NULL,
     currency TEXT NOT NULL,
     amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
     memo TEXT NOT NULL,
     created_at_ms INTEGER NOT NULL,
     expires_at_ms INTEGER,
     state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'needs-login', 'done', 'declined', 'expired', 'failed')),
     attempts INTEGER NOT NULL,
     unanswered INTEGER NOT NULL CHECK (unanswered IN (0, 1)),
     problem_code TEXT,
     problem_message TEXT,
     transfer TEXT
   ) STRICT;
   CREATE INDEX payments_pending ON payments (payer, position) WHERE ${PENDING};`,
  // Results in the order in which they came, and how far they were acknowledged.
  `ALTER TABLE payments ADD COLUMN result_seq INTEGER;
   ALTER TABLE payments ADD COLUMN bad_answers INTEGER NOT NULL DEFAULT 0;
   UPDATE payments SET result_seq = ranked.rank
     FROM (SELECT position, row_number() OVER (ORDER BY position) AS rank FROM payments WHERE NOT ${PENDING}) AS ranked
     WHERE payments.position = ranked.position;
   CREATE UNIQUE INDEX payments_results ON payments (result_seq) WHERE result_seq IS NOT NULL;
   CREATE INDEX payments_totals ON payments (currency, amount_minor) WHERE ${PENDING};
   CREATE INDEX payments_expiries ON payments (expires_at_ms) WHERE ${PENDING} AND expires_at_ms IS NOT NULL AND unanswered = 0;
   CREATE TABLE marks (only INTEGER PRIMARY KEY CHECK (only = 1), last INTEGER NOT NULL, acknowledged INTEGER NOT NULL) STRICT;
   INSERT INTO marks (only, last, acknowledged) SELECT 1, coalesce(max(result_seq), 0), 0 FROM payments;`,
];

export interface QueueFile {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly database: DatabaseSync;
  /** Set if there was a corrupt file in this place, which has another name now. */
  readonly setAside: SetAside | undefined;
  close(): void;
}

/** Opens or makes the file. Throws QueueStorageError. */
export async function openQueueFile(file: string): Promise<QueueFile> {
  const path = preparePath(file);
  const lock = orCannotOpen(path, () => new FileLock(`${path}.lock`));
  let setAside: SetAside | undefined;
  try {
    for (;;) {
      await take(lock, 'shared', path);
      const found = inspect(path);
      if (found.kind === 'ready') {
        const database = orCannotOpen(path, () => connect(path));
        return { path, database, setAside, close: () => closeBoth(database, lock) };
      }
      lock.release();
      await take(lock, 'exclusive', path);
      setAside = repair(path) ?? setAside;
      lock.release();
    }
  } catch (error) {
    lock.close();
    throw error;
  }
}

function closeBoth(database: DatabaseSync, lock: FileLock): void {
  try {
    database.close();
  } finally {
    lock.close();
  }
}

type Found =
  | { kind: 'ready' }
  /** Not made yet, or of an older version. */
  | { kind: 'old'; version: number }
  | { kind: 'corrupt'; reason: string };

/** Changes nothing. Throws for what is none of these: somebody else's file, a newer version, a disk that fails. */
function inspect(path: string): Found {
  const isEmpty = !existsSync(path) || statSync(path).size === 0;
  if (isEmpty && existsSync(`${path}-wal`) && statSync(`${path}-wal`).size > 0) {
    return { kind: 'corrupt', reason: 'the file is empty, but its log is not' };
  }
  if (isEmpty) return { kind: 'old', version: 0 };
  // Read-only: whoever closes a file last writes its log into it otherwise, also into a corrupt one.
  const database = orCannotOpen(path, () => new DatabaseSync(path, { readOnly: true }));
  try {
    return check(path, database);
  } catch (error) {
    if (isCorruption(error)) return { kind: 'corrupt', reason: (error as Error).message };
    throw cannotOpen(path, error);
  } finally {
    database.close();
  }
}

function check(path: string, database: DatabaseSync): Found {
  database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  const version = pragma(database, 'user_version');
  const applicationId = pragma(database, 'application_id');
  if (applicationId !== APPLICATION_ID) {
    const isBlank = applicationId === 0 && version === 0 && pragma(database, 'schema_version') === 0;
    if (isBlank) return { kind: 'old', version: 0 };
    throw refused(path, 'QUEUE_FOREIGN_FILE', 'the file is not a queue of payments; it was left as it is');
  }
  if (version > MIGRATIONS.length) {
    const versions = `it has version ${version}, and this program knows versions up to ${MIGRATIONS.length}`;
    throw refused(path, 'QUEUE_NEWER_VERSION', `the queue was made by a newer program: ${versions}`);
  }
  const [finding] = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {});
  if (finding !== 'ok') return { kind: 'corrupt', reason: String(finding).replaceAll('\n', ' ') };
  return version < MIGRATIONS.length ? { kind: 'old', version } : { kind: 'ready' };
}

/** With the lock for itself: makes, upgrades or sets aside, whichever is still needed. */
function repair(path: string): SetAside | undefined {
  const found = inspect(path);
  switch (found.kind) {
    case 'ready':
      return undefined;
    case 'old':
      orCannotOpen(path, () => migrate(path, found.version));
      return undefined;
    case 'corrupt':
      return orCannotOpen(path, () => moveAside(path, found.reason));
  }
}

/** Each step is one transaction with its version number, so that a crash in between leaves a version that exists. */
function migrate(path: string, from: number): void {
  if (!existsSync(path)) closeSync(openSync(path, 'wx', 0o600));
  const database = connect(path);
  try {
    for (let version = from; version < MIGRATIONS.length; version++) {
      const marks = `PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${version + 1}`;
      database.exec(`BEGIN IMMEDIATE; ${MIGRATIONS[version]}; ${marks}; COMMIT`);
    }
  } finally {
    database.close();
  }
  syncDirectory(dirname(path));
}

function connect(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  try {
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The log goes with its file, under the name that belongs to it, so that the whole can be looked at later. */
function moveAside(path: string, reason: string): SetAside {
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  let target = `${path}.corrupt-${stamp}`;
  for (let count = 2; existsSync(target) || existsSync(`${target}-wal`); count++) target = `${path}.corrupt-${stamp}-${count}`;
  // The file last: a crash in between leaves a file that is still corrupt, and is set aside again.
  for (const suffix of ['-wal', '-shm', '']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
  }
  syncDirectory(dirname(path));
  return { path: target, reason };
}

async function take(lock: FileLock, mode: 'shared' | 'exclusive', path: string): Promise<void> {
  const triesMax = LOCK_WAIT_MS / LOCK_RETRY_MS;
  for (let tries = 0; !orCannotOpen(path, () => lock.tryTake(mode)); tries++) {
    if (tries >= triesMax) {
      throw refused(path, 'QUEUE_IN_USE', 'another program has the queue open; it must be closed before the file can be upgraded or mended');
    }
    await sleep(LOCK_RETRY_MS);
  }
}

/** Without symbolic links, so that one file has one lock; makes the directory, for nobody else to read. */
function preparePath(file: string): string {
  const absolute = resolve(file);
  return orCannotOpen(absolute, () => {
    mkdirSync(dirname(absolute), { recursive: true, mode: 0o700 });
    return existsSync(absolute) ? realpathSync(absolute) : join(realpathSync(dirname(absolute)), basename(absolute));
  });
}

function orCannotOpen<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw cannotOpen(path, error);
  }
}

function cannotOpen(path: string, cause: unknown): QueueStorageError {
  if (cause instanceof QueueStorageError) return cause;
  return refused(path, 'QUEUE_CANNOT_OPEN', `the queue cannot be opened: ${(cause as Error).message}`, cause);
}

function refused(path: string, code: string, message: string, cause?: unknown): QueueStorageError {
  return new QueueStorageError(path, `${path}: ${message}`, { code, cause });
}

const SQLITE_CORRUPT = 11;
const SQLITE_NOT_A_DATABASE = 26;

/** Whether SQLite found the file itself to be broken. */
export function isCorruption(error: unknown): boolean {
  const primary = ((error as { errcode?: number }).errcode ?? 0) % 256;
  return primary === SQLITE_CORRUPT || primary === SQLITE_NOT_A_DATABASE;
}

function pragma(database: DatabaseSync, name: 'application_id' | 'user_version' | 'schema_version'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

/** A new or renamed file is only certain to be there after a crash once its folder is written. Windows opens no folders. */
function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
