// What goes wrong around the command line: gateways that are killed, silent or mad, full disks, broken files, and commands that are killed.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { hang, startTestGateway, TEST_PASSWORD, type TestGateway } from '@strife/sdk/testing';
import { PROGRAM, strifeFolder, type StrifeFolder, type UserFolder } from './testing/strife-folder.ts';
import { describeOnTerminal, onTerminal } from './testing/terminal.ts';

const NOWHERE = ['--gateways', '127.0.0.1:1', '--timeout', '0.3'];

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
const logIn = (user = 'alice') => strife(['login', 'alpha', user], { env: { STRIFE_PASSWORD: TEST_PASSWORD } });

async function listed(): Promise<{ id: string; state: string }[]> {
  const { stdout } = await strife(['queue', 'list', '--json']);
  return stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).queued);
}

/** A server at a port of its own that does this with each connection. */
async function listen(onConnection: (socket: Socket) => void): Promise<{ address: string; server: Server }> {
  const server = createServer((socket) => onConnection(socket.on('error', () => undefined))).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { address: `127.0.0.1:${(server.address() as { port: number }).port}`, server };
}

describe('a command that is killed', () => {
  /** Resolves when a payment has arrived; the gateway then says nothing more to it, whether it made it or not. */
  function meetPayment(isMade: boolean): Promise<void> {
    return new Promise((resolve) => {
      for (const method of ['createTransfer', 'batchCreateTransfers']) {
        gateway.failNext(method, async (proceed, context) => {
          if (isMade) await proceed();
          resolve();
          return hang(proceed, context);
        });
      }
    });
  }

  it('while 20 offline payments are saved and delivered, five times, has each of them delivered exactly once', async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `0198c0de-0000-7000-8000-0000000001${String(index).padStart(2, '0')}`);
    let kills = 0;
    for (const [index, id] of ids.entries()) {
      const pay = ['pay', 'beta/bob', '0.10', '--offline', '--id', id];
      if (index % 4 < 3) {
        expect(await strife([...pay, ...NOWHERE])).toMatchObject({ code: 9 });
        continue;
      }
      const isFlush = kills % 2 === 0;
      if (isFlush) expect(await strife([...pay, ...NOWHERE])).toMatchObject({ code: 9 });
      expect(await strife(isFlush ? ['queue', 'flush'] : pay, { killAfter: meetPayment(kills < 3) })).toMatchObject({ code: null });
      gateway.heal();
      kills += 1;
    }
    expect(kills).toBe(5);
    expect(await strife(['queue', 'flush'])).toMatchObject({ code: 0 });
    expect((await listed()).map(({ id, state }) => [id, state])).toEqual(ids.map((id) => [id, 'done']));
    expect([...gateway.bank.transfers.keys()].sort()).toEqual(ids);
    expect((await strife(['balance', '-q'])).stdout).toBe('alpha/alice: 98.00 EUR\n');
  });
});

describe('a gateway', () => {
  it('that was killed and came back at another port is found through the registry', async () => {
    const registry = join(folder.path, 'registry', 'gateway');
    mkdirSync(registry, { recursive: true });
    const register = ({ port }: TestGateway): void => writeFileSync(join(registry, 'g1.json'), JSON.stringify({ instance: { id: 'g1', host: '127.0.0.1', port } }));
    register(gateway);
    const heartbeat = setInterval(() => utimesSync(join(registry, 'g1.json'), new Date(), new Date()), 200);
    try {
      const found = ['--registry-dir', join(folder.path, 'registry')];
      expect(await strife(['balance', ...found])).toMatchObject({ code: 0 });
      const before = gateway;
      gateway.kill();
      expect(await strife(['pay', 'beta/bob', '1', '--offline', ...found, '--timeout', '1'])).toMatchObject({ code: 9, stdout: expect.stringContaining('Queued: 1.00 EUR') });
      const flush = strife(['queue', 'flush', '--wait', ...found]);
      gateway = await startTestGateway({ authority: gateway.authority, bank: gateway.bank });
      expect(gateway.port).not.toBe(before.port);
      register(gateway);
      expect(await flush).toMatchObject({ code: 0, stdout: expect.stringContaining('Paid 1.00 EUR to beta/bob') });
    } finally {
      clearInterval(heartbeat);
    }
  });

  it('that answers garbage is told as one that cannot be trusted, with exit 7', async () => {
    const { address, server } = await listen((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nhello'));
    const run = await strife(['balance', '--gateways', address, '--timeout', '2']);
    expect(run).toMatchObject({ code: 7, stderr: expect.stringContaining(address) });
    expect(await strife(['doctor', '--gateways', address])).toMatchObject({ code: 1, stdout: expect.stringContaining(`FAIL  gateway ${address}: no answer`) });
    server.close();
  });

  it('that never answers costs the time of --timeout and little more, and a payment queued for it stays queued', async () => {
    const { address, server } = await listen(() => undefined);
    const startedAt = performance.now();
    expect(await strife(['pay', 'beta/bob', '1', '--gateways', address, '--timeout', '0.5'])).toMatchObject({ code: 7, stderr: expect.stringContaining('Nothing moved.') });
    // Five seconds is how long a connection attempt may take: that is not waited for.
    expect(performance.now() - startedAt).toBeLessThan(4500);
    expect(await strife(['pay', 'beta/bob', '1', '--offline', '--gateways', address])).toMatchObject({ code: 9 });
    expect(await listed()).toMatchObject([{ state: 'queued' }]);
    server.close();
  });
});

describe('the disk', () => {
  it('that is full when a payment is queued: it says that it is NOT queued, and exits with 1', async () => {
    expect(await strife(['pay', 'beta/bob', '1', '--offline', ...NOWHERE])).toMatchObject({ code: 9 });
    const run = await strife(['pay', 'beta/bob', '2', '--offline', ...NOWHERE], { fileBytesMax: 8 * 1024 });
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('the payment is NOT queued') });
    const { stdout } = await strife(['pay', 'beta/bob', '2', '--offline', '--json', ...NOWHERE], { fileBytesMax: 8 * 1024 });
    expect(JSON.parse(stdout)).toMatchObject({ error: { outcome: 'not_applied', message: expect.stringContaining('NOT queued') } });
    expect(await listed()).toHaveLength(1);
  });

  it('that is full for the result: the exit code says that it was not written', async () => {
    const { stderr, code } = await shell('whoami > /dev/full');
    expect({ stderr, code }).toEqual({ stderr: expect.stringContaining('the result could not be written'), code: 1 });
  });

  it('has a queue file that is corrupt: it is set aside, named, and nothing of it is deleted', async () => {
    await strife(['pay', 'beta/bob', '1', '--offline', ...NOWHERE]);
    const directory = join(folder.path, 'state', 'strife', 'queues');
    const [file = ''] = readdirSync(directory).filter((name) => name.endsWith('.sqlite'));
    const damaged = Buffer.from('this is no queue of payments'.repeat(1000));
    writeFileSync(join(directory, file), damaged);
    for (const suffix of ['-wal', '-shm']) rmSync(join(directory, `${file}${suffix}`), { force: true });
    const run = await strife(['queue', 'list']);
    const aside = readdirSync(directory).find((name) => name.includes('.corrupt-') && !/-(wal|shm)$/.test(name)) ?? 'none';
    expect(run).toMatchObject({ code: 0, stdout: 'The queue is empty.\n', stderr: expect.stringContaining(aside) });
    expect(readFileSync(join(directory, aside))).toEqual(damaged);
  });
});

describe('two terminals at once', () => {
  it('renew one session together, and neither is logged out', async () => {
    for (let round = 0; round < 3; round += 1) {
      gateway.bank.expireTokens();
      const runs = await Promise.all([1, 2, 3].map(() => strife(['balance'])));
      expect(runs).toEqual(runs.map(() => ({ code: 0, stdout: 'alpha/alice: 100.00 EUR\n', stderr: '' })));
    }
    expect(await strife(['whoami', '-q'])).toMatchObject({ code: 0 });
  });

  it('deliver from one queue, each payment once', async () => {
    for (let index = 0; index < 4; index += 1) await strife(['pay', 'beta/bob', '1', '--offline', ...NOWHERE]);
    gateway.bank.expireTokens();
    const runs = await Promise.all([strife(['queue', 'flush']), strife(['queue', 'flush']), strife(['pay', 'beta/bob', '1', '--offline'])]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(gateway.bank.transfers.size).toBe(5);
    expect((await strife(['balance', '-q'])).stdout).toBe('alpha/alice: 95.00 EUR\n');
  });

  it('leave the login of the one that logged in last', async () => {
    gateway.bank.expireTokens();
    let arrived = (): void => undefined;
    const refreshing = new Promise<void>((resolve) => (arrived = resolve));
    let answer = (): void => undefined;
    gateway.failNext('refresh', async (proceed) => {
      arrived();
      await new Promise<void>((resolve) => (answer = resolve));
      return proceed();
    });
    const slow = strife(['balance']);
    await refreshing;
    const login = logIn('anna');
    while (gateway.calls.filter((call) => call === 'login').length < 2) await new Promise((resolve) => setImmediate(resolve));
    answer();
    await Promise.all([slow, login]);
    expect(await strife(['whoami', '-q'])).toMatchObject({ code: 0, stdout: 'alpha/anna\n' });
    expect(await strife(['balance', '-q'])).toMatchObject({ code: 0, stdout: 'alpha/anna: 100.00 EUR\n' });
  });
});

describe('a shell', () => {
  it('whose pipe ends early, as in `| head`, sees no error, and the exit code of the command', async () => {
    for (let index = 0; index < 3; index += 1) await strife(['pay', 'beta/bob', '1']);
    expect(await shell('history | head -n 1', 'set -o pipefail;')).toMatchObject({ code: 0, stderr: expect.not.stringContaining('rror'), stdout: expect.stringContaining('When') });
    expect(await shell('history --json | head -c 1', 'set -o pipefail;')).toMatchObject({ code: 0, stderr: '' });
    expect(await shell('pay beta/bob 5000 --json | true', 'set -o pipefail;')).toMatchObject({ code: 4, stderr: '' });
  });

  it('without HOME, or with an empty one, keeps nothing in the folder that it is in', async () => {
    const bare = { env: { HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' } };
    expect(await strife(['whoami'], bare)).toMatchObject({ code: 3 });
    const { stdout } = await strife(['config', 'explain', '--json'], bare);
    expect(JSON.parse(stdout).config.sessionFile).toMatch(/^\/(?!.*strife-client)/);
    expect(readdirSync(folder.path)).not.toContain('.local');
  });

  it('in another language gets amounts as they are written there', async () => {
    expect(await strife(['balance', '-q'], { env: { LANG: 'de_DE.UTF-8' } })).toMatchObject({ stdout: 'alpha/alice: 100,00 EUR\n' });
    expect(await strife(['balance', '-q'], { env: { LANG: 'de_DE.UTF-8', LC_ALL: 'C' } })).toMatchObject({ stdout: 'alpha/alice: 100.00 EUR\n' });
    expect(await strife(['balance', '-q'], { env: { LANG: 'no_such_LANGUAGE' } })).toMatchObject({ code: 0 });
  });
});

describeOnTerminal('a terminal of 40 columns', () => {
  it('gets every word of a table and of the help, wrapped', async () => {
    const options = { env: folder.env, cwd: folder.path, columns: 40 };
    const history = onTerminal(`"${process.execPath}" "${PROGRAM}" history`, options);
    expect(await history.exited).toBe(0);
    expect(history.screen().join('\n')).toMatch(/\+100\.00 EUR +- +100\.00 EUR +opening balance/);
    const help = onTerminal(`"${process.execPath}" "${PROGRAM}" --help`, options);
    expect(await help.exited).toBe(0);
    expect(help.screen().join('\n')).toContain('ask again with the same id');
  });
});

describe('a password', () => {
  it.each(['пароль', '密码 🗝️', 'e\u0301\u00e9', '\u200f\u202e', ' spaces ', '\u2028'])('of any Unicode arrives as it is: %j', async (password) => {
    let arrived: unknown;
    const { bank } = gateway;
    const { login } = bank;
    bank.login = (name, given) => {
      arrived = given;
      return login(name, TEST_PASSWORD);
    };
    const ways: [args: string[], options: object][] = [
      [['login', 'alpha', 'alice', '--password-stdin'], { stdin: `${password}\n` }],
      [['login', 'alpha', 'alice'], { env: { STRIFE_PASSWORD: password } }],
      [['alpha', 'alice'], { stdin: `${password}\r\n6\n` }],
    ];
    for (const [args, options] of ways) {
      arrived = undefined;
      expect(await strife(args, options)).toMatchObject({ code: 0 });
      expect(arrived).toBe(password);
    }
  });

  it('that is not UTF-8 is refused, and not sent', async () => {
    gateway.calls.length = 0;
    const run = await strife(['login', 'alpha', 'alice', '--password-stdin'], { stdin: Buffer.from([0x70, 0xe4, 0xdf, 0x0a]) });
    expect(run).toMatchObject({ code: 2, stderr: expect.stringContaining('not UTF-8') });
    expect(gateway.calls).toEqual([]);
  });
});

/** A line of the shell that begins with `strife`. */
async function shell(words: string, before = ''): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn('bash', ['-c', `${before} "${process.execPath}" "${PROGRAM}" ${words}`], { cwd: folder.path, env: folder.env });
  child.stdin.end();
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}
