import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openLogHold } from './log-hold.ts';
import { temporaryDirectory, type TemporaryDirectory } from './testing/temporary-directory.ts';

let directory: TemporaryDirectory;
let file: string;

beforeEach(() => {
  directory = temporaryDirectory();
  file = directory.file('rows.sqlite');
});
afterEach(() => directory.remove());

const SCHEMA = 'PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE rows (n)';

describe('while a log is held', () => {
  it('a connection that closes neither copies nor removes it, and after that the hold does not either', () => {
    const hold = openLogHold(file);
    const database = new DatabaseSync(file);
    database.exec(SCHEMA);
    hold.begin();
    database.exec('INSERT INTO rows VALUES (1)');
    const before = ['', '-wal'].map((suffix) => readFileSync(file + suffix));
    database.close();
    hold.release();
    hold.release();
    expect(['', '-wal'].map((suffix) => readFileSync(file + suffix))).toEqual(before);
    const again = new DatabaseSync(file);
    expect(again.prepare('SELECT n FROM rows').get()).toEqual({ n: 1 });
    again.close();
    expect(existsSync(`${file}-wal`)).toBe(false);
  });

  it('it can still be copied and begun anew', () => {
    const hold = openLogHold(file);
    const database = new DatabaseSync(file);
    database.exec(SCHEMA);
    hold.begin();
    expect(database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()).toEqual({ busy: 0, log: 0, checkpointed: 0 });
    hold.release();
    database.close();
    expect(existsSync(`${file}-wal`)).toBe(false);
  });

  it('a process that ends without closing anything leaves it', () => {
    const program = `
      import { DatabaseSync } from 'node:sqlite';
      import { openLogHold } from ${JSON.stringify(new URL('log-hold.ts', import.meta.url).href)};
      const hold = openLogHold(${JSON.stringify(file)});
      const database = new DatabaseSync(${JSON.stringify(file)});
      database.exec(${JSON.stringify(SCHEMA)});
      hold.begin();
      globalThis.kept = { hold, database };`;
    const { status } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program], { stdio: 'inherit' });
    expect(status).toBe(0);
    expect(existsSync(`${file}-wal`)).toBe(true);
  });
});
