// Reads the file of users that a bank opens accounts for, once.

import { readFile } from 'node:fs/promises';
import { BALANCE_MINOR_MAX, isCurrency } from '@strife/ledger';
import { StartupError, z } from '@strife/service';

export interface SeedUser {
  readonly username: string;
  readonly password: string;
  readonly currency: string;
  readonly openingMinor: bigint;
}

const seedSchema = z.array(
  z.strictObject({
    username: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, ".", "_" and "-"'),
    password: z.string().min(1).max(1024),
    currency: z.string().refine(isCurrency, 'must be an ISO 4217 code'),
    opening_minor: z
      .union([z.string().regex(/^\d{1,19}$/, 'must be a whole number of minor units'), z.int().nonnegative()])
      .transform(BigInt)
      .refine((amount) => amount <= BALANCE_MINOR_MAX, `must be at most ${BALANCE_MINOR_MAX}`),
  }),
);

/** @throws {StartupError} of one line that names the file, the user's place in it, and the field. */
export async function readSeedFile(file: string): Promise<readonly SeedUser[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new StartupError(`seed file ${file} cannot be read: ${error.code ?? error.message}`);
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new StartupError(`seed file ${file} is not JSON`);
  }
  const parsed = seedSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new StartupError(`seed file ${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not a list of users'}`);
  }
  return parsed.data.map(({ username, password, currency, opening_minor }) => ({ username, password, currency, openingMinor: opening_minor }));
}
