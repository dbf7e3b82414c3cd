// The file of a secret: made once, for its owner alone, and never used when it is damaged.

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { openSecret } from './secret-file.ts';

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'strife-secret-'));
  file = join(directory, 'deep', 'bank.refresh-secret');
});
afterEach(() => rm(directory, { recursive: true }));

it('makes one secret for all who open the file at once, readable by its owner alone', async () => {
  const opened = await Promise.all(Array.from({ length: 8 }, () => openSecret(file)));
  expect(new Set(opened.map((secret) => Buffer.from(secret).toString('hex'))).size).toBe(1);
  expect(opened[0]).toHaveLength(32);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(directory, 'deep'))).toEqual(['bank.refresh-secret']);
  expect(await openSecret(file)).toEqual(opened[0]);
});

it('refuses a file that others may read, and a damaged one, without showing what is in it', async () => {
  await openSecret(file);
  const whole = (await readFile(file, 'utf8')).trim();
  for (const text of ['', whole.slice(1), `${whole}A`, `${whole.slice(0, -1)}=`, `${'!'.repeat(43)}`]) {
    await writeFile(file, text);
    const error = await openSecret(file).then(() => undefined, (reason: Error) => reason);
    expect(error).toMatchObject({ name: 'KeyFileError', message: expect.stringContaining('is not a whole secret') });
    expect(error?.message).not.toContain(whole.slice(1, 20));
  }
  await chmod(file, 0o640);
  await expect(openSecret(file)).rejects.toMatchObject({ message: expect.stringContaining('chmod 600') });
});
