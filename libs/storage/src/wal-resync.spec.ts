import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { auditStores } from './audit/audit-stores.ts';
import { StoreError, StoreLockedError } from './store-error.ts';
import { openStoreFile, type StoreFile, type StoreKind } from './store-file.ts';
import { openBank } from './testing/bank-kit.ts';
import { temporaryDirectory, type TemporaryDirectory } from './testing/temporary-directory.ts';
import { startWriter } from './testing/writer-process.ts';
import { resyncWriteAheadLog } from './wal-resync.ts';

const NOTES: StoreKind = { title: 'note store', applicationId: 0x53740001, migrations: ['CREATE TABLE notes (text TEXT)'] };
/** With its log, more than two of the pieces in which the log is read. */
const NOTE_CHARACTERS = 2_500_000;
/** A time that no write of these tests has. */
const LONG_AGO = new Date('2001-01-01T00:00:00Z');

let directory: TemporaryDirectory;
let file: string;

beforeEach(() => {
  directory = temporaryDirectory();
  file = directory.file('notes.sqlite');
});
afterEach(() => directory.remove());

const open = (path = file): StoreFile =>
  openStoreFile({ file: path, kind: NOTES, name: { required: 'one' }, onFatal: () => undefined }, (store) => store);
const insert = (store: StoreFile, text: string): unknown => store.write(() => store.prepare('INSERT INTO notes VALUES (?)').run(text));
const texts = (store: StoreFile): unknown[] => store.prepare('SELECT text FROM notes').all().flat();

/** A store with its log as a crash leaves them, and nobody who has it open; returns its path. */
function leftByCrash(...notes: string[]): string {
  const store = open();
  for (const note of notes) insert(store, note);
  const left = directory.file('left.sqlite');
  for (const suffix of ['', '-wal']) copyFileSync(file + suffix, left + suffix);
  store.close();
  return left;
}

/** From here on `isWritten` tells whether somebody has written the log. */
function age(path: string): { isWritten(): boolean } {
  utimesSync(`${path}-wal`, LONG_AGO, LONG_AGO);
  return { isWritten: () => statSync(`${path}-wal`).mtimeMs !== LONG_AGO.getTime() };
}

function failure(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

describe('the log that a crash left', () => {
  it('is written anew, byte by byte as it was', () => {
    const left = leftByCrash('a', 'x'.repeat(NOTE_CHARACTERS));
    const before = readFileSync(`${left}-wal`);
    const aged = age(left);
    resyncWriteAheadLog(left);
    expect(aged.isWritten()).toBe(true);
    expect(readFileSync(`${left}-wal`).equals(before)).toBe(true);
  });

  it('gives all its rows to the store that opens with it', () => {
    const long = 'x'.repeat(NOTE_CHARACTERS);
    const again = open(leftByCrash('a', long, 'b'));
    expect(texts(again)).toEqual(['a', long, 'b']);
    again.close();
  });

  it('is cut off where it was: half a commit at its end stays half', () => {
    const left = leftByCrash('a', 'b');
    const { size } = statSync(`${left}-wal`);
    truncateSync(`${left}-wal`, size - 1);
    resyncWriteAheadLog(left);
    expect(statSync(`${left}-wal`).size).toBe(size - 1);
    const again = open(left);
    expect(texts(again)).toEqual(['a']);
    again.close();
  });

  it('is not there after a clean stop, or empty: then there is nothing to do', () => {
    open().close();
    resyncWriteAheadLog(file);
    expect(failure(() => statSync(`${file}-wal`)).message).toContain('ENOENT');
    writeFileSync(`${file}-wal`, '');
    const aged = age(file);
    resyncWriteAheadLog(file);
    expect(aged.isWritten()).toBe(false);
    open().close();
  });
});

describe('who may write the log back', () => {
  it('only its owner: a second one is refused before', () => {
    const store = open();
    insert(store, 'a');
    const aged = age(file);
    expect(failure(() => open())).toBeInstanceOf(StoreLockedError);
    expect(aged.isWritten()).toBe(false);
    store.close();
  });

  it('no reader: an audit of what a crash left leaves the log alone', async () => {
    const bank = directory.file('alpha.sqlite');
    const writer = startWriter('books', bank);
    await writer.heard('settled 2');
    await writer.kill();
    const aged = age(bank);
    expect(auditStores({ banks: [bank], gateways: [] }).violations).toEqual([]);
    expect(aged.isWritten()).toBe(false);
  });
});

describe('a log that cannot be written back', () => {
  it('refuses the start, names itself, and lets go of the store', () => {
    open().close();
    mkdirSync(`${file}-wal`);
    const error = failure(() => open());
    expect(error).toBeInstanceOf(StoreError);
    expect(error.message).toMatch(/^\S+notes\.sqlite-wal cannot be written back to the disk, so what it holds is not safe: EISDIR/);
    rmSync(`${file}-wal`, { recursive: true });
    open().close();
  });

  it('refuses the start where the disk does not take it all, and loses nothing by that', async () => {
    const bank = directory.file('alpha.sqlite');
    const writer = startWriter('books', bank);
    await writer.heard('settled 8');
    await writer.kill();
    const before = readFileSync(`${bank}-wal`);
    // Nothing may be written beyond 64 KiB, neither anew nor again.
    const limited = startWriter('hold', bank, 'trap "" XFSZ; ulimit -f 64; exec 2>&1;');
    await limited.ended;
    expect(before.length).toBeGreaterThan(64 * 1024);
    expect(limited.lines.join('\n')).toMatch(/StoreError: \S+alpha\.sqlite-wal cannot be written back to the disk.*EFBIG/);
    expect(readFileSync(`${bank}-wal`).equals(before)).toBe(true);
    const store = openBank(bank, 'alpha');
    expect(store.account('customer', 'alice')!.posted).toBeLessThan(10n ** 12n);
    store.close();
    expect(auditStores({ banks: [bank], gateways: [] }).violations).toEqual([]);
  });
});
