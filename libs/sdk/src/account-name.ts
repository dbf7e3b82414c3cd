// Account names between their written form, `alpha/alice`, and their parts.

import { InvalidArgumentError } from './errors.ts';
import type { AccountAddress } from './model.ts';

/** `alpha/alice` to its parts. Throws InvalidArgumentError naming `field` if it has not exactly two. */
export function parseAccountName(text: string | AccountAddress, field: string): AccountAddress {
  const parts = typeof text === 'string' ? text.trim().split('/') : [text?.bank, text?.account];
  const [bank, account] = parts;
  if (parts.length !== 2 || !isName(bank) || !isName(account)) {
    throw new InvalidArgumentError(`${field} must be <bank>/<account>, such as beta/bob`, {
      code: 'INVALID_ACCOUNT_NAME',
      outcome: 'not_applied',
      field,
    });
  }
  return { bank, account };
}

/** The parts of an account's name to `alpha/alice`. */
export function formatAccountName(name: AccountAddress): string {
  return `${name.bank}/${name.account}`;
}

function isName(part: unknown): part is string {
  return typeof part === 'string' && part !== '';
}
