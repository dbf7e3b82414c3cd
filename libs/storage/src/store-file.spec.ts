import { existsSync, readFileSync, readdirSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync, mkdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mayReplace } from '@strife/two-phase-commit';
import { openDecisionLog } from './decision-log.ts';
import { StoreError, StoreLockedError, StoreSchemaError } from './store-error.ts';
import { openStoreFile, type StoreFile, type StoreKind } from './store-file.ts';
import { openBank } from './testing/bank-kit.ts';
import { temporaryDirectory, type TemporaryDirectory } from './testing/temporary-directory.ts';
import { startWriter } from './testing/writer-process.ts';

const NOTES: StoreKind = { title: 'note store', applicationId: 0x53740001, migrations: ['CREATE TABLE notes (text TEXT)'] };

describe('a store file', () => {
  let directory: TemporaryDirectory;
  let file: string;
  let told: Error[];

  beforeEach(() => {
    directory = temporaryDirectory();
    file = directory.file('notes.sqlite');
    told = [];
  });
  afterEach(() => directory.remove());

  const open = (kind = NOTES, name = 'one', path = file): StoreFile =>
    openStoreFile({ file: path, kind, name: { required: name }, onFatal: (error) => told.push(error) }, (store) => store);

  const failure = (work: () => unknown): Error => {
    try {
      work();
    } catch (error) {
      return error as Error;
    }
    throw new Error('nothing was thrown');
  };

  function tamper(sql: string): void {
    const database = new DatabaseSync(file);
    database.exec(sql);
    database.close();
  }

  describe('opening', () => {
    it('makes the directories and leaves nothing beside the store but its lock and its mark', () => {
      file = directory.file('deep/er/notes.sqlite');
      open().close();
      expect(readdirSync(directory.file('deep/er')).sort()).toEqual(['notes.sqlite', 'notes.sqlite.lock', 'notes.sqlite.mark']);
    });

    it('keeps what was written', () => {
      const store = open();
      store.write(() => store.prepare('INSERT INTO notes VALUES (?)').run('kept'));
      store.close();
      const again = open();
      expect(again.prepare('SELECT text FROM notes').all()).toEqual([['kept']]);
      again.close();
    });

    it('writes nothing to a database that another program is using', () => {
      using other = new DatabaseSync(file);
      other.exec('PRAGMA journal_mode = WAL; CREATE TABLE theirs (text TEXT); PRAGMA wal_checkpoint; INSERT INTO theirs VALUES (1)');
      const long = new Date(0);
      const parts = [file, `${file}-wal`];
      for (const part of parts) utimesSync(part, long, long);
      expect(() => open()).toThrow('is not a Strife store');
      expect(parts.map((part) => statSync(part).mtimeMs)).toEqual([0, 0]);
    });

    it('refuses a second owner in this process, also by way of a symbolic link', () => {
      const store = open();
      symlinkSync(file, directory.file('link.sqlite'));
      expect(failure(() => open())).toBeInstanceOf(StoreLockedError);
      expect(failure(() => open(NOTES, 'one', directory.file('link.sqlite'))).message).toBe(`${store.path} is in use by another process`);
      store.close();
      open().close();
    });

    it('refuses a second process, until the first is killed', async () => {
      file = directory.file('alpha.sqlite');
      const holder = startWriter('hold', file);
      await holder.heard('open');
      const error = failure(() => openBank(file, 'alpha'));
      expect([error.name, error.message]).toEqual(['StoreLockedError', `${file} is in use by another process`]);
      await holder.kill();
      openBank(file, 'alpha').close();
    });

    it('refuses a newer schema, and leaves it as it is', () => {
      open().close();
      tamper('PRAGMA user_version = 7');
      const error = failure(() => open());
      expect(error).toBeInstanceOf(StoreSchemaError);
      expect(error.message).toBe(`${file} is at schema version 7, made by a newer program; expected version 1 or older`);
      expect(failure(() => open()).message).toBe(error.message);
    });

    it('refuses the store of a gateway as that of a bank, and the other way round', () => {
      openBank(file, 'alpha').close();
      const log = () => openDecisionLog({ file, nowMs: () => 0, mayReplace, onFatal: (error) => told.push(error) });
      expect(failure(log).message).toMatch(/is another kind of Strife store \(application id \d+\); expected a gateway store$/);
      file = directory.file('gateway.sqlite');
      log().close();
      expect(failure(() => openBank(file, 'alpha')).message).toMatch(/is another kind of Strife store .*; expected the bank store of "alpha"$/);
    });

    it("refuses another bank's store", () => {
      openBank(file, 'alpha').close();
      expect(failure(() => openBank(file, 'beta')).message).toBe(`${file} is the bank store of "alpha"; expected the bank store of "beta"`);
    });

    it("refuses another program's database, a text, and an empty file, and leaves them alone", () => {
      tamper('CREATE TABLE theirs (x)');
      expect(failure(() => open()).message).toContain('is not a Strife store (application id 0); expected the note store of "one"');
      file = directory.file('text.sqlite');
      writeFileSync(file, 'This is not a database. '.repeat(100));
      expect(failure(() => open()).message).toContain('is not an SQLite database; expected the note store');
      file = directory.file('empty.sqlite');
      writeFileSync(file, '');
      expect(failure(() => open()).message).toContain('is empty; expected the note store of "one"; remove the file to start a new one');
      expect(statSync(file).size).toBe(0);
    });

    it('refuses a store that was cut short', () => {
      const store = open();
      store.write(() => store.prepare('INSERT INTO notes VALUES (?)').run('x'.repeat(100_000)));
      store.close();
      truncateSync(file, 20_480);
      const error = failure(() => open());
      expect(error).toBeInstanceOf(StoreError);
      expect(error.message).toContain('is damaged');
    });

    it('says in one line that a directory cannot be made or is in the way', () => {
      writeFileSync(directory.file('plain'), '');
      expect(failure(() => open(NOTES, 'one', directory.file('plain/notes.sqlite'))).message).toMatch(/cannot be opened: .*(ENOTDIR|EEXIST)/);
      expect(failure(() => open(NOTES, 'one', '/sys/strife/notes.sqlite')).message).toMatch(/cannot be opened: .*(EPERM|EACCES|EROFS)/);
      mkdirSync(directory.file('folder.sqlite'));
      expect(failure(() => open(NOTES, 'one', directory.file('folder.sqlite'))).message).toContain('is not a regular file');
    });

    it('lets go of the file when opening fails half-way', () => {
      expect(failure(() => openStoreFile({ file, kind: NOTES, name: { ifNew: 'one' }, onFatal: () => undefined }, () => {
        throw new Error('no such luck');
      })).message).toContain('no such luck');
      open().close();
    });

    it('starts over from a draft that a crash left behind', () => {
      writeFileSync(`${file}.new`, 'half a store');
      open().close();
      expect(existsSync(`${file}.new`)).toBe(false);
    });
  });

  describe('migrating', () => {
    const newer: StoreKind = { ...NOTES, migrations: [...NOTES.migrations, 'ALTER TABLE notes ADD COLUMN at INTEGER; UPDATE notes SET at = 5'] };

    it('takes an older store forward and keeps its rows', () => {
      const store = open();
      store.write(() => store.prepare('INSERT INTO notes VALUES (?)').run('old'));
      store.close();
      const migrated = open(newer);
      expect(migrated.prepare('SELECT text, at FROM notes').all()).toEqual([['old', 5]]);
      migrated.close();
      expect(failure(() => open())).toBeInstanceOf(StoreSchemaError);
    });

    it('leaves the older version when a step fails', () => {
      open().close();
      const broken: StoreKind = { ...NOTES, migrations: [...NOTES.migrations, 'CREATE TABLE more (x); INSERT INTO nowhere VALUES (1)'] };
      expect(failure(() => open(broken)).message).toContain('no such table: nowhere');
      open(newer).close();
    });
  });

  describe('when a write fails', () => {
    it('tells once, and neither answers nor writes anything after that', () => {
      const store = open();
      const insert = store.prepare('INSERT INTO notes VALUES (?)');
      store.write(() => insert.run('before'));
      const [pages] = store.prepare('PRAGMA page_count').get() as unknown as [number];
      store.prepare(`PRAGMA max_page_count = ${pages}`).get();
      const error = failure(() => store.write(() => insert.run('x'.repeat(100_000))));
      expect([error.name, error.message]).toEqual(['StoreFailedError', `${file} failed in writing: database or disk is full`]);
      expect(told).toEqual([error]);
      expect(failure(() => store.write(() => insert.run('after')))).toBe(error);
      expect(failure(() => store.read(() => 1))).toBe(error);
      expect(store.usable).toBe(false);
      expect(told).toHaveLength(1);
      store.close();
      const again = open();
      expect(again.prepare('SELECT text FROM notes').all()).toEqual([['before']]);
      again.close();
    });

    it('copies nothing when it closes: log and main file stay as they are for the next start', () => {
      const store = open();
      store.write(() => store.prepare('INSERT INTO notes VALUES (?)').run('x'.repeat(100_000)));
      failure(() => store.read(() => { throw new Error('a bad disk'); }));
      const files = [file, `${file}-wal`];
      const before = files.map((name) => readFileSync(name));
      store.close();
      expect(files.map((name) => readFileSync(name).equals(before[files.indexOf(name)]!))).toEqual([true, true]);
      const again = open();
      expect(again.prepare('SELECT length(text) FROM notes').all()).toEqual([[100_000]]);
      again.close();
      expect(existsSync(`${file}-wal`)).toBe(false);
    });

    it('rejects every promise of a decision log from then on', async () => {
      const log = openDecisionLog({ file, nowMs: () => 0, mayReplace: () => { throw new Error('a bug'); }, onFatal: (error) => told.push(error) });
      const proposal = {
        id: '0197b2a0-0000-7000-8000-000000000001', attempt: 1, fingerprint: '0'.repeat(32), createdAtMs: 0, verdict: { outcome: 'committed' as const },
        body: { from: { bank: 'a', account: 'a' }, to: { bank: 'b', account: 'b' }, currency: 'EUR', amountMinor: 1n, memo: '' },
      };
      await expect(log.decide([proposal], [])).rejects.toThrow('failed in writing: a bug');
      await expect(log.find([proposal.id])).rejects.toThrow('failed in writing: a bug');
      await expect(log.decide([], [{ id: proposal.id, attempt: 1 }])).rejects.toThrow('failed in writing: a bug');
      expect(told).toHaveLength(1);
      log.close();
    });
  });

  it('refuses work after close, and closes twice quietly', () => {
    const store = open();
    store.close();
    store.close();
    expect(failure(() => store.read(() => 1)).message).toBe(`${file} is closed`);
    expect(told).toEqual([]);
  });
});
