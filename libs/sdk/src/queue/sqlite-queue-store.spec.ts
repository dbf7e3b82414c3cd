import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eur } from '../money.ts';
import type { QueueRow, QueueStore } from './queue-store.ts';
import { APPLICATION_ID, MIGRATIONS } from './sqlite-queue-file.ts';
import { openSqliteQueueStore } from './sqlite-queue-store.ts';

let folder: string;
let file: string;
let opened: QueueStore[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strife-queue-'));
  file = join(folder, 'queue.db');
  opened = [];
});

afterEach(async () => {
  for (const store of opened) await store.close();
  rmSync(folder, { recursive: true });
});

async function open(path = file, options?: { pagesMax?: number }): Promise<QueueStore> {
  const store = await openSqliteQueueStore(path, options);
  opened.push(store);
  return store;
}

const row = (id: string, more: Partial<QueueRow> = {}): QueueRow => ({
  id,
  from: 'alpha/alice',
  to: 'beta/bob',
  amount: eur('1.00'),
  memo: '',
  state: 'queued',
  createdAt: new Date(1_000),
  attempts: 0,
  unanswered: false,
  badAnswers: 0,
  ...more,
});

const admitAll = (): void => {};

async function ids(store: QueueStore): Promise<string[]> {
  return (await store.list({})).map(({ id }) => id);
}

describe('rows', () => {
  it('come back as they were, amounts to the last of 64 bits', async () => {
    const whole = row('a', {
      amount: { currency: 'JPY', minorUnits: 999_999_999_999_999n },
      memo: 'café ☕ "quoted"',
      expiresAt: new Date(2_000),
      attempts: 3,
      unanswered: true,
      badAnswers: 2,
      problem: { code: 'UNAVAILABLE', message: 'no gateway' },
    });
    const store = await open();
    await store.add(whole, admitAll);
    await store.close();
    expect(await (await open()).list({})).toEqual([whole]);
  });

  it('keep the answer of the gateway', async () => {
    const store = await open();
    await store.add(row('a'), admitAll);
    const transfer = {
      id: 'a', from: 'alpha/alice', to: 'beta/bob', amount: eur('1.00'), memo: '', state: 'declined' as const,
      declineReason: 'insufficient_funds' as const, replayed: true, createdAt: new Date(5), decidedAt: new Date(6),
    };
    await store.change({ ids: ['a'] }, ([found]) => [{ ...found!, state: 'declined', transfer }]);
    expect((await store.list({ states: ['declined'] }))[0]).toEqual({ ...row('a'), state: 'declined', transfer, resultSeq: 1 });
  });

  it('are added once, and not at all when refused', async () => {
    const store = await open();
    await store.add(row('a'), admitAll);
    const refuse = (): never => {
      throw new Error('no');
    };
    expect(await store.add(row('a', { memo: 'again' }), refuse)).toMatchObject({ memo: '' });
    await expect(store.add(row('b'), refuse)).rejects.toThrow('no');
    expect(await ids(store)).toEqual(['a']);
  });

  it('count towards the caps while they are pending, by currency', async () => {
    const store = await open();
    await store.add(row('a'), admitAll);
    await store.add(row('b', { amount: { currency: 'USD', minorUnits: 7n } }), admitAll);
    await store.change({ ids: ['a'] }, ([found]) => [{ ...found!, state: 'done' }]);
    await store.add(row('c'), (usage) => expect(usage).toEqual({ payments: 1, total: { currency: 'EUR', minorUnits: 0n } }));
    await store.add(row('d'), (usage) => expect(usage).toEqual({ payments: 2, total: eur('1.00') }));
  });

  it('are unchanged when the rule throws', async () => {
    const store = await open();
    await store.add(row('a'), admitAll);
    const broken = store.change({}, () => {
      throw new Error('a bug');
    });
    await expect(broken).rejects.toThrow('a bug');
    expect(await store.list({})).toEqual([row('a')]);
  });
});

describe('results', () => {
  it('are numbered as they come; what was acknowledged long ago is forgotten, but never what was set aside', async () => {
    const store = await open();
    const count = 1_010;
    for (let index = 0; index < count; index++) await store.add(row(String(index)), admitAll);
    await store.change({}, (rows) => rows.map((each) => ({ ...each, state: each.id === '0' ? 'failed' : 'done' })));
    expect(await store.marks()).toEqual({ last: count, acknowledged: 0 });
    expect((await store.results(1_008, 10)).map(({ id }) => id)).toEqual(['1008', '1009']);

    await store.acknowledge(5_000);
    expect(await store.marks()).toEqual({ last: count, acknowledged: count });
    expect((await ids(store)).slice(0, 2)).toEqual(['0', '10']);
  });
});

describe('several on one file', () => {
  it('see each other’s changes, and are told of them', async () => {
    const [one, two] = [await open(), await open()];
    const heard = new Promise<void>((resolve) => two.watch(resolve));
    await one.add(row('a'), admitAll);
    await heard;
    expect(await ids(two)).toEqual(['a']);
  });

  it('have one claim for each payer', async () => {
    const [one, two] = [await open(), await open()];
    const claim = await one.claim('alpha/alice');
    expect(await one.claim('alpha/alice')).toBeUndefined();
    expect(await two.claim('alpha/alice')).toBeUndefined();
    expect(await two.claim('alpha/anna')).toBeDefined();
    claim!.release();
    const next = await two.claim('alpha/alice');
    expect(next).toBeDefined();
    claim!.release();
    expect(await one.claim('alpha/alice')).toBeUndefined();
    await two.close();
    expect(await one.claim('alpha/alice')).toBeDefined();
  });

  it('are one queue also through a symbolic link', async () => {
    await (await open()).claim('alpha/alice');
    symlinkSync(file, join(folder, 'link.db'));
    expect(await (await open(join(folder, 'link.db'))).claim('alpha/alice')).toBeUndefined();
  });
});

describe('a file of another version', () => {
  const fill = (version: number): void => {
    const database = new DatabaseSync(file);
    database.exec(`PRAGMA journal_mode = WAL; ${MIGRATIONS.slice(0, version).join(';')};
      PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${version};
      INSERT INTO payments (id, payer, payee, currency, amount_minor, memo, created_at_ms, expires_at_ms, state, attempts, unanswered)
      VALUES ('a', 'alpha/alice', 'beta/bob', 'EUR', 100, '', 1000, NULL, 'done', 1, 0),
             ('b', 'alpha/alice', 'beta/bob', 'EUR', 100, '', 1000, NULL, 'sending', 1, 1),
             ('c', 'alpha/alice', 'beta/bob', 'EUR', 100, '', 1000, 9000, 'queued', 0, 0),
             ('d', 'alpha/alice', 'beta/bob', 'EUR', 100, '', 1000, NULL, 'declined', 1, 0)`);
    database.close();
  };

  it('1 is upgraded with all that is queued, and its results are numbered', async () => {
    fill(1);
    const store = await open();
    expect(await store.list({ states: ['queued', 'sending'] })).toEqual([
      row('b', { state: 'sending', attempts: 1, unanswered: true }),
      row('c', { expiresAt: new Date(9_000) }),
    ]);
    expect((await store.results(0, 10)).map(({ id, resultSeq }) => `${id} ${resultSeq}`)).toEqual(['a 1', 'd 2']);
    expect(await store.marks()).toEqual({ last: 2, acknowledged: 0 });
    await store.close();
    const database = new DatabaseSync(file);
    expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: MIGRATIONS.length });
    database.close();
  });

  it('that is newer is refused, and left as it was', async () => {
    fill(MIGRATIONS.length);
    const database = new DatabaseSync(file);
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    database.close();
    const before = readFileSync(file);
    const refused = open();
    await expect(refused).rejects.toMatchObject({ name: 'QueueStorageError', code: 'QUEUE_NEWER_VERSION', path: file });
    await expect(refused).rejects.toThrow(`version ${MIGRATIONS.length + 1}`);
    expect(readFileSync(file)).toEqual(before);
  });

  it('is not upgraded under a program that has it open', async () => {
    fill(1);
    const holder = new DatabaseSync(`${file}.lock`);
    holder.exec('BEGIN');
    holder.prepare('SELECT count(*) FROM sqlite_schema').get();
    await expect(open()).rejects.toMatchObject({ code: 'QUEUE_IN_USE' });
    holder.close();
    expect(await ids(await open())).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('a file that is no queue', () => {
  const asideNames = (): string[] => readdirSync(folder).filter((name) => name.includes('.corrupt-')).toSorted();

  it.each([
    ['garbage', (): void => writeFileSync(file, 'no database '.repeat(1_000))],
    ['a queue with its first page gone', (): void => writeFileSync(file, Buffer.alloc(4_096, 7), { flag: 'r+' })],
    ['a queue that was cut', (): void => truncateSync(file, 5_000)],
    ['a queue with a page overwritten', (): void => {
      const bytes = readFileSync(file);
      bytes.fill(0xff, 4_096, 12_288);
      writeFileSync(file, bytes);
    }],
  ])('%s is set aside with nothing deleted, and named; a new one is begun', async (_what, spoil) => {
    const first = await open();
    await first.add(row('a'), admitAll);
    await first.close();
    spoil();
    const spoilt = readFileSync(file);

    const store = await open();
    expect(await ids(store)).toEqual([]);
    await store.add(row('b'), admitAll);
    const [aside] = asideNames();
    expect(store.setAside).toEqual({ path: join(folder, aside!), reason: expect.stringMatching(/./) });
    expect(readFileSync(store.setAside!.path)).toEqual(spoilt);
    await store.close();
    expect((await open()).setAside).toBeUndefined();
  });

  it('is set aside with its log', async () => {
    const holder = await open();
    await holder.add(row('a'), admitAll);
    const log = readFileSync(`${file}-wal`);
    await holder.close();
    writeFileSync(file, 'garbage '.repeat(1_000));
    writeFileSync(`${file}-wal`, log);

    const { setAside } = await open();
    expect(readFileSync(`${setAside!.path}-wal`)).toEqual(log);
  });

  it('is set aside too when it is empty beside a log that is not', async () => {
    writeFileSync(file, '');
    writeFileSync(`${file}-wal`, 'what is left of a queue');
    const { setAside } = await open();
    expect(readFileSync(`${setAside!.path}-wal`, 'utf8')).toBe('what is left of a queue');
  });

  it('but somebody else’s database is refused, and left as it was', async () => {
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE recipes (text TEXT)');
    database.close();
    const before = readFileSync(file);
    await expect(open()).rejects.toMatchObject({ code: 'QUEUE_FOREIGN_FILE' });
    expect(readFileSync(file)).toEqual(before);
  });

  it('nor a place that no file can be in', async () => {
    writeFileSync(join(folder, 'occupied'), '');
    await expect(open(join(folder, 'occupied', 'queue.db'))).rejects.toMatchObject({ code: 'QUEUE_CANNOT_OPEN' });
    mkdirSync(join(folder, 'directory.db'));
    await expect(open(join(folder, 'directory.db'))).rejects.toMatchObject({ name: 'QueueStorageError' });
  });
});

describe('a disk that cannot take more', () => {
  it('refuses the payment, saying that it is not saved; what was queued stays, and can be delivered', async () => {
    const store = await open(file, { pagesMax: 30 });
    let count = 0;
    const fillUp = async (): Promise<void> => {
      for (; count < 1_000; count++) await store.add(row(String(count), { memo: 'x'.repeat(140) }), admitAll);
    };
    await expect(fillUp()).rejects.toMatchObject({ name: 'QueueStorageError', code: 'QUEUE_NOT_SAVED', path: file, message: expect.stringContaining('full') });
    expect(await ids(store)).toHaveLength(count);
    await store.change({ limit: 1 }, ([first]) => [{ ...first!, state: 'done' }]);
    await store.close();
    const again = await open();
    expect(await ids(again)).toHaveLength(count);
    expect(await again.marks()).toMatchObject({ last: 1 });
  });

  it('is noticed also where another program holds the file', async () => {
    const store = await open();
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    await expect(store.add(row('a'), admitAll)).rejects.toMatchObject({ code: 'QUEUE_NOT_SAVED', message: expect.stringContaining('locked') });
    other.close();
    expect(await ids(store)).toEqual([]);
  });
});

describe('the file', () => {
  it('is for its user alone, in a directory that is made for it', async () => {
    const path = join(folder, 'new', 'deep', 'queue.db');
    const store = await open(path);
    await store.add(row('a'), admitAll);
    expect([statSync(path).mode & 0o777, statSync(`${path}-wal`).mode & 0o777]).toEqual([0o600, 0o600]);
  });
});
