// The process that hashes passwords, seen from its parent: started ahead, asked by messages, started again when it has died.

import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { HashingReply, HashingRequest } from './hashing-program.ts';

/** The process that hashes passwords has died, or could not be started. Nothing is known of this password; try again. */
export class PasswordsUnavailableError extends Error {
  override readonly name = 'PasswordsUnavailableError';
  readonly code = 'PASSWORDS_UNAVAILABLE';
  constructor() {
    super('passwords cannot be checked just now; try again in a moment');
  }
}

export interface HashingProcess {
  /** Undefined while there is none. */
  readonly pid: number | undefined;

  /** The argon2id hash of prepared bytes, in PHC string form, with a fresh salt. @throws PasswordsUnavailableError */
  hash(password: Uint8Array): Promise<string>;

  /** Whether they are what was hashed; false after the same work without a hash. @throws PasswordsUnavailableError; Error when the hash is damaged */
  verify(hash: string | undefined, password: Uint8Array): Promise<boolean>;

  /** Ends the process; what it works at fails, and so does all that is asked from now on. Resolves when it is gone. */
  close(): Promise<void>;
}

/**
 * Starts the process. It ends with this one, however this one ends, and keeps it from ending only while it has work.
 *
 * When it dies, what it works at fails, `onProblem` hears of it, and it is started again after RESTART_MS, doubled as long as it dies without
 * having answered anything; what is asked in between fails at once. How much is asked at once is the caller's to bound: 19 MiB of memory each.
 */
export function startHashingProcess(onProblem: (problem: Error) => void): HashingProcess {
  const asked = new Map<number, { resolve(result: string | boolean): void; reject(error: Error): void }>();
  let nextId = 0;
  let closed = false;
  let restart: NodeJS.Timeout | undefined;
  let restartMs = RESTART_MS;
  let child: ChildProcess | undefined = start();

  function start(): ChildProcess {
    const started = fork(PROGRAM, [], {
      execArgv: ['--single-threaded'],
      env: { ...process.env, ...FRUGAL },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // A session of its own, which the program needs for its priority. On Windows it would be a window.
      detached: process.platform === 'linux',
    });
    started.on('message', ({ id, ...outcome }: HashingReply) => {
      const waiting = asked.get(id);
      restartMs = RESTART_MS;
      asked.delete(id);
      if (asked.size === 0) started.channel?.unref();
      if ('failure' in outcome) waiting?.reject(new Error(outcome.failure));
      else waiting?.resolve(outcome.result);
    });
    // One of the two comes, or first 'error' and then 'exit'. A channel that failed is of no more use.
    started.on('error', (error) => {
      started.kill('SIGKILL');
      ended(started, error.message);
    });
    started.once('exit', (code, signal) => ended(started, signal ?? `exit code ${code}`));
    started.unref();
    started.channel?.unref();
    return started;
  }

  function ended(which: ChildProcess, how: string): void {
    if (child !== which) return;
    child = undefined;
    for (const { reject } of asked.values()) reject(new PasswordsUnavailableError());
    asked.clear();
    if (closed) return;
    onProblem(new Error(`the process that hashes passwords has ended (${how}); it is started again`));
    startLater();
  }

  function startLater(): void {
    restart = setTimeout(() => {
      try {
        child = start();
      } catch (error) {
        // The system has no memory for it, say.
        onProblem(new Error('the process that hashes passwords cannot be started; it is tried again', { cause: error }));
        startLater();
      }
    }, restartMs).unref();
    restartMs = Math.min(2 * restartMs, RESTART_MS_MAX);
  }

  function ask(request: DistributiveOmit<HashingRequest, 'id'>): Promise<string | boolean> {
    const current = child;
    if (closed || current === undefined) return Promise.reject(new PasswordsUnavailableError());
    const id = nextId++;
    return new Promise((resolve, reject) => {
      asked.set(id, { resolve, reject });
      current.channel?.ref();
      // When it cannot be sent, the process is ending, and its end fails what was asked.
      current.send({ ...request, id }, () => {});
    });
  }

  return {
    get pid() {
      return child?.pid;
    },
    hash: async (password) => (await ask({ kind: 'hash', password })) as string,
    verify: async (hash, password) => (await ask({ kind: 'verify', hash, password })) as boolean,
    async close() {
      closed = true;
      clearTimeout(restart);
      const last = child;
      if (last?.pid === undefined) return;
      await new Promise((resolve) => {
        last.once('exit', resolve).ref();
        last.kill('SIGKILL');
      });
    },
  };
}

/** As many as half of the processors, at least one and at most four: each is at work for 20 ms at a stretch, and the other half is left to payments. */
export const HASHES_AT_ONCE = Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));

const MIB = 1024 * 1024;
/**
 * A thread for each hash at once, which share one heap of glibc. It keeps the 19 MiB of each hash for the next: to give that memory back and take
 * it anew takes two fifths longer. Left alone, four threads would each keep as much in a heap of its own.
 */
const FRUGAL = {
  UV_THREADPOOL_SIZE: String(HASHES_AT_ONCE),
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: String(32 * MIB),
  MALLOC_TRIM_THRESHOLD_: String(32 * MIB * HASHES_AT_ONCE),
};

/** So that one that cannot live costs little. Logins that come meanwhile are told to try again. */
const RESTART_MS = 300;
const RESTART_MS_MAX = 30_000;

/** Beside this file, from the sources or compiled. */
const PROGRAM = fileURLToPath(new URL(import.meta.url.replace(/hashing-process(\.\w+)$/, 'hashing-program$1')));

type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never;
