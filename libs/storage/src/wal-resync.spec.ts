import { spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { auditStores } from './audit/audit-stores.ts';
import { StoreError, StoreLockedError } from './store-error.ts';
import { openStoreFile, type StoreFile, type StoreKind } from './store-file.ts';
import { openBank } from './testing/bank-kit.ts';
import { temporaryDirectory, type TemporaryDirectory } from './testing/temporary-directory.ts';
import { startWriter } from './testing/writer-process.ts';
import { resyncAfterCrash, stretchesOf } from './wal-resync.ts';
import { writeBack } from './write-back.ts';

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

/** From here on `isWritten` tells whether somebody has written the log, or the file with another suffix. */
function age(path: string, suffix = '-wal'): { isWritten(): boolean } {
  utimesSync(path + suffix, LONG_AGO, LONG_AGO);
  return { isWritten: () => statSync(path + suffix).mtimeMs !== LONG_AGO.getTime() };
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
    resyncAfterCrash(left);
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
    resyncAfterCrash(left);
    expect(statSync(`${left}-wal`).size).toBe(size - 1);
    const again = open(left);
    expect(texts(again)).toEqual(['a']);
    again.close();
  });

  it('is not there after a clean stop, or empty: then there is nothing to do', () => {
    open().close();
    resyncAfterCrash(file);
    expect(failure(() => statSync(`${file}-wal`)).message).toContain('ENOENT');
    writeFileSync(`${file}-wal`, '');
    const aged = age(file);
    resyncAfterCrash(file);
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

/** A database as a crash leaves it that came when all of its log was in the main file, but the log not begun anew; returns its path. */
function leftWhileCopying(pageBytes: number, work: string): string {
  const database = new DatabaseSync(file);
  database.exec(`
    PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
    CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES (randomblob(20000)); PRAGMA wal_checkpoint(TRUNCATE);
    ${work}; PRAGMA wal_checkpoint(PASSIVE)`);
  const left = directory.file('left.sqlite');
  for (const suffix of ['', '-wal']) copyFileSync(file + suffix, left + suffix);
  database.close();
  return left;
}

function integrity(path: string): unknown {
  const database = new DatabaseSync(path);
  const found = database.prepare('PRAGMA integrity_check').get()?.['integrity_check'];
  database.close();
  return found;
}

/** Whether this directory's file system takes direct writes, by another program's memory. */
function takesDirectWrites(): boolean {
  const { status, error } = spawnSync('dd', ['if=/dev/zero', `of=${directory.file('probe')}`, 'bs=4096', 'count=1', 'oflag=direct'], { stdio: 'ignore' });
  if (error !== undefined) throw error;
  return status === 0;
}

describe('the main file that a crash left half-way in copying the log', () => {
  const grow = "INSERT INTO notes VALUES (replace(hex(zeroblob(1500000)), '0', 'x'))";

  it.each([
    [2048, 0], [2048, 1], [4096, 0], [4096, 1],
  ])('of pages of %i bytes is written anew where the log has its pages, byte by byte as it was (%i)', (pageBytes, more) => {
    const left = leftWhileCopying(pageBytes, `${grow}; INSERT INTO notes VALUES (randomblob(${more * 2048}))`);
    const before = readFileSync(left);
    const aged = age(left, '');
    const way = takesDirectWrites() ? 'direct' : 'ordinary';
    expect(resyncAfterCrash(left)).toEqual({ log: way, main: way });
    expect(aged.isWritten()).toBe(true);
    expect(readFileSync(left).equals(before)).toBe(true);
    expect(integrity(left)).toBe('ok');
  });

  it.each([512, 2048])('keeps a size of whole pages of %i bytes that is none of whole blocks', (pageBytes) => {
    const sizes = Array.from({ length: 9 }, (_, n) => {
      const left = leftWhileCopying(pageBytes, `${grow}; INSERT INTO notes VALUES (randomblob(${n * pageBytes}))`);
      const before = readFileSync(left);
      resyncAfterCrash(left);
      expect(readFileSync(left).equals(before)).toBe(true);
      rmSync(file);
      return before.length % 4096;
    });
    expect(new Set(sizes).size).toBe(4096 / pageBytes);
  });

  it('keeps half a page at its end, as a full disk leaves it', () => {
    const left = leftWhileCopying(2048, grow);
    truncateSync(left, statSync(left).size - 1000);
    const before = readFileSync(left);
    resyncAfterCrash(left);
    expect(readFileSync(left).equals(before)).toBe(true);
    expect(integrity(left)).toBe('ok');
  });

  it('is no longer than it was where the log holds pages after its end', () => {
    const left = leftByCrash('a', 'x'.repeat(NOTE_CHARACTERS));
    const before = readFileSync(left);
    expect(statSync(`${left}-wal`).size).toBeGreaterThan(before.length);
    resyncAfterCrash(left);
    expect(readFileSync(left).equals(before)).toBe(true);
    const again = open(left);
    expect(texts(again)).toEqual(['a', 'x'.repeat(NOTE_CHARACTERS)]);
    again.close();
  });

  it('is whole with the zeros after its end that a power cut may leave', () => {
    const left = leftWhileCopying(2048, grow);
    const { size } = statSync(left);
    appendFileSync(left, Buffer.alloc(4096 - (size % 4096)));
    expect(integrity(left)).toBe('ok');
    expect(statSync(left).size).toBe(size);
  });

  it.each([
    ['no bytes', () => Buffer.alloc(0)],
    ['only a header', (log: Buffer) => log.subarray(0, 32)],
    ['less than a commit', (log: Buffer) => log.subarray(0, 32 + 2 * (2048 + 24))],
    ['garbage', (log: Buffer) => Buffer.alloc(log.length, 'garbage')],
  ])('is left alone beside a log of %s', (_, change) => {
    const left = leftWhileCopying(2048, grow);
    writeFileSync(`${left}-wal`, change(readFileSync(`${left}-wal`)));
    const aged = age(left, '');
    expect(resyncAfterCrash(left).main).toBe('nothing');
    expect(aged.isWritten()).toBe(false);
  });

  it('is not copied into by a start: only where a failure is told', () => {
    const left = leftByCrash('x'.repeat(NOTE_CHARACTERS));
    const { size } = statSync(left);
    const store = open(left);
    insert(store, 'a');
    expect(statSync(left).size).toBe(size);
    store.close();
    expect(statSync(left).size).toBeGreaterThan(NOTE_CHARACTERS);
  });

  it('refuses the start when it cannot be written, and is named', () => {
    const error = failure(() => writeBack(directory.path, () => []));
    expect(error).toBeInstanceOf(StoreError);
    expect(error.message).toMatch(/cannot be written back to the disk, so what it holds is not safe: EISDIR/);
  });
});

describe('where the pages of a log lie', () => {
  const stretches = (pageBytes: number, pages: number[], size: number): number[][] =>
    [...stretchesOf({ pageBytes, pages: Uint32Array.from(pages) }, size)].map(({ from, to }) => [from, to]);

  it('is in one stretch for pages that follow each other, and each once', () => {
    expect(stretches(2048, [1, 1, 3, 4, 4, 5, 9], 100_000)).toEqual([[0, 2048], [4096, 10_240], [16_384, 18_432]]);
  });

  it('ends with the file', () => {
    expect(stretches(2048, [1, 2, 3], 5000)).toEqual([[0, 5000]]);
    expect(stretches(2048, [1, 4], 6144)).toEqual([[0, 2048]]);
    expect(stretches(2048, [4], 6144)).toEqual([]);
    expect(stretches(2048, [1], 0)).toEqual([]);
    expect(stretches(0, [], 5000)).toEqual([]);
  });

  it.each([2048, 4096])('has no gap where SQLite leaves a page of %i bytes out for its locks', (pageBytes) => {
    const first = 2 ** 30 / pageBytes + 1;
    const size = 2 ** 30 + 3 * pageBytes;
    expect(stretches(pageBytes, [first - 1, first + 1, first + 2], size)).toEqual([[2 ** 30 - pageBytes, size]]);
    expect(stretches(pageBytes, [first + 1, first + 2], size)).toEqual([[2 ** 30, size]]);
  });
});
