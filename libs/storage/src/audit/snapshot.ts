// One store as it was at one moment, read without being in its owner's way.

import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { StoreError, StoreSchemaError, openingError } from '../store-error.ts';
import { checkIdentity, type StoreKind } from '../store-file.ts';

const BUSY_TIMEOUT_MS = 5_000;

export interface Snapshot {
  readonly file: string;
  /** The bank's name, or the decision log's id. */
  readonly name: string;
  /** Rows as arrays, integers as bigints, one at a time. */
  rows(sql: string, ...values: SQLInputValue[]): Iterable<readonly SQLOutputValue[]>;
  /** A query of one row that is asked often: rows as `rows` has them. */
  lookup(sql: string): (...values: SQLInputValue[]) => readonly SQLOutputValue[] | undefined;
  close(): void;
}

/**
 * Opens a store read-only, in one read transaction: whatever its owner writes meanwhile is not seen.
 * Throws StoreError for a missing file, StoreSchemaError for any other than a store of this kind at this program's version.
 */
export function openSnapshot(file: string, kind: StoreKind): Snapshot {
  const path = resolve(file);
  const expected = `a ${kind.title}`;
  if (!existsSync(path)) throw new StoreError(path, 'does not exist');
  if (!statSync(path).isFile()) throw new StoreError(path, 'is not a regular file');
  if (statSync(path).size === 0) throw new StoreSchemaError(path, 'empty', expected);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
    database.exec('BEGIN');
    const version = checkIdentity(database, path, kind);
    if (version < kind.migrations.length) {
      throw new StoreSchemaError(path, `at schema version ${version}, from an older program`, `version ${kind.migrations.length}: start the service once`);
    }
    const name = String(database.prepare('SELECT name FROM identity').get()?.['name']);
    return readingFrom(database, path, name);
  } catch (error) {
    database?.close();
    throw openingError(path, error, expected);
  }
}

function readingFrom(database: DatabaseSync, path: string, name: string): Snapshot {
  return {
    file: path,
    name,
    *rows(sql, ...values) {
      try {
        yield* prepare(sql).iterate(...values) as unknown as Iterable<readonly SQLOutputValue[]>;
      } catch (error) {
        throw openingError(path, error, 'a readable store');
      }
    },
    lookup(sql) {
      const statement = prepare(sql);
      return (...values) => {
        try {
          return statement.get(...values) as unknown as readonly SQLOutputValue[] | undefined;
        } catch (error) {
          throw openingError(path, error, 'a readable store');
        }
      };
    },
    close: () => database.close(),
  };

  function prepare(sql: string): StatementSync {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    statement.setReadBigInts(true);
    return statement;
  }
}
