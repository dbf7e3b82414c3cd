// The menu at a real terminal: what a person sees, and what Ctrl-C does.
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { hang, startTestGateway, TEST_PASSWORD, type TestGateway } from '@strife/sdk/testing';
import { PROGRAM, strifeFolder, type StrifeFolder, type UserFolder } from './testing/strife-folder.ts';
import { describeOnTerminal, onTerminal, type TestTerminal } from './testing/terminal.ts';

/** The choices, and the place to type in. */
const READY = /log out +6 quit\n> $/;
const CTRL_C = '\x03';

let gateway: TestGateway;
let folder: UserFolder;

beforeEach(async () => {
  gateway = await startTestGateway();
  folder = strifeFolder(gateway);
});

afterEach(() => {
  gateway.kill();
  folder.remove();
});

const strife: StrifeFolder['strife'] = (args, options) => folder.strife(args, options);

function atTerminal(args: string, { columns = 100, input = '' } = {}): TestTerminal {
  const command = `${input}"${process.execPath}" "${PROGRAM}" ${args}`;
  return onTerminal(command, { env: folder.env, cwd: folder.path, columns });
}

/** With somebody logged in, up to the first question. */
async function openMenu(options = {}): Promise<TestTerminal> {
  await folder.logIn();
  const terminal = atTerminal('', options);
  await terminal.until(READY);
  return terminal;
}

/** Answers the questions of a payment. */
async function pay(terminal: TestTerminal, amount: string): Promise<void> {
  terminal.type('2\r');
  await terminal.until(/Pay whom.*\? $/);
  terminal.type('beta/bob\r');
  await terminal.until(/How much.*\? $/);
  terminal.type(`${amount}\r`);
  await terminal.until(/Memo.*: $/);
  terminal.type('\r');
}

async function restartGateway(): Promise<void> {
  const { authority, bank, port } = gateway;
  gateway = await startTestGateway({ authority, bank, port });
}

describeOnTerminal('the menu', () => {
  it('logs in without showing the password, shows the balance, pays, shows the history, and logs out', async () => {
    const terminal = atTerminal('alpha alice');
    await terminal.until(/Password of alpha\/alice/);
    terminal.type(`${TEST_PASSWORD}\r`);
    await terminal.until(READY);
    expect(terminal.written()).not.toContain(TEST_PASSWORD);
    expect(terminal.written()).not.toContain(TEST_PASSWORD.slice(0, 4));
    terminal.type('1\r');
    await terminal.until(/alpha\/alice: 100\.00 EUR\n[^]*> $/);
    await pay(terminal, '12.50');
    await terminal.until(/Paid 12\.50 EUR to beta\/bob \([0-9a-f-]{36}\)\.\n[^]*> $/);
    terminal.type('hist\r');
    await terminal.until(/When +Amount[^]*-12\.50 EUR +beta\/bob[^]*> $/);
    terminal.type('nonsense\r');
    await terminal.until(/Type a number or a word: balance, pay/);
    terminal.type('log out\r');
    expect(await terminal.exited).toBe(0);
    expect(terminal.screen().at(-1)).toBe('Logged out.');
    expect(await strife(['whoami'])).toMatchObject({ code: 3 });
  });

  it('asks for the password where STRIFE_PASSWORD is empty', async () => {
    const terminal = atTerminal('alpha alice', { input: 'STRIFE_PASSWORD= ' });
    await terminal.until(/Password of alpha\/alice/);
    expect(gateway.calls).toEqual([]);
    terminal.type(`${TEST_PASSWORD}\r`);
    await terminal.until(READY);
    terminal.type('quit\r');
    expect(await terminal.exited).toBe(0);
  });

  it('asks before it logs out another user whose payments are queued', async () => {
    await folder.logIn();
    expect(await strife(['pay', 'beta/bob', '1', '--offline', '--gateways', '127.0.0.1:1', '--timeout', '0.3'])).toMatchObject({ code: 9 });
    const terminal = atTerminal('alpha anna');
    await terminal.until(/1 payment of alpha\/alice is still queued[^]*Log in[^a]*as alpha\/anna\?/);
    terminal.type('y');
    await terminal.until(/stays queued until alpha\/alice logs in\.[^]*Password of alpha\/anna/);
    terminal.type(`${TEST_PASSWORD}\r`);
    await terminal.until(READY);
    terminal.type('quit\r');
    expect(await terminal.exited).toBe(0);
    expect((await strife(['queue', 'list'])).stdout).toMatch(/needs-login .*alpha\/alice/);
  });

  it('asks for bank and user when nobody is logged in, and tells a wrong password with exit 3', async () => {
    const terminal = atTerminal('');
    await terminal.until(/Your bank/);
    terminal.type('alpha\r');
    await terminal.until(/Your user name/);
    terminal.type('alice\r');
    await terminal.until(/Password of alpha\/alice/);
    terminal.type('wrong\r');
    expect(await terminal.exited).toBe(3);
    expect(terminal.screen().join('\n')).toContain('wrong bank, user name or password');
  });

  it('takes the password from stdin, and goes on at the terminal', async () => {
    const terminal = atTerminal('alpha alice', { input: `printf '%s\\n' '${TEST_PASSWORD}' | ` });
    await terminal.until(READY);
    terminal.type('balance\r');
    await terminal.until(/alpha\/alice: 100\.00 EUR/);
    terminal.type('quit\r');
    expect(await terminal.exited).toBe(0);
    expect(await strife(['whoami', '-q'])).toMatchObject({ code: 0, stdout: 'alpha/alice\n' });
  });

  it.each([100, 40])('tells that a queued payment was delivered, and leaves a half-typed line as it is, in %d columns', async (columns) => {
    const terminal = await openMenu({ columns });
    gateway.kill();
    await pay(terminal, '5');
    await terminal.until(/It is saved, and you will be told\.\n[^]*> $/);
    const halfTyped = 'history and a line that is longer than forty characters';
    terminal.type(halfTyped);
    await terminal.until(/forty characters$/);
    await restartGateway();
    await terminal.until(/Paid 5\.00 EUR/);
    await terminal.until(/forty characters$/);
    const [question, notice] = [/1 balance +2 pay/, /Paid 5\.00 EUR to beta\/bob/].map((pattern) => terminal.screen().findLastIndex((line) => pattern.test(line)));
    expect(question).toBeGreaterThan(notice!);
    expect(terminal.screen().slice(question! + 1)).toEqual([`> ${halfTyped}`]);
    // The line is not only shown: backspaced to its first word, it is what Enter sends.
    terminal.type(`${'\x7f'.repeat(halfTyped.length - 'history'.length)}\r`);
    await terminal.until(/-5\.00/);
    terminal.type('quit\r');
    expect(await terminal.exited).toBe(0);
  });

  it('takes what is typed ahead while it is busy, and shows it after the answer', async () => {
    const terminal = await openMenu();
    let answer = (): void => undefined;
    gateway.failNext('getAccount', async (proceed) => {
      await new Promise<void>((resolve) => (answer = resolve));
      return proceed();
    });
    terminal.type('balance\r');
    while (!gateway.calls.includes('getAccount')) await new Promise((resolve) => setImmediate(resolve));
    terminal.type('qui');
    await terminal.until(/\nqui$/);
    answer();
    await terminal.until(/alpha\/alice: 100\.00 EUR\n[^]*> qui$/);
    terminal.type('t\r');
    expect(await terminal.exited).toBe(0);
  });

  it('logs out at Ctrl-C, also from within a question', async () => {
    const terminal = await openMenu();
    terminal.type('2\r');
    await terminal.until(/Pay whom.*\? $/);
    terminal.type(`beta/b${CTRL_C}`);
    expect(await terminal.exited).toBe(130);
    expect(terminal.screen().at(-1)).toBe('Logged out.');
    expect(gateway.calls).toContain('logout');
    expect(await strife(['whoami'])).toMatchObject({ code: 3 });
  });

  it('says at Ctrl-C what stays queued, and stays logged in for it', async () => {
    const terminal = await openMenu();
    gateway.kill();
    await pay(terminal, '5');
    await terminal.until(/you will be told\.[^]*> $/);
    terminal.type(CTRL_C);
    expect(await terminal.exited).toBe(130);
    expect(terminal.screen().at(-1)).toBe('1 payment stays queued, and you stay logged in. Deliver: strife queue flush');
    await restartGateway();
    expect(await strife(['queue', 'flush', '-q'])).toMatchObject({ code: 0, stdout: expect.stringContaining('Paid 5.00 EUR to beta/bob') });
    expect(await strife(['balance', '-q'])).toMatchObject({ stdout: 'alpha/alice: 95.00 EUR\n' });
  });

  it('gives up what it is doing at Ctrl-C, and leaves at once at the second one', async () => {
    const terminal = await openMenu();
    gateway.failNext('getAccount', hang);
    gateway.failNext('logout', hang);
    terminal.type('balance\r');
    while (!gateway.calls.includes('getAccount')) await new Promise((resolve) => setImmediate(resolve));
    terminal.type(CTRL_C);
    await terminal.until(/Logging out\. Ctrl-C again leaves at once\./);
    while (!gateway.calls.includes('logout')) await new Promise((resolve) => setImmediate(resolve));
    terminal.type(CTRL_C);
    expect(await terminal.exited).toBe(130);
    // The gateway was not heard of, so the login stays.
    expect(await strife(['whoami'])).toMatchObject({ code: 0 });
  });

  it('goes on after a mistake or a gateway that is away, and leaves with exit 3 when the session was ended elsewhere', async () => {
    const terminal = await openMenu();
    terminal.type('2\r');
    await terminal.until(/Pay whom.*\? $/);
    terminal.type('beta/bob\r');
    await terminal.until(/How much.*\? $/);
    terminal.type('1,000\r');
    await terminal.until(/error: amount: "1,000" can be read as[^]*> $/);
    for (const token of gateway.bank.sessions.keys()) gateway.bank.logout(token);
    gateway.failNext('getAccount', async () => {
      const { refusal } = await import('@strife/sdk/testing');
      throw refusal(16, 'the session was logged out', { reason: 'TOKEN_REVOKED' });
    });
    terminal.type('balance\r');
    expect(await terminal.exited).toBe(3);
    expect(await strife(['whoami'])).toMatchObject({ code: 3 });
  });
});

it('takes password and answers from a pipe, where there is no terminal', async () => {
  const run = await strife(['alpha', 'alice'], { stdin: `${TEST_PASSWORD}\nbalance\npay\nbeta/bob\n2\n\nbalance\n` });
  expect(run).toMatchObject({ code: 0, stdout: 'alpha/alice: 100.00 EUR\nalpha/alice: 98.00 EUR\n', stderr: expect.stringMatching(/Hello alpha\/alice\.\n[^]*Paid 2\.00 EUR to beta\/bob/) });
});
