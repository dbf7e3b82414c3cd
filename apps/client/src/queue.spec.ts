// Offline payments and other long work by commands: what is told, what is left, and what an interruption leaves.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { hang, refusal, startTestGateway, TEST_PASSWORD, type TestGateway } from '@strife/sdk/testing';
import { PROGRAM, strifeFolder, type StrifeFolder, type UserFolder } from './testing/strife-folder.ts';
import { describeOnTerminal, onTerminal } from './testing/terminal.ts';

const NOWHERE = ['--gateways', '127.0.0.1:1', '--timeout', '0.3'];
const ID = '0198c0de-0000-7000-8000-000000000001';

let gateway: TestGateway;
let folder: UserFolder;

beforeEach(async () => {
  gateway = await startTestGateway();
  folder = strifeFolder(gateway);
  await folder.logIn();
});

afterEach(() => {
  gateway.kill();
  folder.remove();
});

const strife: StrifeFolder['strife'] = (args, options) => folder.strife(args, options);
const payLater = (...more: string[]) => strife(['pay', 'beta/bob', '1', '--offline', ...more, ...NOWHERE]);

const loginAs = (user: string, ...more: string[]) => strife(['login', 'alpha', user, ...more], { env: { STRIFE_PASSWORD: TEST_PASSWORD } });

async function logIn(user = 'alice'): Promise<void> {
  expect(await loginAs(user)).toMatchObject({ code: 0 });
}

/** What the command prints with --json: its last line. */
async function lastDocument(...args: string[]) {
  const { code, stdout } = await strife([...args, '--json']);
  return { code, ...JSON.parse(stdout.trimEnd().split('\n').at(-1)!) };
}

const queuedStates = async (): Promise<string[]> => (await strife(['queue', 'list', '--json'])).stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).queued.state);

/** Resolves when the gateway has been called so often by this method. */
async function calls(method: string, count: number): Promise<void> {
  while (gateway.calls.filter((call) => call === method).length < count) await new Promise((resolve) => setImmediate(resolve));
}

/** From now on the payments that are there, which are past their time, cannot be ended, nor any other be changed. */
function breakExpiry(): void {
  const folderOfQueues = join(folder.path, 'state', 'strife', 'queues');
  const [file = ''] = readdirSync(folderOfQueues).filter((name) => name.endsWith('.sqlite'));
  const database = new DatabaseSync(join(folderOfQueues, file));
  database.exec('UPDATE payments SET expires_at_ms = 1');
  database.exec(`CREATE TRIGGER broken BEFORE UPDATE ON payments BEGIN SELECT RAISE(ABORT, 'disk trouble'); END`);
  database.close();
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

  it.each([
    ['a bank that is not there', 5, 'UNKNOWN_BANK', 5],
    ['a payee of a bad name', 3, 'MALFORMED_NAME', 2],
    ['a used id', 6, 'ID_TAKEN', 6],
    ['a reason of a later release', 3, 'OF_A_LATER_RELEASE', 2],
  ])('tells %s with the exit code and the words of a payment that is made directly', async (_what, status, reason, exitCode) => {
    const attempts = [];
    for (const offline of [[], ['--offline']]) {
      gateway.failNext('createTransfer', async () => {
        throw refusal(status, 'refused', { reason, outcome: 'NOT_APPLIED', retryable: 'false' });
      });
      const { code, error } = await lastDocument('pay', 'beta/bob', '1', ...offline);
      attempts.push({ code, ...error, message: '', transferId: '' });
    }
    expect(attempts[0]).toMatchObject({ code: reason, exitCode, retryable: false, outcome: 'not_applied' });
    expect(attempts[1]).toEqual(attempts[0]);
  });

  it('tells an id that was used for another payment with exit 6', async () => {
    await strife(['pay', 'beta/bob', '1', '--id', ID]);
    expect(await lastDocument('pay', 'beta/bob', '2', '--offline', '--id', ID)).toMatchObject({ code: 6, error: { outcome: 'not_applied', retryable: false, transferId: ID } });
  });

  it('says what is known of a payment that was made, where the gateway says no more than that', async () => {
    gateway.failNext('createTransfer', async () => {
      throw refusal(13, 'broken, but paid', { reason: 'BROKEN', outcome: 'APPLIED' });
    });
    expect(await lastDocument('pay', 'beta/bob', '1', '--offline')).toMatchObject({ code: 0, queued: { state: 'done', amount: { amount: '1.00' } } });
  });

  it('exits with 9 and names the payment that is saved, whatever then happens to the file', async () => {
    await payLater('--expires-in', '1h');
    breakExpiry();
    const paid = await lastDocument('pay', 'beta/bob', '2', '--offline');
    expect(paid).toMatchObject({ code: 9, queued: { state: 'queued', amount: { amount: '2.00' }, problem: { code: 'QUEUE_NOT_SAVED', message: expect.stringContaining('disk trouble') } } });
    const { stdout } = await strife(['queue', 'list', '--json']);
    expect(stdout).toContain(paid.queued.id);
    expect(await strife(['pay', 'beta/bob', '3', '--offline'])).toMatchObject({ code: 9, stdout: expect.stringMatching(/^Queued: 3\.00 EUR .*Last try: .*disk trouble/) });
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

describe('a login as another user with payments in the queue', () => {
  it('is refused with exit 2, unless they are to wait; the next login of their payer delivers them', async () => {
    await payLater();
    gateway.calls.length = 0;
    expect(await loginAs('anna')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/1 payment of alpha\/alice is still queued[^]*strife queue flush\n.*strife login alpha anna --keep-queue\n.*strife queue drop/),
    });
    expect(await strife(['alpha', 'anna'], { stdin: `${TEST_PASSWORD}\nquit\n` })).toMatchObject({ code: 2, stderr: expect.stringContaining('strife logout --keep-queue') });
    expect(gateway.calls).toEqual([]);
    expect(await strife(['whoami', '-q'])).toMatchObject({ stdout: 'alpha/alice\n' });

    expect(await loginAs('anna', '--keep-queue')).toMatchObject({ code: 0, stderr: expect.stringMatching(/1 payment of alpha\/alice stays queued until alpha\/alice logs in\.[^]*Logged out alpha\/alice first/) });
    expect(await queuedStates()).toEqual(['needs-login']);
    await logIn();
    expect(await strife(['queue', 'flush'])).toMatchObject({ code: 0 });
    expect(gateway.payments).toHaveLength(1);
  });

  it('asks nothing of the same user, whose payments stay as they are', async () => {
    await payLater();
    await logIn();
    expect(await queuedStates()).toEqual(['queued']);
  });
});

describe('queue flush --wait', () => {
  it('waits for the payments of the login alone, and says whose the others are', async () => {
    await payLater();
    expect(await loginAs('anna', '--keep-queue')).toMatchObject({ code: 0 });
    await payLater();
    const { authority, bank, port } = gateway;
    gateway.kill();
    const flush = lastDocument('queue', 'flush', '--wait');
    gateway = await startTestGateway({ authority, bank, port });
    expect(await flush).toEqual({ code: 9, version: 1, pending: 1, waitingForLogin: [{ account: 'alpha/alice', payments: 1 }] });
    expect(gateway.bank.accounts.get('alpha/anna')?.posted).toBe(9_900n);
    expect(await strife(['queue', 'flush', '--wait'])).toMatchObject({ code: 9, stdout: '1 still queued, 1 of them until alpha/alice logs in.\n' });
  });

  it('does not wait for a payment that a killed command was sending for somebody who has logged out', async () => {
    gateway.failNext('createTransfer', hang);
    await strife(['pay', 'beta/bob', '1', '--offline'], { killAfter: calls('createTransfer', 1) });
    expect(await queuedStates()).toEqual(['sending']);
    expect(await strife(['logout', '--keep-queue'])).toMatchObject({ code: 0, stderr: expect.stringContaining('1 payment of alpha/alice stays queued until alpha/alice logs in.') });
    expect(await strife(['queue', 'flush', '--wait'])).toMatchObject({ code: 9 });
    await logIn('anna');
    expect(await strife(['queue', 'flush', '--wait'])).toMatchObject({ code: 9 });
  });

  it('ends when the session is refused', async () => {
    await payLater();
    for (const token of gateway.bank.sessions.keys()) gateway.bank.logout(token);
    expect(await lastDocument('queue', 'flush', '--wait')).toMatchObject({ code: 9, waitingForLogin: [{ account: 'alpha/alice', payments: 1 }] });
  });

  it('goes on while an intention forbids the payments, and delivers them when it is taken back', async () => {
    await payLater();
    for (let count = 0; count < 2; count += 1) {
      gateway.failNext('createTransfer', async () => {
        throw refusal(7, 'an intention forbids it', { reason: 'INTENTION_DENIED', outcome: 'NOT_APPLIED', retryable: 'false' });
      });
    }
    expect(await strife(['queue', 'flush'])).toMatchObject({ code: 9, stdout: expect.stringContaining('1 still queued. Last try: an intention forbids it.') });
    expect(await strife(['queue', 'flush', '--wait'])).toMatchObject({ code: 0 });
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
