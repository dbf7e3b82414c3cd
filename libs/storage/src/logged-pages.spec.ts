import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loggedPages } from './logged-pages.ts';
import { temporaryDirectory, type TemporaryDirectory } from './testing/temporary-directory.ts';

const NO_PAGES = { pageBytes: 0, pages: new Uint32Array() };

let directory: TemporaryDirectory;
let file: string;
let log: string;
let database: DatabaseSync | undefined;

beforeEach(() => {
  directory = temporaryDirectory();
  file = directory.file('rows.sqlite');
  log = `${file}-wal`;
});
afterEach(() => {
  if (database?.isOpen === true) database.close();
  directory.remove();
});

/** Open, with all that it holds in its main file and an empty log. */
function openRows(pageBytes: number): DatabaseSync {
  database = new DatabaseSync(file);
  database.exec(`
    PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
    CREATE TABLE rows (filling BLOB); INSERT INTO rows VALUES (randomblob(20000)); PRAGMA wal_checkpoint(TRUNCATE)`);
  return database;
}

const pageCount = (): number => Number(database?.prepare('PRAGMA page_count').get()?.['page_count']);
const numbered = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n);

describe('the pages that a log holds', () => {
  it.each([512, 1024, 2048, 4096, 65536])('of %i bytes are all by which the database grew, and the first one, which says its size', (pageBytes) => {
    const rows = openRows(pageBytes);
    const before = pageCount();
    rows.exec('INSERT INTO rows VALUES (randomblob(3000000))');
    rows.exec('SAVEPOINT one; INSERT INTO rows VALUES (randomblob(200000)); DELETE FROM rows WHERE rowid = 1; RELEASE one');
    const logged = loggedPages(log);
    expect(logged.pageBytes).toBe(pageBytes);
    expect(logged.pages.length).toBe(Math.floor((statSync(log).size - 32) / (pageBytes + 24)));
    expect([...new Set(logged.pages)].filter((page) => page > before)).toEqual(numbered(before + 1, pageCount()));
    expect(logged.pages[0]).toBe(1);
    expect([...logged.pages]).toEqual([...logged.pages].sort((a, b) => a - b));
  });

  it('are not those of an older log in the same file', () => {
    const rows = openRows(2048);
    rows.exec('INSERT INTO rows VALUES (randomblob(100000)); PRAGMA wal_checkpoint(RESTART)');
    const whole = statSync(log).size;
    rows.exec('UPDATE rows SET filling = 1 WHERE rowid = 1');
    expect(statSync(log).size).toBe(whole);
    expect(loggedPages(log).pages.length).toBeGreaterThan(0);
    expect(loggedPages(log).pages.length).toBeLessThan(20);
  });

  it('are not those of a commit that was cut off', () => {
    const rows = openRows(2048);
    rows.exec('INSERT INTO rows VALUES (1)');
    const first = loggedPages(log);
    rows.exec('INSERT INTO rows VALUES (randomblob(100000))');
    expect(loggedPages(log).pages.length).toBeGreaterThan(first.pages.length + 40);
    truncateSync(log, statSync(log).size - 1);
    expect(loggedPages(log)).toEqual(first);
  });

  it('are as they were when something that is no frame follows', () => {
    const rows = openRows(4096);
    rows.exec('INSERT INTO rows VALUES (randomblob(100000))');
    const before = loggedPages(log);
    appendFileSync(log, Buffer.alloc(3 * 4096, 0xab));
    expect(loggedPages(log)).toEqual(before);
  });
});

describe('no pages', () => {
  it.each([
    ['no bytes', Buffer.alloc(0)],
    ['less than a header', Buffer.from('377f068200', 'hex')],
    ['zeros', Buffer.alloc(100_000)],
    ['a text', Buffer.from('This is no log. '.repeat(10_000))],
    ['a page size that is none', Buffer.from(`377f0682${'002de218'}00000801${'00'.repeat(5000)}`, 'hex')],
    ['a page size of 0', Buffer.from(`377f0682${'002de218'}00000000${'00'.repeat(5000)}`, 'hex')],
  ])('are in a file of %s', (_, bytes) => {
    writeFileSync(log, bytes);
    expect(loggedPages(log)).toEqual(NO_PAGES);
  });

  it('are in a log of only a header, or where there is no log', () => {
    expect(loggedPages(log)).toEqual(NO_PAGES);
    openRows(2048).exec('INSERT INTO rows VALUES (1)');
    const header = readFileSync(log).subarray(0, 32);
    database?.close();
    writeFileSync(log, header);
    expect(loggedPages(log)).toEqual({ pageBytes: 2048, pages: new Uint32Array() });
  });
});
