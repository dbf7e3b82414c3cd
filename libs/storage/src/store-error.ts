// What can be wrong with a store, each with one line that names the file.

/** A store that cannot be opened, read or written. The message is for an operator. */
export class StoreError extends Error {
  override readonly name: string = 'StoreError';
  readonly file: string;

  constructor(file: string, problem: string, options?: ErrorOptions) {
    super(`${file} ${problem}`, options);
    this.file = file;
  }
}

/** Another process owns the store. */
export class StoreLockedError extends StoreError {
  override readonly name = 'StoreLockedError';

  constructor(file: string) {
    super(file, 'is in use by another process');
  }
}

/** The file is something else than what was asked for: another program's, another kind, another name, a newer schema. */
export class StoreSchemaError extends StoreError {
  override readonly name = 'StoreSchemaError';
  readonly found: string;
  readonly expected: string;

  constructor(file: string, found: string, expected: string) {
    super(file, `is ${found}; expected ${expected}`);
    this.found = found;
    this.expected = expected;
  }
}

/** The file is older than this program once saw it, or gone: what was promised since would be forgotten. */
export class StoreRolledBackError extends StoreError {
  override readonly name = 'StoreRolledBackError';

  /** @param found undefined when there is no store at all */
  constructor(file: string, found: number | undefined, seen: number) {
    const what = found === undefined ? 'is missing, and was there before' : `is an older copy of itself (it is at ${found}, and was at ${seen})`;
    super(file, `${what}: payments made since are not in it. Put the newest one back; only if there is none, and after an audit of all stores, remove ${file}.mark`);
  }
}

/**
 * A write, an fsync or a read of an open store failed, now or before. Whether the last write is durable is not known: answer
 * nothing, stop the process, and start again from the file.
 */
export class StoreFailedError extends StoreError {
  override readonly name = 'StoreFailedError';
}

/** A page token that this store did not give out for this account. */
export class CursorError extends Error {
  override readonly name = 'CursorError';
}

const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** SQLite's primary result code, or undefined when the error is not SQLite's. */
function sqliteCode(error: unknown): number | undefined {
  const errcode = (error as { errcode?: unknown } | null)?.errcode;
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}

export function isBusy(error: unknown): boolean {
  return sqliteCode(error) === SQLITE_BUSY;
}

/** Says in one line why `file` could not be opened. Store errors pass unchanged. */
export function openingError(file: string, error: unknown, expected: string): StoreError {
  if (error instanceof StoreError) return error;
  const detail = error instanceof Error ? error.message : String((error as { message?: unknown })?.message ?? error);
  switch (sqliteCode(error)) {
    case SQLITE_NOTADB:
      return new StoreSchemaError(file, 'not an SQLite database', expected);
    case SQLITE_CORRUPT:
      return new StoreError(file, `is damaged: ${detail}`, { cause: error });
    case SQLITE_IOERR:
      // Files beside the store, such as the index of its log, report a full disk like this.
      return new StoreError(file, `cannot be read or written: the disk is full or failing (${detail})`, { cause: error });
    case SQLITE_FULL:
      return new StoreError(file, 'cannot be written: the disk is full', { cause: error });
    case SQLITE_READONLY:
      return new StoreError(file, 'cannot be written: it is read-only', { cause: error });
    case SQLITE_CANTOPEN:
      return new StoreError(file, 'cannot be opened: no permission, or not a regular file', { cause: error });
    case SQLITE_BUSY:
      return new StoreLockedError(file);
    default:
      return new StoreError(file, `cannot be opened: ${detail}`, { cause: error });
  }
}
