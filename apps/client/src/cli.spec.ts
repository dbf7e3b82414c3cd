import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hang, refusal, startTestGateway, TEST_PASSWORD, type TestGateway } from '@strife/sdk/testing';
import { strifeFolder, type StrifeFolder, type UserFolder } from './testing/strife-folder.ts';

const ID = '0198c0de-0000-7000-8000-000000000001';
const UNAVAILABLE = 14;

let gateway: TestGateway;
let folder: UserFolder;

beforeAll(async () => {
  gateway = await startTestGateway();
});

afterAll(() => gateway.kill());

beforeEach(() => {
  gateway.calls.length = 0;
  gateway.heal();
  folder = strifeFolder(gateway);
});

afterEach(() => folder.remove());

const strife: StrifeFolder['strife'] = (args, options) => folder.strife(args, options);
const logIn = (user = 'alpha/alice') =>
  strife(['login', ...user.split('/')], { env: { STRIFE_PASSWORD: TEST_PASSWORD } });

describe('login', () => {
  it('takes the password from a variable and keeps the token in a file of the owner alone', async () => {
    const run = await logIn();
    expect(run).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Logged in as alpha\/alice, until /) });
    expect(run.stderr).toContain('Next: strife balance');
    const [file] = readdirSync(join(folder.path, 'state', 'strife', 'sessions'), { recursive: true });
    const path = join(folder.path, 'state', 'strife', 'sessions', String(file));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(run.stdout + run.stderr).not.toContain(JSON.parse(readFileSync(path, 'utf8')).session.token);
  });

  it('takes the password from stdin', async () => {
    expect(await strife(['login', 'alpha', 'alice', '--password-stdin'], { stdin: `${TEST_PASSWORD}\n` })).toMatchObject({ code: 0 });
  });

  it('refuses a wrong password with exit 3, and no password at all with exit 2', async () => {
    expect(await strife(['login', 'alpha', 'alice', '--password-stdin'], { stdin: 'wrong' })).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('wrong bank, user name or password'),
    });
    expect(await strife(['login', 'alpha', 'alice'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--password-stdin') });
    expect(await strife(['login', 'alpha', 'alice', '--password-stdin'])).toMatchObject({ code: 2 });
  });

  it('logs out whoever was logged in, and says so', async () => {
    await logIn();
    const sessionsBefore = gateway.bank.sessions.size;
    const run = await logIn('beta/bob');
    expect(run.stderr).toContain('Logged out alpha/alice first.');
    expect(gateway.bank.sessions.size).toBe(sessionsBefore);
    expect(await strife(['whoami'])).toMatchObject({ code: 0, stdout: 'beta/bob\n' });
  });

  it('says until when the session before lives that could not be revoked', async () => {
    const { stdout } = await logIn();
    const [, end] = /until (.*)\./.exec(stdout)!;
    gateway.failNext('logout', async () => {
      throw refusal(13, 'broken', { reason: 'INTERNAL' });
    });
    const run = await logIn('beta/bob');
    expect(run).toMatchObject({ code: 0, stderr: expect.stringContaining(`alpha/alice before could not be revoked; it is forgotten here and lives until ${end}.`) });
  });
});

describe('logout', () => {
  it('revokes the session and forgets it', async () => {
    await logIn();
    const before = gateway.bank.sessions.size;
    expect(await strife(['logout'])).toMatchObject({ code: 0, stdout: 'Logged out alpha/alice.\n' });
    expect(gateway.bank.sessions.size).toBe(before - 1);
    expect(await strife(['whoami'])).toMatchObject({ code: 3 });
    expect(await strife(['logout'])).toMatchObject({ code: 0, stdout: 'Nobody is logged in.\n' });
  });

  it('keeps it when the gateway cannot be told, says until when it lives, and revokes it when repeated', async () => {
    const { stdout } = await logIn();
    const [, end] = /until (.*)\./.exec(stdout)!;
    const before = gateway.bank.sessions.size;
    gateway.failNext('logout', async () => {
      throw refusal(13, 'broken', { reason: 'INTERNAL' });
    });
    const failed = await strife(['logout']);
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining(`Repeat: strife logout. Without it the session lives until ${end}.`) });
    expect(await strife(['whoami'])).toMatchObject({ code: 0 });
    expect(await strife(['logout'])).toMatchObject({ code: 0 });
    expect(gateway.bank.sessions.size).toBe(before - 1);
    expect(await strife(['whoami'])).toMatchObject({ code: 3 });
  });
});

describe('pay', () => {
  beforeEach(async () => {
    await folder.logIn();
  });

  it('pays, and says what happened on stdout and what next on stderr', async () => {
    const run = await strife(['pay', 'beta/bob', '1.50', '--memo', 'tea']);
    expect(run).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Paid 1\.50 EUR to beta\/bob \(transfer [0-9a-f-]{36}\)\.\n$/) });
    expect(run.stderr).toMatch(/^See it again: strife transfer show [0-9a-f-]{36}\n$/);
  });

  it('does not pay twice under one id, pasted with spaces', async () => {
    const id = '0198c0de-0000-7000-8000-00000000000a';
    await strife(['pay', 'beta/bob', '1', '--id', id]);
    const again = await strife(['pay', 'beta/bob', '1', '--id', `  ${id} `]);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing moved now') });
  });

  it('tells a decline with exit 4', async () => {
    const run = await strife(['pay', 'beta/bob', '1000']);
    expect(run).toMatchObject({ code: 4, stdout: '', stderr: expect.stringContaining('declined: insufficient funds\nNothing moved.') });
  });

  it('tells a used id with exit 6', async () => {
    const id = '0198c0de-0000-7000-8000-00000000000b';
    await strife(['pay', 'beta/bob', '1', '--id', id]);
    expect(await strife(['pay', 'beta/bob', '2', '--id', id])).toMatchObject({ code: 6, stderr: expect.stringContaining('Nothing moved.') });
  });

  it.each([
    ['0', 'amount'],
    ['0.00', 'amount'],
    ['-5', 'amount'],
    ['1,000', 'amount'],
    ['1.234', 'amount'],
    ['ten', 'amount'],
    ['99999999999999999999', 'amount'],
  ])('refuses the amount %s with exit 2, naming it', async (amount, field) => {
    const run = await strife(['pay', 'beta/bob', amount, '--json']);
    expect(run.code).toBe(2);
    expect(JSON.parse(run.stdout)).toMatchObject({ version: 1, error: { field, message: expect.stringContaining(field) } });
    expect(gateway.calls).not.toContain('createTransfer');
  });

  it.each([
    [['beta', '1'], 'to must be'],
    [['beta/bob', '1', '--id', 'x'], 'id'],
    [['beta/bob', '1', '--currency', 'XXQ'], 'currency'],
    [['beta/bob', '1', '--memo', 'x'.repeat(141)], 'memo'],
    [['beta/bob', '1', '--wait', 'forever'], '--wait'],
    [['beta/bob'], 'amount'],
  ])('refuses %j with exit 2', async (args, named) => {
    expect(await strife(['pay', ...args])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(named) });
  });

  it('tells an outcome that is not known with exit 8, with the id and the command to ask again', async () => {
    gateway.failNext('createTransfer', hang);
    const run = await strife(['pay', 'beta/bob', '1.5', '--memo', "bob's tea", '--id', ID, '--timeout', '2']);
    expect(run).toMatchObject({ code: 8, stdout: '' });
    expect(run.stderr).toContain('NOT known');
    expect(run.stderr).toContain(`strife pay beta/bob 1.50 --currency EUR --memo 'bob'\\''s tea' --timeout 2 --id ${ID}`);
  });

  it.each([[[], ''], [['--id', ID], ` --id ${ID}`]])('tells a payment that was not applied for want of a bank with exit 7, and to ask again with the id that was given: %j', async (id, again) => {
    for (let i = 0; i < 20; i++) {
      gateway.failNext('createTransfer', async () => {
        throw refusal(UNAVAILABLE, 'bank beta is down', { reason: 'BANK_UNREACHABLE', outcome: 'NOT_APPLIED', retryable: 'true' });
      });
    }
    const run = await strife(['pay', 'beta/bob', '1', ...id, '--timeout', '2']);
    expect(run).toMatchObject({ code: 7, stderr: expect.stringContaining(`Nothing moved.\nTry again later:\n  strife pay beta/bob 1.00 --currency EUR --timeout 2${again}\n`) });
  });

  it('tells to ask again with the same moment of expiry and the settings that were typed, also from another folder', async () => {
    gateway.failNext('createTransfer', hang);
    const before = gateway.payments.length;
    const typed = ['--gateways', gateway.address, '--certs-dir', 'certs', '--certificate', 'client/test', '--profile', '.strife/profile.toml'];
    const run = await strife(['pay', 'beta/bob', '1', '--expires-in', '60s', '--timeout', '2', '--json', ...typed]);
    const { error } = JSON.parse(run.stdout);
    expect(run.code).toBe(8);
    expect(error.askAgain).toMatch(new RegExp(
      `^strife pay beta/bob 1\\.00 --currency EUR --expires-at \\S+Z --profile ${folder.path}/.strife/profile.toml --gateways ${gateway.address} --certs-dir ${folder.path}/certs --certificate client/test --timeout 2 --id ${error.transferId}$`,
    ));
    const expiresAt = new Date(/--expires-at (\S+)/.exec(error.askAgain)![1]!);
    expect(Math.abs(expiresAt.getTime() - Date.now() - 60_000)).toBeLessThan(30_000);

    const elsewhere = join(folder.path, 'elsewhere');
    mkdirSync(elsewhere);
    const words = error.askAgain.split(' ').slice(1).map((word: string) => (word === '2' ? '20' : word));
    expect(await strife(words, { cwd: elsewhere })).toMatchObject({ code: 0 });
    expect(gateway.payments.slice(before)).toMatchObject([{ id: error.transferId, expiresAtUnixMs: BigInt(expiresAt.getTime()) }]);
  });

  it('takes a moment of expiry, which may be past: then its bank declines the payment', async () => {
    await strife(['pay', 'beta/bob', '1', '--expires-at', '2001-09-09T01:46:40Z']);
    expect(gateway.payments.at(-1)).toMatchObject({ expiresAtUnixMs: 1_000_000_000_000n });
    expect(await strife(['pay', 'beta/bob', '1', '--expires-at', '2001-09-09T01:46:40Z', '--expires-in', '1h'])).toMatchObject({ code: 2, stderr: expect.stringContaining('expires-at') });
  });

  it('ends as unknown when it is interrupted with the payment on its way', async () => {
    let arrived: () => void;
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    gateway.failNext('createTransfer', (proceed, context) => {
      arrived();
      return hang(proceed, context);
    });
    const run = await strife(['pay', 'beta/bob', '1'], { interruptAfter: arrival });
    expect(run).toMatchObject({ code: 8, stderr: expect.stringContaining('Ask again') });
  });
});

describe('looking', () => {
  beforeEach(async () => {
    await folder.logIn('alpha', 'anna');
  });

  it('shows the balance', async () => {
    expect((await strife(['balance'])).stdout).toMatch(/^alpha\/anna: \d+\.\d\d EUR\n$/);
    const { balance } = JSON.parse((await strife(['balance', '--json'])).stdout);
    expect(balance).toMatchObject({ account: 'alpha/anna', held: { currency: 'EUR', amount: '0.00', minorUnits: '0' } });
  });

  it('shows the history as a table, and as one document a line', async () => {
    await strife(['pay', 'beta/bob', '2', '--memo', 'a\u001b[31mb']);
    const table = (await strife(['history', '--limit', '1'])).stdout;
    expect(table).toMatch(/^When +Amount +With +Balance +Memo\n\S+ \S+ +-2\.00 EUR +beta\/bob +\d+\.\d\d EUR +a\uFFFD\[31mb\n$/);
    const lines = (await strife(['history', '--json'])).stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ version: 1, entry: { counterparty: 'beta/bob', amount: { amount: '-2.00' } } });
    expect(lines.length).toBeGreaterThan(1);
  });

  it('shows a transfer, a declined one too, and tells one that does not exist with exit 5', async () => {
    await strife(['pay', 'beta/bob', '5000', '--id', ID]);
    const shown = await strife(['transfer', 'show', ` ${ID} `]);
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining('state     declined: insufficient funds') });
    expect(await strife(['transfer', 'show', ID.replace('1', '2')])).toMatchObject({ code: 5 });
    expect(await strife(['transfer', 'show', 'nonsense'])).toMatchObject({ code: 2 });
  });

  it('explains a transfer as an aligned timeline, and names who is missing with exit 0', async () => {
    await strife(['pay', 'beta/bob', '1', '--id', ID.replace('1', '3')]);
    const explained = await strife(['transfer', 'explain', ID.replace('1', '3')]);
    expect(explained).toMatchObject({ code: 0, stderr: '' });
    expect(explained.stdout.split('\n').slice(-5)).toEqual([
      expect.stringMatching(/^When +Where +Attempt  What +Detail$/),
      expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  gateway test +1  attempt  asks both banks$/),
      expect.stringMatching(/^- +gateway test +other +something new$/),
      'missing: bank beta: bank beta cannot be reached',
      '',
    ]);
    expect(await strife(['transfer', 'explain', ID.replace('1', '2')])).toMatchObject({ code: 5 });
  });

  it('says with exit 3 that a session was revoked elsewhere', async () => {
    for (const token of gateway.bank.sessions.keys()) gateway.bank.logout(token);
    const run = await strife(['balance']);
    expect(run).toMatchObject({ code: 3, stderr: expect.stringContaining('Log in: strife login') });
  });
});

describe('every command', () => {
  it('prints one document with --json, errors too, and nothing else', async () => {
    const run = await strife(['whoami', '--json']);
    expect(run).toMatchObject({ code: 3, stderr: '' });
    expect(JSON.parse(run.stdout)).toEqual({
      version: 1,
      error: { code: 'NOT_LOGGED_IN', message: 'nobody is logged in', exitCode: 3 },
    });
  });

  it('keeps its messages to itself with --quiet', async () => {
    await folder.logIn();
    expect(await strife(['whoami', '--quiet'])).toEqual({ code: 0, stdout: 'alpha/alice\n', stderr: '' });
  });

  it('colors only when asked to or at a terminal', async () => {
    expect((await strife(['whoami'])).stderr).not.toContain('\u001b[');
    expect((await strife(['whoami', '--color', 'always'])).stderr).toContain('\u001b[31m');
  });

  it('suggests what a mistyped word may have meant', async () => {
    expect(await strife(['balnce'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean balance?') });
    expect(await strife(['transfer', 'shwo'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean show?') });
    expect(await strife(['balance', '--jsn'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean --json?') });
  });

  it('is told in the help, examples first, with the exit codes', async () => {
    const { code, stdout } = await strife(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Examples:/);
    expect(stdout).toMatch(/8 +it is not known whether the payment was made/);
    expect((await strife(['pay', '--help'])).stdout).toMatch(/^Examples:\n {2}strife pay/);
  });

  it('needs a terminal for the menu', async () => {
    expect(await strife([])).toMatchObject({ code: 2, stderr: expect.stringContaining('strife --help') });
    expect(await strife(['alpha', 'alice'])).toMatchObject({ code: 2, stderr: expect.stringContaining('password on stdin') });
  });

  it('says with exit 7 that no gateway is there, or that it is none', async () => {
    await folder.logIn();
    expect(await strife(['balance', '--gateways', '127.0.0.1:1', '--timeout', '0.3'])).toMatchObject({
      code: 7,
      stderr: expect.stringContaining('127.0.0.1:1'),
    });
    const { authority, bank } = gateway;
    const impostor = await startTestGateway({ authority, bank, identity: 'bank/alpha' });
    const run = await strife(['balance', '--gateways', impostor.address]);
    expect(run).toMatchObject({ code: 7, stderr: expect.stringContaining('the server is not a gateway') });
    impostor.kill();
  });
});

describe('settings', () => {
  it('come from a profile in this folder or above, a variable before it, a flag before that', async () => {
    const below = join(folder.path, 'a', 'b');
    mkdirSync(below, { recursive: true });
    const verbose = async (args: string[], env = {}) => (await strife(['whoami', '-v', ...args], { cwd: below, env })).stderr;
    expect(await verbose([])).toContain(`gateways by list: ${gateway.address}; `);
    expect(await verbose([], { STRIFE_GATEWAYS: 'v:1,w:2' })).toContain('gateways by list: v:1, w:2; ');
    expect(await verbose(['--gateways', 'f:3'], { STRIFE_GATEWAYS: 'v:1' })).toContain('gateways by list: f:3; ');
    expect((await strife(['whoami'], { cwd: below })).stderr).not.toContain('profile');
  });

  it('come from a profile by name or file, and its session is its own', async () => {
    await folder.logIn();
    const text = readFileSync(join(folder.path, '.strife', 'profile.toml'), 'utf8').replace('../certs', '../../../certs');
    const profiles = join(folder.path, 'config', 'strife', 'profiles');
    mkdirSync(profiles, { recursive: true });
    writeFileSync(join(profiles, 'work.toml'), text);
    expect(await strife(['whoami', '--profile', 'work'])).toMatchObject({ code: 3 });
    expect(await strife(['whoami'], { env: { STRIFE_PROFILE: join(folder.path, '.strife', 'profile.toml') } })).toMatchObject({ code: 0 });
    expect(await strife(['whoami', '--profile', 'home'])).toMatchObject({ code: 2, stderr: expect.stringContaining('home.toml') });
  });

  it.each([
    ['gateways = "one"', '"gateways" must be a list'],
    ['gatways = []', 'unknown key "gatways"'],
    ['gateways = [', 'is not TOML'],
  ])('are refused with exit 2 in a profile that says %s', async (text, why) => {
    writeFileSync(join(folder.path, '.strife', 'profile.toml'), text);
    expect(await strife(['whoami'])).toMatchObject({ code: 2, stderr: expect.stringContaining(why) });
  });

  it('are refused with exit 2 when there are no certificates, or the time is none', async () => {
    await folder.logIn();
    expect(await strife(['balance', '--certs-dir', 'nowhere'])).toMatchObject({ code: 2, stderr: expect.stringContaining('nowhere/ca.pem') });
    expect(await strife(['balance', '--timeout', '0'])).toMatchObject({ code: 2, stderr: expect.stringContaining('timeout') });
    expect(await strife(['balance', '--gateways', 'nowhere'])).toMatchObject({ code: 2, stderr: expect.stringContaining('host') });
  });
});
