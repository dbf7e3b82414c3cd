// Reads the file of users that a bank opens accounts for, once.

import { readFile } from 'node:fs/promises';
import { BALANCE_MINOR_MAX, isCurrency } from '@strife/ledger';
import { StartupError } from '@strife/service';
import * as v from 'valibot';

export interface SeedUser {
  readonly username: string;
  readonly password: string;
  readonly currency: string;
  readonly openingMinor: bigint;
}

// Every rule says what it wants, and never what it got: that may be a password.
const USER_RULE = 'must have a username, a password, a currency and an opening_minor, and nothing else';
const NAME_RULE = 'must be 1 to 63 of a-z, 0-9, ".", "_" and "-"';
const PASSWORD_RULE = 'must be a text of 1 to 1024 characters';
const CURRENCY_RULE = 'must be an ISO 4217 code';
const AMOUNT_RULE = 'must be a whole number of minor units';

const seedSchema = v.array(
  v.strictObject({
    username: v.pipe(v.string(NAME_RULE), v.regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, NAME_RULE)),
    password: v.pipe(v.string(PASSWORD_RULE), v.minLength(1, PASSWORD_RULE), v.maxLength(1024, PASSWORD_RULE)),
    currency: v.pipe(v.string(CURRENCY_RULE), v.check(isCurrency, CURRENCY_RULE)),
    opening_minor: v.pipe(
      v.union([v.pipe(v.string(), v.regex(/^\d{1,19}$/, AMOUNT_RULE)), v.pipe(v.number(), v.safeInteger(AMOUNT_RULE), v.minValue(0, AMOUNT_RULE))], AMOUNT_RULE),
      v.transform((amount) => BigInt(amount)),
      v.check((amount) => amount <= BALANCE_MINOR_MAX, `must be at most ${BALANCE_MINOR_MAX}`),
    ),
  }, USER_RULE),
  'must be a list of users',
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
  const parsed = v.safeParse(seedSchema, json);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const place = v.getDotPath(issue);
    throw new StartupError(`seed file ${file}: ${place === null ? '' : `${place}: `}${issue.message}`);
  }
  return parsed.output.map(({ username, password, currency, opening_minor }) => ({ username, password, currency, openingMinor: opening_minor }));
}
