// The queue's file where a folder cannot be opened, as on Windows.
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';

const { platform } = process;
let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'strife-queue-'));
});

afterEach(() => {
  Object.defineProperty(process, 'platform', { value: platform });
  fs.rmSync(folder, { recursive: true });
});

const openSync: typeof fs.openSync = (path, ...more) => {
  const isFolder = fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isFolder) throw Object.assign(new Error('EPERM: operation not permitted, open'), { code: 'EPERM' });
  return fs.openSync(path, ...more);
};

it('is made on Windows, and set aside when it is corrupt, without opening its folder', async () => {
  jest.unstable_mockModule('node:fs', () => ({ ...fs, openSync }));
  Object.defineProperty(process, 'platform', { value: 'win32' });
  const { openQueueFile } = await import('./sqlite-queue-file.ts');
  const path = join(folder, 'queue.db');
  (await openQueueFile(path)).close();
  fs.writeFileSync(path, 'this is no queue of payments'.repeat(1_000));
  const again = await openQueueFile(path);
  again.close();
  expect(again.setAside?.path).toMatch(/queue\.db\.corrupt-/);
});
