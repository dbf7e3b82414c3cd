import { copyFileSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { StoreFailedError, StoreRolledBackError } from './store-error.ts';
import { openStoreFile, type StoreFile } from './store-file.ts';
import { WRITES_A_MARK } from './store-mark.ts';
import { temporaryDirectory, type TemporaryDirectory } from './testing/temporary-directory.ts';

const NOTES = { title: 'note store', applicationId: 0x53740001, migrations: ['CREATE TABLE notes (text TEXT)'] };

describe('a store and its mark', () => {
  let directory: TemporaryDirectory;
  let file: string;

  beforeEach(() => {
    directory = temporaryDirectory();
    file = directory.file('notes.sqlite');
  });
  afterEach(() => directory.remove());

  const open = (): StoreFile => openStoreFile({ file, kind: NOTES, name: { required: 'one' }, onFatal: () => undefined }, (store) => store);
  const write = (store: StoreFile): void => void store.write(() => store.prepare("INSERT INTO notes VALUES ('x')").run());
  const marked = (): number => Number(readFileSync(`${file}.mark`, 'latin1').split(' ')[0]);

  function inStore(): number {
    const database = new DatabaseSync(file, { readOnly: true });
    const number = Number(database.prepare('SELECT number FROM mark').get()?.['number']);
    database.close();
    return number;
  }

  /** The store as it is on disk now, as a backup of a running one has it. */
  function copyTo(name: string): void {
    const database = new DatabaseSync(file, { readOnly: true });
    database.exec(`VACUUM INTO '${directory.file(name)}'`);
    database.close();
  }

  function restore(name: string): void {
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true });
    copyFileSync(directory.file(name), file);
  }

  it('refuses a copy from before the last clean stop, even one that nothing was written after', () => {
    open().close();
    copyTo('older.sqlite');
    open().close();
    restore('older.sqlite');
    expect(open).toThrow(StoreRolledBackError);
    expect(open).toThrow(/is an older copy of itself .*Put the newest one back.*remove .*notes\.sqlite\.mark/);
  });

  it(`refuses a copy that ${WRITES_A_MARK} writes are missing in, also after a crash`, () => {
    const store = open();
    copyTo('older.sqlite');
    for (let time = 0; time < WRITES_A_MARK; time += 1) write(store);
    const mark = readFileSync(`${file}.mark`);
    store.close();
    // What a killed process leaves: no mark of a clean stop.
    restore('older.sqlite');
    writeFileSync(`${file}.mark`, mark);
    expect(open).toThrow(StoreRolledBackError);
  });

  it('takes the newest one back, and goes on', () => {
    open().close();
    copyTo('older.sqlite');
    const store = open();
    write(store);
    store.close();
    copyTo('newest.sqlite');
    restore('older.sqlite');
    expect(open).toThrow(StoreRolledBackError);
    restore('newest.sqlite');
    const again = open();
    expect(again.prepare('SELECT count(*) FROM notes').get()).toEqual([1]);
    again.close();
  });

  it('refuses to begin anew where a store was before, until its mark is removed', () => {
    open().close();
    rmSync(file);
    expect(open).toThrow(/is missing, and was there before/);
    expect(existsSync(file)).toBe(false);
    rmSync(`${file}.mark`);
    open().close();
  });

  it('is never ahead of the store', () => {
    const store = open();
    for (let time = 0; time < 3 * WRITES_A_MARK; time += 1) {
      write(store);
      expect(marked()).toBeLessThanOrEqual(inStore());
    }
    expect(marked()).toBe(4);
    store.close();
    expect([marked(), inStore()]).toEqual([5, 5]);
  });

  it('is not moved by a write that failed', () => {
    const store = open();
    for (let time = 1; time < WRITES_A_MARK; time += 1) write(store);
    expect(() => store.write(() => store.prepare("INSERT INTO notes VALUES ('x', 'y')").run())).toThrow(StoreFailedError);
    store.close();
    expect([marked(), inStore()]).toEqual([1, 1]);
    open().close();
  });

  it.each([
    ['is missing', () => rmSync(`${file}.mark`)],
    ['is empty', () => truncateSync(`${file}.mark`)],
    ['was cut off', () => truncateSync(`${file}.mark`, 20)],
    ['is garbled', () => writeFileSync(`${file}.mark`, '0000000000000099 0000000000000098\n')],
  ])('opens a store whose mark %s, and marks it again', (_how, damage) => {
    open().close();
    damage();
    open().close();
    expect(marked()).toBe(inStore());
  });

  it('gives a store of an older program its first mark', () => {
    open().close();
    const database = new DatabaseSync(file);
    database.exec('DROP TABLE mark');
    database.close();
    rmSync(`${file}.mark`);
    open().close();
    expect([marked(), inStore()]).toEqual([2, 2]);
  });
});
