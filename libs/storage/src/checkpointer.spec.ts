import { rmSync, truncateSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EVERY_PAGES, openRows, PAGE_BYTES, type CheckpointedRows } from './testing/checkpointed-rows.ts';
import { temporaryDirectory, type TemporaryDirectory } from './testing/temporary-directory.ts';
import { startWriter } from './testing/writer-process.ts';

/** What the owner lets come together, with what one write adds, and its frames' headers. */
const LOG_BYTES_MAX = 5 * EVERY_PAGES * (PAGE_BYTES + 24);

describe('a checkpointer', () => {
  let directory: TemporaryDirectory;
  let file: string;
  let rows: CheckpointedRows;
  let failures: Error[];

  beforeEach(() => {
    directory = temporaryDirectory();
    file = directory.file('rows.sqlite');
    failures = [];
    rows = openRows(file, (error) => failures.push(error));
  });
  afterEach(() => {
    rows.close();
    directory.remove();
  });

  /** Adds until the log has begun anew so many times. */
  async function addUntilBegunAnew(times: number): Promise<void> {
    for (let before = 0; times > 0;) {
      rows.add();
      const { written } = rows.log();
      if (written < before) times -= 1;
      before = written;
      await setImmediate();
    }
  }

  it('has the log begin anew, time after time, while writes go on', async () => {
    await addUntilBegunAnew(10);
    expect(rows.logBytes()).toBeLessThan(LOG_BYTES_MAX);
    expect(failures).toEqual([]);
  });

  it('only looks how long a short log is', () => {
    rows.add();
    expect(rows.log().written).toBeGreaterThan(0);
    expect(rows.log().left).toBe(rows.log().written);
  });

  it('does not let the log of an owner that never takes a turn grow for ever', () => {
    for (let n = 0; n < 40 * EVERY_PAGES; n += 1) rows.add();
    expect(rows.logBytes()).toBeLessThan(2 * LOG_BYTES_MAX);
  });

  it('waits for a reader, and has the log begin anew when that is done', async () => {
    const reader = new DatabaseSync(file, { readOnly: true });
    reader.exec('BEGIN');
    const seen = reader.prepare('SELECT count(*) AS count FROM rows').get()?.['count'];
    while (rows.log().written < 10 * EVERY_PAGES) {
      rows.add();
      await setImmediate();
    }
    expect(reader.prepare('SELECT count(*) AS count FROM rows').get()?.['count']).toBe(seen);
    reader.close();
    await addUntilBegunAnew(3);
    expect(failures).toEqual([]);
  });

  it('leaves one whole file when it is closed while it copies', async () => {
    let count = 0;
    while (rows.log().written < EVERY_PAGES) count = rows.add();
    // The thread has been asked, and has not answered: no turn was taken.
    expect(rows.close()).toBe(true);
    expect(rows.logBytes()).toBe(0);
    const database = new DatabaseSync(file);
    expect(database.prepare('SELECT count(*) AS count FROM rows').get()).toEqual({ count });
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    database.close();
    rows = openRows(file, (error) => failures.push(error));
    await setImmediate();
    expect(failures).toEqual([]);
  });

  it('tells at its close of a copy that failed, also when there was no turn to hear of it', async () => {
    await addUntilBegunAnew(5);
    rows.close();
    rows = openRows(file, (error) => failures.push(error));
    // With its size in the log, SQLite looks at the main file's only when it copies: what lost more than the log holds is damaged.
    rows.add();
    truncateSync(file, PAGE_BYTES);
    while (rows.log().written < EVERY_PAGES) rows.add();
    expect(rows.close()).toBe(false);
    expect(failures).toEqual([]);
    for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
    rows = openRows(file, (error) => failures.push(error));
  });

  it('tells of a thread that cannot open the store', async () => {
    for (const suffix of ['', '-shm']) rmSync(file + suffix);
    rmSync(directory.path, { recursive: true });
    while (failures.length === 0) {
      rows.add();
      await setImmediate();
    }
    expect(failures[0]?.message).toMatch(/unable to open database file/);
  });
});

describe('a process killed while its log is copied', () => {
  it.each([40, 90, 150, 233])('keeps all %i rows and more that it told of', async (told) => {
    const directory = temporaryDirectory();
    const file = directory.file('rows.sqlite');
    const writer = startWriter('rows', file);
    await writer.heard(`added ${told * 5}`);
    await writer.kill();
    const added = Number(writer.lines.findLast((line) => line.startsWith('added '))?.slice('added '.length));
    const database = new DatabaseSync(file);
    expect(Number(database.prepare('SELECT count(*) AS count FROM rows').get()?.['count'])).toBeGreaterThanOrEqual(added);
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    database.close();
    directory.remove();
  });
});
