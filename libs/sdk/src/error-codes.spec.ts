import { expect, it } from '@jest/globals';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERROR_CODES } from './index.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Where what gateways tell clients comes from: their own words, and those of banks, which they pass on. */
const SERVICES = ['apps/gateway/src', 'apps/bank/src', 'libs/service/src', 'libs/auth/src'];
/** What only gateways, banks and operators call. */
const NOT_FOR_CLIENTS = [
  'apps/gateway/src/coordinator-api.ts', 'apps/gateway/src/peer-api.ts',
  'apps/bank/src/participant-api.ts', 'apps/bank/src/exchange.ts', 'apps/bank/src/admin-api.ts',
];
/** Codes of errors inside a service, which tells its clients something else. */
const NEVER_TOLD = ['KEY_FILE', 'PASSWORD_OUT_OF_RANGE', 'PASSWORDS_BUSY', 'REVOCATIONS_FULL'];

function sources(folder: string): string[] {
  const names = globSync('**/*.ts', { cwd: join(ROOT, folder) }).filter((name) => !/\.spec(-[a-z]+)?\.ts$|^testing\//.test(name));
  return names.map((name) => join(folder, name).replaceAll('\\', '/'));
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

function codesIn(files: readonly string[], pattern: RegExp): string[] {
  return [...new Set(files.flatMap((file) => [...read(file).matchAll(pattern)].map(([, code = '']) => code)))];
}

const unknown = (codes: readonly string[]): string[] => codes.filter((code) => !(code in ERROR_CODES));

it('lists every code that the library makes', () => {
  // Every text that looks like a code, but for those of Node's own errors.
  const codes = codesIn(sources('libs/sdk/src'), /(?:(?<=code: )|(?='[A-Z]+_))'(?!EAI_|ERR_)([A-Z][A-Z_]+)'/g);
  expect(codes).toEqual(expect.arrayContaining(['NOT_LOGGED_IN', 'TRANSFER_ID_REUSED', 'QUEUE_FULL', 'QUEUE_CORRUPT', 'CLOSED']));
  expect(codes.length).toBeGreaterThan(45);
  expect(unknown(codes)).toEqual([]);
});

it('lists every code that gateways tell clients, in words of their own or of a bank', () => {
  const files = SERVICES.flatMap(sources).filter((file) => !NOT_FOR_CLIENTS.includes(file));
  const made = /(?:reason: |\bcode = |\b(?:invalidArgument|wrong)\([^\n]*?, |Error\(|\| (?='[A-Z]+_))'([A-Z][A-Z_]+)'/g;
  const codes = codesIn(files, made).filter((code) => !NEVER_TOLD.includes(code));
  expect(codes).toEqual(expect.arrayContaining(['OWN_ACCOUNT', 'MEMO_CONTROL_CHARACTERS', 'LOGINS_BUSY', 'TOO_MANY_REFRESHES', 'ROLE_NOT_ALLOWED', 'TOKEN_FORGED']));
  expect(codes.length).toBeGreaterThan(45);
  expect(unknown(codes)).toEqual([]);
});

it('lists what is said of a signed token, by gateways and banks', () => {
  const [, union = ''] = /type TokenFault = ([^;]+);/.exec(read('libs/auth/src/signed-tokens.ts')) ?? [];
  const faults = [...union.matchAll(/'([A-Z]+)'/g)].map(([, fault]) => fault);
  expect(faults.length).toBeGreaterThan(3);
  expect(unknown(faults.flatMap((fault) => [`TOKEN_${fault}`, `GRANT_${fault}`]))).toEqual([]);
});

it('lists what gateways say for a bank that gave no details', () => {
  const [, set = ''] = /forTheUser[^=]*= new Set\(\[([^\]]+)\]/.exec(read('apps/gateway/src/bank-calls.ts')) ?? [];
  const statuses = [...set.matchAll(/Status\.([A-Z_]+)/g)].map(([, status]) => status);
  expect(statuses.length).toBeGreaterThan(3);
  expect(unknown(statuses.map((status) => `BANK_${status}`))).toEqual([]);
});
