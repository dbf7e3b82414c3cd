import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readSeedFile } from './seed.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strife-seed-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const alice = { username: 'alice', password: 'alice-password', currency: 'EUR', opening_minor: 10_000 };

async function seeded(content: unknown) {
  const file = join(folder, 'users.json');
  await writeFile(file, JSON.stringify(content));
  return readSeedFile(file);
}

it('reads amounts as numbers and, of any size, as texts', async () => {
  expect(await seeded([alice, { ...alice, username: 'bob', opening_minor: '9007199254740993' }])).toEqual([
    { username: 'alice', password: 'alice-password', currency: 'EUR', openingMinor: 10_000n },
    { username: 'bob', password: 'alice-password', currency: 'EUR', openingMinor: 9_007_199_254_740_993n },
  ]);
});

it.each([
  [{ ...alice, username: 'Alice' }, 'username: must be 1 to 63 of a-z, 0-9, ".", "_" and "-"'],
  [{ ...alice, password: '' }, 'password: must be a text of 1 to 1024 characters'],
  [{ ...alice, password: 'x'.repeat(1025) }, 'password: must be a text of 1 to 1024 characters'],
  [{ ...alice, password: 123_456 }, 'password: must be a text of 1 to 1024 characters'],
  [{ ...alice, username: 5 }, 'username: must be 1 to 63 of a-z, 0-9, ".", "_" and "-"'],
  [{ ...alice, currency: null }, 'currency: must be an ISO 4217 code'],
  [{ ...alice, currency: 'XXY' }, 'currency: must be an ISO 4217 code'],
  [{ ...alice, opening_minor: 1.5 }, 'opening_minor: must be a whole number of minor units'],
  [{ ...alice, opening_minor: -1 }, 'opening_minor: must be a whole number of minor units'],
  [{ ...alice, opening_minor: '1.5' }, 'opening_minor: must be a whole number of minor units'],
  [{ ...alice, opening_minor: null }, 'opening_minor: must be a whole number of minor units'],
  [{ ...alice, opening_minor: '9'.repeat(19) }, expect.stringMatching(/^opening_minor: must be at most \d+$/)],
])('names the user, the field and the rule: %#', async (user, expected) => {
  const error = await seeded([alice, user]).then(() => undefined, (reason: Error) => reason);
  expect(error?.name).toBe('StartupError');
  const [, problem] = /^seed file .*users\.json: 1\.(.*)$/.exec(error!.message) ?? [];
  expect(problem).toEqual(expected);
});

const USER_RULE = 'must have a username, a password, a currency and an opening_minor, and nothing else';

it.each([
  [{}, ': must be a list of users'],
  [['alice-password'], `: 0: ${USER_RULE}`],
  [[{ ...alice, admin: true }], `: 0.admin: ${USER_RULE}`],
  [[{ username: 'alice' }], `: 0.password: ${USER_RULE}`],
])('refuses what is no list of users, and does not repeat it: %#', async (content, problem) => {
  await expect(seeded(content)).rejects.toThrow(new RegExp(`users\\.json${problem}$`));
});
