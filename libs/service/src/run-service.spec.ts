// A real process each: what it prints, what it logs, and how it exits.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { nodeProblem } from './run-service.ts';

const PROGRAM = fileURLToPath(new URL('run-service.spec-program.ts', import.meta.url));

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'strife-run-'));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the program; `onOutput` is called with all of stdout whenever there is more of it. */
function run(mode: string, argv: readonly string[] = [directory], onOutput: (stdout: string, child: ChildProcess) => void = () => undefined): Promise<Ended> {
  const child = spawn(process.execPath, ['--conditions=@strife/source', PROGRAM, mode, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    onOutput(stdout, child);
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}

/** Sends the signal once, when the text is there. */
function signalAt(text: string, signal: NodeJS.Signals): (stdout: string, child: ChildProcess) => void {
  let sent = false;
  return (stdout, child) => {
    if (!sent && stdout.includes(text)) sent = child.kill(signal);
  };
}

async function logText(): Promise<string> {
  return readFile(join(directory, 'program.log'), 'utf8');
}

describe('runService', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('stops once on %s, flushes the log and exits with 0', async (signal) => {
    expect(await run('plain', [directory], signalAt('started', signal))).toEqual({ code: 0, stdout: 'started\nstopping\n', stderr: '' });
    expect(await logText()).toContain('last line');
  });

  it('ends at once on a second signal', async () => {
    const first = signalAt('started', 'SIGTERM');
    const second = signalAt('stopping', 'SIGTERM');
    const { code } = await run('stop-hangs', [directory], (stdout, child) => {
      first(stdout, child);
      second(stdout, child);
    });
    expect(code).toBe(1);
  });

  it('tells a start that is not over yet, and stops after it', async () => {
    const ended = await run('slow-start', [directory], signalAt('starting', 'SIGTERM'));
    expect(ended).toMatchObject({ code: 0, stdout: 'starting\nstart was told\nstarted\nstopping\n' });
  });

  it('exits with 1 when stopping fails, and says why', async () => {
    expect(await run('stop-fails', [directory], signalAt('started', 'SIGTERM'))).toMatchObject({ code: 1, stderr: 'cannot stop cleanly: cannot leave\n' });
  });

  it.each([
    ['startup-error', 'cannot start: port 7400 on 127.0.0.1 is in use\n'],
    ['bug-at-start', 'cannot start: x is not a function\n'],
  ])('says in one line why it cannot start: %s', async (mode, stderr) => {
    expect(await run(mode)).toEqual({ code: 1, stdout: '', stderr });
  });

  it('lists what is wrong with its flags and exits with 2', async () => {
    expect(await run('config', ['--port', 'x', '--prot'])).toEqual({
      code: 2,
      stdout: '',
      stderr: [
        'bank: 2 things are wrong with how it was started',
        '  --prot: unknown option',
        '  --port: expected a port from 0 to 65535, got "x"',
        'Run bank --help for all options.',
        '',
      ].join('\n'),
    });
  });

  it('prints its help and exits with 0', async () => {
    expect(await run('config', ['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: bank'), stderr: '' });
  });

  it.each([
    ['rejection', 'unhandled rejection: lost promise'],
    ['exception', 'uncaught exception: lost exception'],
  ])('logs an unhandled %s with its stack and exits with 1', async (mode, line) => {
    expect(await run(mode)).toMatchObject({ code: 1, stderr: `${line}\n` });
    expect(await logText()).toMatch(new RegExp(`lost ${mode === 'rejection' ? 'promise' : 'exception'}\\\\n +at `));
  });
});

describe('nodeProblem', () => {
  it.each(['20.19.0', '22.1.0', '23.11.1'])('refuses Node %s in one line', (version) => {
    expect(nodeProblem(version)).toMatch(/^Strife needs Node 24 or newer, and this is Node .*$/);
  });

  it.each(['24.0.0', '26.1.0'])('accepts Node %s', (version) => {
    expect(nodeProblem(version)).toBeUndefined();
  });
});
