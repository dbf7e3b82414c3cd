// The process that hashes passwords: steps back for others, is replaced when it dies, and never outlives its parent.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { startHashingProcess } from './hashing-process.ts';
import type { HashingProcess } from './hashing-process.ts';

const PROGRAM = fileURLToPath(new URL('hashing-process.spec-program.ts', import.meta.url));
const PASSWORD = Buffer.from('canary horse');
const PATIENCE_MS = 60_000;

const problems: Error[] = [];
const opened: HashingProcess[] = [];

function start(): HashingProcess {
  const hashing = startHashingProcess((problem) => problems.push(problem));
  opened.push(hashing);
  return hashing;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((hashing) => hashing.close()));
  problems.length = 0;
});

/** Waits for what no event tells. */
async function until<Value>(find: () => Value | undefined | Promise<Value | undefined>): Promise<Value> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > endMs) throw new Error('it did not come true');
    await pause(20);
  }
}

const isGone = (pid: number) => () => {
  try {
    process.kill(pid, 0);
    return undefined;
  } catch {
    return true;
  }
};

describe('the hashing process', () => {
  it('works at a lower priority than its parent, every thread of it', async () => {
    const hashing = start();
    await hashing.hash(PASSWORD);
    const pid = hashing.pid!;
    const own = getPriority();
    const threads = process.platform === 'linux' ? readdirSync(`/proc/${pid}/task`).map(Number) : [pid];
    expect(threads.map((thread) => getPriority(thread) > own)).toEqual(threads.map(() => true));
    expect(getPriority()).toBe(own);
  });

  (existsSync('/proc/self/autogroup') ? it : it.skip)('steps back as a session, too, where priorities count by session', async () => {
    const hashing = start();
    await hashing.hash(PASSWORD);
    const groupOf = (pid: number | string) => readFileSync(`/proc/${pid}/autogroup`, 'utf8');
    const own = groupOf('self');
    await until(() => (/nice [1-9]/.test(groupOf(hashing.pid!)) ? true : undefined));
    expect(groupOf('self')).toBe(own);
  });

  it('that is killed fails what it works at, and another takes its place', async () => {
    const hashing = start();
    const hash = await hashing.hash(PASSWORD);
    const killed = hashing.pid!;
    const interrupted = Promise.allSettled([hashing.hash(PASSWORD), hashing.verify(hash, PASSWORD)]);
    process.kill(killed, 'SIGKILL');
    const refusal = { status: 'rejected', reason: expect.objectContaining({ name: 'PasswordsUnavailableError', code: 'PASSWORDS_UNAVAILABLE' }) };
    expect(await interrupted).toEqual([refusal, refusal]);
    await expect(hashing.verify(hash, PASSWORD)).rejects.toMatchObject({ code: 'PASSWORDS_UNAVAILABLE' });
    expect(problems.map(({ message }) => message)).toEqual([expect.stringContaining('SIGKILL')]);
    const next = await until(() => hashing.pid);
    expect(next).not.toBe(killed);
    expect(await hashing.verify(hash, PASSWORD)).toBe(true);
    await hashing.close();
    await until(isGone(next));
    expect(problems).toHaveLength(1);
  });

  it('goes on when a signal for its parent reaches it, too', async () => {
    const hashing = start();
    const hash = await hashing.hash(PASSWORD);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.kill(hashing.pid!, signal);
    expect(await hashing.verify(hash, PASSWORD)).toBe(true);
    expect(problems).toEqual([]);
  });

  it('is gone once it is closed, and says no to whoever still asks', async () => {
    const hashing = start();
    const pid = hashing.pid!;
    const asked = hashing.hash(PASSWORD).catch((error: unknown) => error);
    await Promise.all([hashing.close(), hashing.close()]);
    await until(isGone(pid));
    expect(await asked).toMatchObject({ code: 'PASSWORDS_UNAVAILABLE' });
    await expect(hashing.hash(PASSWORD)).rejects.toMatchObject({ code: 'PASSWORDS_UNAVAILABLE' });
    expect(problems).toEqual([]);
  });

  it('does not keep an idle parent from ending, and ends with it', async () => {
    const parent = spawn(process.execPath, [PROGRAM, 'idle'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr, [code]] = await Promise.all([text(parent.stdout), text(parent.stderr), once(parent, 'exit')]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await until(isGone(Number(stdout)));
  });

  it('ends with a parent that is killed while it works', async () => {
    const parent = spawn(process.execPath, [PROGRAM, 'works'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    parent.kill('SIGKILL');
    await until(isGone(Number(line.toString())));
  });
});
