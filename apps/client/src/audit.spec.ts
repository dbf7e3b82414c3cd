import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeStores } from './testing/bank-stores.ts';
import { emptyFolder, type StrifeFolder } from './testing/strife-folder.ts';

let folder: StrifeFolder;

beforeEach(() => {
  folder = emptyFolder();
});

afterEach(() => folder.remove());

const audit = (...args: string[]) => folder.strife(['audit', ...args]);

it('finds the books of a stopped cluster in order', async () => {
  makeStores(folder.path);
  const run = await audit('--data-dir', folder.path);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout).toContain('Clean: money is conserved. 0 transfers checked, 0 in doubt.\n');
  expect(run.stdout).toContain('beta: 2 accounts; customers own 20.00 EUR');
});

it('names an invariant that is broken, and the ids, with exit 1', async () => {
  makeStores(folder.path);
  const store = new DatabaseSync(join(folder.path, 'bank-alpha.sqlite'));
  store.exec("UPDATE accounts SET posted = posted + 1 WHERE name = 'alice'");
  store.close();
  const run = await audit('--data-dir', folder.path);
  expect(run).toMatchObject({ code: 1, stdout: expect.stringContaining('BROKEN:') });
  expect(run.stdout).toMatch(/ {2}invariant \d: .*\n {4}alpha\/alice/);

  const json = await audit('--data-dir', folder.path, '--json');
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({ version: 1, audit: { ok: false, violations: expect.any(Array) } });
});

it('refuses a folder that is not there or has no stores, and none at all, with exit 2', async () => {
  expect(await audit('--data-dir', 'nowhere')).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot be read') });
  expect(await audit('--data-dir', folder.path)).toMatchObject({ code: 2, stderr: expect.stringContaining('has no stores') });
  expect(await audit()).toMatchObject({ code: 2, stderr: expect.stringContaining('--data-dir') });
  expect(existsSync(join(folder.path, 'nowhere'))).toBe(false);
});
