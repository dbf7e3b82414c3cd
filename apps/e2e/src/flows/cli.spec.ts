// The `strife` command against real services: what it prints, what it exits with, and what an audit finds in tampered books.

import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newTransferId } from '@strife/sdk';
import { expectCleanBooks } from '../support/books.ts';
import { documentsOf, strifeCommand } from '../support/strife-command.ts';
import type { CommandResult, StrifeCommand } from '../support/strife-command.ts';
import { passwordOf, startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;
let alice: StrifeCommand;
let bob: StrifeCommand;
let nobody: StrifeCommand;

beforeAll(async () => {
  cluster = await startTestCluster({ prepareTimeoutMs: 500 });
  [alice, bob, nobody] = (await Promise.all(['alice', 'bob', 'nobody'].map(commandOf))) as [StrifeCommand, StrifeCommand, StrifeCommand];
  await Promise.all([logIn(alice, 'alpha', 'alice'), logIn(bob, 'beta', 'bob')]);
}, 60_000);
afterAll(() => cluster?.end());

/** A command line with a home of its own. */
async function commandOf(name: string): Promise<StrifeCommand> {
  const home = join(cluster.root, 'homes', name);
  await mkdir(home, { recursive: true });
  return strifeCommand({ home, profileFile: cluster.profileFile });
}

function logIn(strife: StrifeCommand, bank: string, user: string, ...flags: string[]): Promise<CommandResult> {
  return strife(['login', bank, user, ...flags], { env: { STRIFE_PASSWORD: passwordOf(user) } });
}

/** The one document of a `--json` command. */
function documentOf(result: CommandResult): Record<string, unknown> {
  const documents = documentsOf(result);
  expect(documents).toHaveLength(1);
  expect(documents[0]).toMatchObject({ version: 1 });
  return documents[0]!;
}

/** The exit code and the error of a `--json` command that fails. */
async function failure(strife: StrifeCommand, args: readonly string[]): Promise<Record<string, unknown>> {
  const result = await strife(['--json', ...args]);
  expect(result.stderr).toBe('');
  const error = documentOf(result)['error'] as Record<string, unknown>;
  expect(error['exitCode']).toBe(result.code);
  expect(String(error['message'])).not.toMatch(/\n|\bat \S+ \(|\.ts\b/);
  return error;
}

/** Runs the command while the bank's process stands still, and then waits until the bank answers again. */
async function whileSilent<Result>(bank: string, run: () => Promise<Result>): Promise<Result> {
  const { pid } = cluster.service(bank);
  let result: Result;
  process.kill(pid, 'SIGSTOP');
  try {
    result = await run();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  expect(await alice(['balance', '--timeout', '30'])).toMatchObject({ code: 0 });
  return result;
}

describe('a session at the terminal', () => {
  it('goes from login to logout', async () => {
    const carol = await commandOf('carol');
    const loggedIn = await carol(['login', 'alpha', 'carol', '--password-stdin'], { input: `${passwordOf('carol')}\n` });
    expect(loggedIn).toEqual({ code: 0, stdout: expect.stringMatching(/^Logged in as alpha\/carol, until \d{4}-.*\.\n$/), stderr: expect.stringContaining('Next: strife balance') });
    expect(await carol(['whoami'])).toMatchObject({ code: 0, stdout: 'alpha/carol\n' });
    expect(await carol(['balance'])).toEqual({ code: 0, stdout: 'alpha/carol: 1000.00 EUR\n', stderr: '' });

    const id = newTransferId();
    const paid = await carol(['pay', 'beta/dave', '12.50', '--memo', 'tea \u202e& cake', '--id', id]);
    expect(paid).toEqual({ code: 0, stdout: `Paid 12.50 EUR to beta/dave (transfer ${id}).\n`, stderr: expect.stringContaining(`strife transfer show ${id}`) });
    expect(await carol(['pay', 'beta/dave', '12.50', '--memo', 'tea \u202e& cake', '--id', id])).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing moved now') });
    expect(await carol(['balance', '--quiet'])).toEqual({ code: 0, stdout: 'alpha/carol: 987.50 EUR\n', stderr: '' });

    const history = await carol(['history']);
    expect(history.code).toBe(0);
    // What others wrote cannot play tricks on the terminal.
    expect(history.stdout).toMatch(/-12\.50 EUR +beta\/dave +987\.50 EUR +tea \u{FFFD}& cake/u);
    expect(history.stdout).toMatch(/\+1000\.00 EUR/);
    const shown = await carol(['transfer', 'show', id]);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    for (const fact of [id, 'succeeded', 'alpha/carol', 'beta/dave', '12.50 EUR']) expect(shown.stdout).toContain(fact);

    expect(await carol(['logout'])).toMatchObject({ code: 0, stdout: 'Logged out alpha/carol.\n' });
    expect(await carol(['whoami'])).toMatchObject({ code: 3, stdout: '' });
  });

  it('keeps the token in a file that only its owner may read, and the session ends everywhere at logout', async () => {
    const one = await commandOf('dave');
    await logIn(one, 'beta', 'dave');
    const [session] = (await readdir(join(cluster.root, 'homes', 'dave'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile() && entry.name.endsWith('.json'));
    expect((await stat(join(session!.parentPath, session!.name))).mode & 0o777).toBe(0o600);

    const other = await commandOf('dave-elsewhere');
    await cp(join(cluster.root, 'homes', 'dave'), join(cluster.root, 'homes', 'dave-elsewhere'), { recursive: true });
    expect(await other(['balance'])).toMatchObject({ code: 0 });
    expect(await one(['logout'])).toMatchObject({ code: 0 });
    expect(await failure(other, ['balance'])).toMatchObject({ exitCode: 3, code: 'TOKEN_REVOKED' });
  });

  it('logs the one out who was logged in before', async () => {
    const shared = await commandOf('shared');
    await logIn(shared, 'alpha', 'carol');
    expect(await logIn(shared, 'beta', 'dave')).toMatchObject({ code: 0, stderr: expect.stringContaining('Logged out alpha/carol first.') });
    expect(await shared(['whoami', '-q'])).toEqual({ code: 0, stdout: 'beta/dave\n', stderr: '' });
  });
});

describe('--json', () => {
  it('prints one document for each result', async () => {
    const id = newTransferId();
    const session = { account: 'alpha/alice', currency: 'EUR', expiresAt: expect.stringMatching(/^\d{4}-.*Z$/) };
    const money = { currency: 'EUR', amount: '2.00', minorUnits: '200' };
    expect(documentOf(await alice(['whoami', '--json']))).toEqual({ version: 1, session });
    expect(documentOf(await alice(['pay', 'beta/bob', '2', '--memo', 'json', '--id', id, '--json']))).toMatchObject({
      transfer: { id, from: 'alpha/alice', to: 'beta/bob', amount: money, memo: 'json', state: 'succeeded', replayed: false },
    });
    expect(documentOf(await alice(['transfer', 'show', id, '--json']))).toMatchObject({ transfer: { id, amount: money } });
    expect(documentOf(await bob(['balance', '--json']))).toMatchObject({ balance: { account: 'beta/bob', posted: { minorUnits: '100200' }, held: { minorUnits: '0' } } });
    const entries = documentsOf(await bob(['history', '--json']));
    expect(entries).toMatchObject([{ version: 1, entry: { transferId: id, counterparty: 'alpha/alice', amount: money, memo: 'json' } }, { version: 1, entry: { amount: { minorUnits: '100000' } } }]);
    expect(documentsOf(await bob(['history', '--limit', '1', '--json']))).toHaveLength(1);
  });
});

describe('exit codes', () => {
  it.each<[string, string[], number, object]>([
    ['an amount that is no number', ['pay', 'beta/bob', 'ten'], 2, { code: 'USAGE', field: 'amount' }],
    ['an amount of fractions of a cent', ['pay', 'beta/bob', '1.005'], 2, { field: 'amount' }],
    ['an amount with an exponent', ['pay', 'beta/bob', '1e3'], 2, { field: 'amount' }],
    ['an amount that can be read in two ways', ['pay', 'beta/bob', '1,000'], 2, { field: 'amount' }],
    ['zero', ['pay', 'beta/bob', '0.00'], 2, { field: 'amount' }],
    ['a negative amount', ['pay', 'beta/bob', '--', '-5'], 2, { field: 'amount' }],
    ['too large an amount', ['pay', 'beta/bob', '10000000000000.01'], 2, { field: 'amount' }],
    ['an unknown currency', ['pay', 'beta/bob', '1', '--currency', 'XYZ'], 2, { field: 'currency' }],
    ['a payee without a bank', ['pay', 'bob', '1'], 2, { field: 'to' }],
    ['the own account', ['pay', 'alpha/alice', '1'], 2, { code: 'OWN_ACCOUNT', field: 'to' }],
    ['an id that is none', ['pay', 'beta/bob', '1', '--id', '42'], 2, { field: 'id' }],
    ['a memo that is too long', ['pay', 'beta/bob', '1', '--memo', 'm'.repeat(141)], 2, { field: 'memo' }],
    ['a memo of two lines', ['pay', 'beta/bob', '1', '--memo', 'a\nb'], 2, { code: 'MEMO_CONTROL_CHARACTERS', field: 'memo' }],
    ['an unknown command', ['blance'], 2, { code: 'USAGE', message: expect.stringContaining('balance') }],
    ['an unknown flag', ['balance', '--fast'], 2, { code: 'USAGE' }],
    ['a missing argument', ['pay', 'beta/bob'], 2, { code: 'USAGE' }],
    ['a missing profile', ['balance', '--profile', './nowhere.toml'], 2, { field: 'profile' }],
    ['missing certificates', ['balance', '--certs-dir', 'nowhere'], 2, { field: 'certs_dir' }],
    ['a decline', ['pay', 'beta/bob', '5000.00'], 4, { code: 'TRANSFER_DECLINED', outcome: 'not_applied' }],
    ['an unknown bank', ['pay', 'gamma/bob', '1'], 5, { code: 'UNKNOWN_BANK', field: 'to.bank' }],
    ['an unknown transfer', ['transfer', 'show', newTransferId()], 5, { code: 'NO_SUCH_TRANSFER' }],
    ['a gateway that is not there', ['balance', '--gateways', '127.0.0.1:1', '--timeout', '0.3'], 7, { code: 'UNAVAILABLE' }],
    ['a bank in the place of the gateway', ['balance', '--gateways', 'ALPHA', '--timeout', '10'], 7, { code: 'TLS_FAILED' }],
  ])('%s', async (_name, args, code, error) => {
    const typed = args.map((word) => (word === 'ALPHA' ? cluster.service('alpha').address : word));
    expect(await failure(alice, typed)).toMatchObject({ exitCode: code, ...error });
  });

  it('0: help and version', async () => {
    const help = await nobody(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const words of ['Examples:', 'strife pay beta/bob 12.50', 'Exit codes:']) expect(help.stdout).toContain(words);
    expect(await nobody(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  it('2: a login without a way to ask for the password, the menu without a terminal', async () => {
    expect(await failure(nobody, ['login', 'alpha', 'alice'])).toMatchObject({ exitCode: 2, field: 'password' });
    expect(await nobody([])).toMatchObject({ code: 2, stderr: expect.stringContaining('terminal') });
  });

  it('3: nobody is logged in, a wrong password, an unknown user', async () => {
    expect(await failure(nobody, ['balance'])).toMatchObject({ exitCode: 3, code: 'NOT_LOGGED_IN' });
    for (const user of ['alice', 'mallory']) {
      const refused = await nobody(['login', 'alpha', user, '--password-stdin'], { input: 'wrong' });
      expect(refused).toEqual({ code: 3, stdout: '', stderr: expect.stringContaining('username or password is wrong') });
    }
  });

  it('6: an id that was used for another payment', async () => {
    const id = newTransferId();
    expect(await alice(['pay', 'beta/bob', '1', '--id', id])).toMatchObject({ code: 0 });
    expect(await failure(alice, ['pay', 'beta/bob', '2', '--id', id])).toMatchObject({ exitCode: 6, code: 'ID_TAKEN', field: 'amount.minor_units', outcome: 'not_applied' });
  });

  it('7 and 8: a bank that does not answer; what is unknown is asked again, and paid once', async () => {
    const before = documentOf(await bob(['balance', '--json']));
    const across = await whileSilent('alpha', () => alice(['pay', 'beta/bob', '1', '--timeout', '4']));
    const payInside = (): Promise<Record<string, unknown>> => whileSilent('alpha', () => failure(alice, ['pay', 'alpha/carol', '1', '--timeout', '4']));
    let inside = await payInside();
    // A bank that is silent for seconds is taken from the registry: a command that comes after that, as on a busy machine, is told "not applied".
    for (let time = 0; time < 5 && inside['code'] === 'BANK_UNREACHABLE'; time += 1) inside = await payInside();
    // Between two banks the gateway can give a payment up; inside one bank only the bank knows.
    expect(across).toMatchObject({ code: 7, stdout: '', stderr: expect.stringContaining('Nothing moved.') });
    expect(documentOf(await bob(['balance', '--json']))).toEqual(before);
    expect(inside).toMatchObject({ exitCode: 8, code: 'OUTCOME_UNKNOWN', outcome: 'unknown' });
    const again = String(inside['askAgain']).split(' ').slice(1);
    expect(again).toContain(inside['transferId']);
    for (let time = 0; time < 2; time += 1) expect(await alice(again)).toMatchObject({ code: 0, stdout: expect.stringContaining('Paid 1.00 EUR to alpha/carol') });
    const entries = documentsOf(await alice(['history', '--json']));
    expect(entries.filter(({ entry }) => (entry as { transferId?: string }).transferId === inside['transferId'])).toHaveLength(1);
  });
});

describe('audit', () => {
  let transferId: string;

  beforeAll(async () => {
    transferId = newTransferId();
    await alice(['pay', 'beta/bob', '3.00', '--id', transferId]);
    await expectCleanBooks(cluster);
  });

  /** A copy of the stores, with SQL run on one of them. */
  async function tampered(name: string, store: string, sql: string): Promise<string> {
    const folder = join(cluster.root, 'copies', name.replaceAll(/[^a-z]+/g, '-'));
    await mkdir(folder, { recursive: true });
    for (const file of ['bank-alpha', 'bank-beta', 'gateway-g1']) {
      const original = new DatabaseSync(join(cluster.directories.data, `${file}.sqlite`), { readOnly: true });
      original.exec(`VACUUM INTO '${join(folder, `${file}.sqlite`)}'`);
      original.close();
    }
    const copy = new DatabaseSync(join(folder, `${store}.sqlite`));
    copy.exec(sql);
    copy.close();
    return folder;
  }

  it('is clean while the services run, and in a copy', async () => {
    expect(await nobody(['audit'])).toEqual({ code: 0, stdout: expect.stringMatching(/^Clean: .*\b\d+ transfers checked, 0 in doubt\./), stderr: '' });
    const alone = await tampered('alone', 'bank-alpha', 'SELECT 1');
    await rm(join(alone, 'bank-beta.sqlite'));
    expect(await nobody(['audit', '--data-dir', alone])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Clean: nothing is wrong in these stores[^]*NOT AUDITED, no store given: bank beta\n/) });
    expect(documentOf(await nobody(['audit', '--json', '--data-dir', await tampered('clean', 'bank-alpha', 'SELECT 1')]))).toMatchObject({ audit: { ok: true, inDoubt: 0, violations: [] } });
  });

  const id = (): string => `x'${transferId.replaceAll('-', '')}'`;
  const unlocked = 'DROP TRIGGER entries_stay; DROP TRIGGER entries_stay_as_written;';
  const tamperings: [name: string, store: string, sql: () => string, invariant: number, names: () => string][] = [
    ['an entry that is gone', 'bank-alpha', () => `${unlocked} DELETE FROM entries WHERE transfer_id = ${id()} AND amount < 0`, 1, () => transferId],
    ['an entry that was changed', 'bank-beta', () => `${unlocked} UPDATE entries SET amount = amount + 1 WHERE transfer_id = ${id()} AND amount > 0`, 1, () => transferId],
    ['a balance that was raised', 'bank-alpha', () => "UPDATE accounts SET posted = posted + 1000000 WHERE name = 'alice'", 1, () => 'alpha/alice'],
    ['money moved from one account to another', 'bank-beta', () => "UPDATE accounts SET posted = posted - 5 WHERE name = 'bob'; UPDATE accounts SET posted = posted + 5 WHERE name = 'dave'", 1, () => 'beta/dave'],
    ['a leg that was settled at one bank and aborted at the other', 'bank-beta', () => `UPDATE legs SET state = 2 WHERE id = ${id()}`, 3, () => transferId],
    ['a leg that is gone', 'bank-beta', () => `DELETE FROM legs WHERE id = ${id()}`, 3, () => transferId],
    ['a leg of another amount', 'bank-beta', () => `UPDATE legs SET amount = amount * 2 WHERE id = ${id()}`, 3, () => transferId],
    ['a decision that was turned round', 'gateway-g1', () => `UPDATE decisions SET outcome = 2, reason = 'timeout' WHERE id = ${id()}`, 4, () => transferId],
    ['an account below its floor', 'bank-alpha', () => "PRAGMA ignore_check_constraints = ON; UPDATE accounts SET floor = posted + 1 WHERE name = 'carol'", 5, () => 'alpha/carol'],
  ];

  it.each(tamperings)('finds %s: exit 1, the invariant and the ids', async (name, store, sql, invariant, named) => {
    const folder = await tampered(name, store, sql());
    const result = await nobody(['audit', '--data-dir', folder, '--json']);
    const { ok, violations } = documentOf(result)['audit'] as { ok: boolean; violations: { invariant: number; ids: string[] }[] };
    expect([result.code, ok]).toEqual([1, false]);
    expect(violations).toContainEqual(expect.objectContaining({ invariant, ids: expect.arrayContaining([named()]) }));
  });

  it('says for a person what is broken, and where', async () => {
    const [, store, sql] = tamperings[0]!;
    const { code, stdout, stderr } = await nobody(['audit', '--data-dir', await tampered('for a person', store, sql())]);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toMatch(/^BROKEN: /);
    for (const words of ['invariant 1: ', transferId]) expect(stdout).toContain(words);
  });

  it('says what it cannot read, and exits with 2 for what is no data folder', async () => {
    expect(await failure(nobody, ['audit', '--data-dir', join(cluster.root, 'nowhere')])).toMatchObject({ exitCode: 2, field: 'data-dir' });
    expect(await failure(nobody, ['audit', '--data-dir', cluster.directories.certs])).toMatchObject({ exitCode: 2, field: 'data-dir' });
    const damaged = await tampered('damaged', 'bank-alpha', 'DROP TABLE legs');
    expect(await failure(nobody, ['audit', '--data-dir', damaged])).toMatchObject({ exitCode: 1, message: expect.stringContaining('bank-alpha') });
  });

  it('finds the real books as clean as they were', async () => {
    await expectCleanBooks(cluster);
  });
});
