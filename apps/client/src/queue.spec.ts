// Offline payments and other long work by commands: what is told, what is left, and what an interruption leaves.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { hang, startTestGateway, TEST_PASSWORD, type TestGateway } from '@strife/sdk/testing';
import { PROGRAM, strifeFolder, type StrifeFolder } from './testing/strife-folder.ts';
import { describeOnTerminal, onTerminal } from './testing/terminal.ts';

const NOWHERE = ['--gateways', '127.0.0.1:1', '--timeout', '0.3'];
const ID = '0198c0de-0000-7000-8000-000000000001';

let gateway: TestGateway;
let folder: StrifeFolder;

beforeEach(async () => {
  gateway = await startTestGateway();
  folder = strifeFolder(gateway);
  await logIn();
});

afterEach(() => {
  gateway.kill();
  folder.remove();
});

const strife: StrifeFolder['strife'] = (args, options) => folder.strife(args, options);
const payLater = (...more: string[]) => strife(['pay', 'beta/bob', '1', '--offline', ...more, ...NOWHERE]);

async function logIn(user = 'alice'): Promise<void> {
  expect(await strife(['login', 'alpha', user], { env: { STRIFE_PASSWORD: TEST_PASSWORD } })).toMatchObject({ code: 0 });
}

/** Resolves when the gateway has been called so often by this method. */
async function calls(method: string, count: number): Promise<void> {
  while (gateway.calls.filter((call) => call === method).length < count) await new Promise((resolve) => setImmediate(resolve));
}

describe('pay --offline', () => {
  it('pays at once where a gateway answers', async () => {
    expect(await strife(['pay', 'beta/bob', '1', '--offline'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Paid 1\.00 EUR to beta\/bob/) });
  });

  it('saves with exit 9 where none does, says until when, and how it is delivered', async () => {
    expect(await payLater('--expires-in', '2h')).toMatchObject({ code: 9, stdout: expect.stringMatching(/^Queued: 1\.00 EUR .* Until 20/), stderr: expect.stringContaining('strife queue flush') });
    expect(await strife(['queue', 'flush'])).toMatchObject({ code: 0, stdout: expect.stringContaining('Paid 1.00 EUR') });
  });

  it('tells a decline with exit 4', async () => {
    expect(await strife(['pay', 'beta/bob', '5000', '--offline'])).toMatchObject({ code: 4, stdout: '', stderr: expect.stringContaining('insufficient funds. Nothing moved.') });
  });

  it('needs a login before, with exit 3, and a time that is one, with exit 2', async () => {
    expect(await payLater('--expires-in', 'soon')).toMatchObject({ code: 2, stderr: expect.stringContaining('expires-in') });
    await strife(['logout']);
    expect(await payLater()).toMatchObject({ code: 3 });
  });

  it('gives up what has expired, at the latest when somebody looks', async () => {
    expect(await payLater('--expires-in', '1s')).toMatchObject({ code: 9 });
    let list = '';
    while (!list.includes('expired')) list = (await strife(['queue', 'list', '--state', 'expired'])).stdout;
    expect(await strife(['queue', 'flush'])).toMatchObject({ code: 0 });
    expect(gateway.payments).toEqual([]);
  });
});

describe('a logout with payments in the queue', () => {
  it('is refused with exit 2, unless they are to wait; the next login delivers them', async () => {
    await payLater();
    expect(await strife(['logout'])).toMatchObject({ code: 2, stderr: expect.stringMatching(/still queued[^]*strife queue flush\n.*--keep-queue/) });
    expect(await strife(['whoami'])).toMatchObject({ code: 0 });
    expect(await strife(['logout', '--keep-queue'])).toMatchObject({ code: 0 });
    expect(await strife(['queue', 'flush'])).toMatchObject({ code: 9, stdout: expect.stringContaining('1 still queued') });
    expect((await strife(['queue', 'list'])).stdout).toContain('needs-login');
    await logIn('anna');
    expect(await strife(['queue', 'flush', '--wait'])).toMatchObject({ code: 9 });
    expect(gateway.payments).toEqual([]);
    await logIn();
    expect(await strife(['queue', 'flush'])).toMatchObject({ code: 0 });
    expect(gateway.payments).toHaveLength(1);
  });
});

describe('queue', () => {
  it('drops what was never sent, and nothing else', async () => {
    const { stdout } = await payLater('--json');
    const { id } = JSON.parse(stdout).queued;
    expect(await strife(['queue', 'drop', `  ${id} `])).toMatchObject({ code: 0, stdout: expect.stringContaining('It was never sent; nothing moved.') });
    expect(await strife(['queue', 'drop', id])).toMatchObject({ code: 5 });
    await payLater('--id', ID);
    expect(await strife(['queue', 'drop', ID])).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot be dropped') });
  });

  it('retries at once, and not what has ended', async () => {
    await payLater('--id', ID);
    expect(await strife(['queue', 'retry', ID])).toMatchObject({ code: 0 });
    expect(await strife(['queue', 'retry', ID])).toMatchObject({ code: 2, stderr: expect.stringContaining('has ended: done') });
    expect(await strife(['queue', 'list', '--state', 'gone'])).toMatchObject({ code: 2 });
  });

  it('tells, when a flush is interrupted, what was delivered and what is left; nothing is paid twice', async () => {
    await payLater();
    gateway.failNext('createTransfer', hang);
    gateway.failNext('batchCreateTransfers', hang);
    expect(await strife(['queue', 'flush'], { interruptAfter: calls('createTransfer', 1) })).toMatchObject({ code: 130, stdout: expect.stringContaining('1 still queued') });
    gateway.heal();
    expect(await strife(['queue', 'flush'])).toMatchObject({ code: 0 });
    expect(gateway.bank.transfers.size).toBe(1);
  });
});

describe('an interruption', () => {
  it('ends a look at the balance with exit 130', async () => {
    gateway.failNext('getAccount', hang);
    expect(await strife(['balance'], { interruptAfter: calls('getAccount', 1) })).toMatchObject({ code: 130, stdout: '', stderr: 'error: interrupted\n' });
  });

  it('ends history --follow, which has told of what came, and of nothing before', async () => {
    await strife(['pay', 'beta/bob', '1', '--memo', 'before']);
    const interruptAfter = (async () => {
      await calls('listEntries', 1);
      await strife(['pay', 'beta/bob', '2', '--memo', 'after']);
      await calls('listEntries', gateway.calls.filter((call) => call === 'listEntries').length + 2);
    })();
    const run = await strife(['history', '--follow'], { interruptAfter });
    expect(run).toMatchObject({ code: 130, stdout: expect.stringMatching(/^\S+ \S+ {2}-2\.00 EUR {2}beta\/bob {2}balance 97\.00 EUR {2}after\n$/) });
  });
});

describeOnTerminal('a flush on a terminal', () => {
  it('shows how far it is, and then what became of each', async () => {
    for (let index = 0; index < 3; index += 1) await payLater();
    const terminal = onTerminal(`"${process.execPath}" "${PROGRAM}" queue flush`, { env: folder.env, cwd: folder.path });
    expect(await terminal.exited).toBe(0);
    expect(terminal.written()).toContain('0/3');
    expect(terminal.screen().filter((line) => line.startsWith('Paid 1.00 EUR'))).toHaveLength(3);
    expect(terminal.screen().at(-1)).toBe('Nothing is queued any more.');
  });
});
