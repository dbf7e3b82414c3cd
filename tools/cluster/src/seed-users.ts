// The users that a local cluster's banks open accounts for, and the files that tell the banks.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface SeedUser {
  readonly username: string;
  readonly password: string;
  /** ISO 4217. */
  readonly currency: string;
  readonly openingMinor: bigint;
}

/** By bank. */
export type Users = Readonly<Record<string, readonly SeedUser[]>>;

const OPENING_MINOR = 100_000n;

/** alice and carol at alpha, bob and dave at beta, erin and frank at gamma; 1,000.00 EUR each; the password of alice is `alice-password`. */
export const defaultUsers: Users = {
  alpha: [seedUser('alice'), seedUser('carol')],
  beta: [seedUser('bob'), seedUser('dave')],
  gamma: [seedUser('erin'), seedUser('frank')],
};

/** A user with the default currency, balance and password. */
export function seedUser(username: string, overrides: Partial<SeedUser> = {}): SeedUser {
  return { username, password: `${username}-password`, currency: 'EUR', openingMinor: OPENING_MINOR, ...overrides };
}

/** Writes the `--seed` file of a bank and returns its path. Passwords are in it: it is for development only. */
export async function writeSeed(directory: string, bank: string, users: readonly SeedUser[]): Promise<string> {
  await mkdir(directory, { recursive: true });
  const file = join(directory, `users-${bank}.json`);
  const rows = users.map(({ username, password, currency, openingMinor }) => ({
    username,
    password,
    currency,
    opening_minor: openingMinor.toString(),
  }));
  await writeFile(file, `${JSON.stringify(rows, null, 2)}\n`, { mode: 0o600 });
  return file;
}
