// Account names between their written form, `alpha/alice`, and their parts.

import { InvalidArgumentError } from './errors.ts';
import type { AccountAddress } from './model.ts';

/** Names of banks and accounts, as gateways and banks take them. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const NAME_RULE = '1 to 63 of a-z, 0-9, ".", "_" and "-", the first a letter or digit';

/** `alpha/alice` to its parts. Throws InvalidArgumentError naming `field` if it has not exactly two, or if one is no name. */
export function parseAccountName(text: string | AccountAddress, field: string): AccountAddress {
  const { bank, account } = typeof text === 'string' ? halves(text.trim()) : (text ?? NOTHING);
  if (!isText(bank) || !isText(account)) throw invalidName(`${field} must be <bank>/<account>, such as beta/bob`, field);
  if (!NAME.test(bank) || !NAME.test(account)) throw invalidName(`${field} must be <bank>/<account>, each ${NAME_RULE}`, field);
  return { bank, account };
}

const NOTHING = { bank: '', account: '' };

/** Around the only slash. */
function halves(text: string): AccountAddress {
  const slash = text.indexOf('/');
  return slash === -1 || text.includes('/', slash + 1) ? NOTHING : { bank: text.slice(0, slash), account: text.slice(slash + 1) };
}

/** Throws InvalidArgumentError naming `field` for what cannot be the name of a bank, or of an account at one. */
export function requireName(name: string, field: string): void {
  if (!isText(name) || !NAME.test(name)) throw invalidName(`${field} must be ${NAME_RULE}`, field);
}

/** The parts of an account's name to `alpha/alice`. */
export function formatAccountName(name: AccountAddress): string {
  return `${name.bank}/${name.account}`;
}

function isText(part: unknown): part is string {
  return typeof part === 'string' && part !== '';
}

function invalidName(message: string, field: string): InvalidArgumentError {
  return new InvalidArgumentError(message, { code: 'INVALID_ACCOUNT_NAME', outcome: 'not_applied', field });
}
