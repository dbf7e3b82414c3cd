// Watches and breaks the system calls of a running service from outside, with strace.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';

export interface Strace extends AsyncDisposable {
  /** What was traced so far, a call a line. */
  lines(): Promise<string[]>;
  /** Settles when strace has let go, also because the service has ended. */
  readonly ended: Promise<void>;
  /** Lets go of the service, which goes on. */
  detach(): Promise<void>;
}

export interface StraceOptions {
  readonly strace: string;
  readonly pid: number;
  /** Where the trace is written; overwritten. */
  readonly file: string;
  /** `-e trace=`: names of system calls. */
  readonly trace: readonly string[];
  /** `-e inject=`: `fdatasync:error=EIO:when=2`. */
  readonly inject?: string;
}

/** Makes every sync slow, so that whatever does not wait for it is early. */
export const SYNCS = 'fdatasync,fsync';

/**
 * Attaches to all threads of a process and resolves once every system call is seen. The kernel lets one tracer at a time do this, of the same
 * user, unless it is set up otherwise (`kernel.yama.ptrace_scope`).
 *
 * @throws Error with what strace said when it may not attach
 */
export async function attachStrace({ strace, pid, file, trace, inject }: StraceOptions): Promise<Strace> {
  const options = ['-f', '-yy', '-s', '0', '-o', file, '-e', `trace=${trace.join(',')}`, '-e', 'signal=none'];
  const injection = inject === undefined ? [] : ['-e', `inject=${inject}`];
  const child = spawn(strace, [...options, ...injection, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  const said: string[] = [];
  const ended = once(child, 'close').then(() => undefined);
  const attached = new Promise<boolean>((resolve) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line);
      // The first line tells of the process, and comes when all its threads are held.
      if (/attached/.test(line)) resolve(true);
    });
    void ended.then(() => resolve(false));
  });
  if (!(await attached)) throw new Error(`strace cannot attach to ${pid}: ${said.join('; ')}`);

  async function detach(): Promise<void> {
    child.kill('SIGINT');
    await ended;
  }

  return {
    async lines() {
      const handle = await open(file);
      try {
        return (await handle.readFile('utf8')).split('\n').filter(Boolean);
      } finally {
        await handle.close();
      }
    },
    ended,
    detach,
    [Symbol.asyncDispose]: detach,
  };
}

/** One system call of a trace. */
export interface TracedCall {
  readonly name: string;
  /** What `-yy` says about its first argument: a path, or `TCP:[127.0.0.1:7501->127.0.0.1:40112]`. */
  readonly target: string;
  /** Undefined for a call that was cut short by the end of the process. */
  readonly result: number | undefined;
}

/** The calls in the order in which they ended. A call that another thread interrupts in the trace is put together again. */
export function readTrace(lines: readonly string[]): TracedCall[] {
  const calls: TracedCall[] = [];
  const unfinished = new Map<string, string>();
  for (const line of lines) {
    const [, thread, text] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (thread === undefined || text === undefined) continue;
    const head = /^(.*) <unfinished \.\.\.>$/.exec(text)?.[1];
    if (head !== undefined) {
      unfinished.set(thread, head);
      continue;
    }
    const tail = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)?.[1];
    const whole = tail === undefined ? text : `${unfinished.get(thread) ?? ''}${tail}`;
    const [, name, target] = /^(\w+)\(\d+<((?:->|[^<>]|<[^<>]*>)*)>/.exec(whole) ?? [];
    if (name === undefined || target === undefined) continue;
    const result = /\)\s+=\s+(-?\d+)/.exec(whole)?.[1];
    calls.push({ name, target, result: result === undefined ? undefined : Number(result) });
  }
  return calls;
}

export interface SendingAndSyncing {
  /** What was sent over TCP while a write-ahead log had bytes that were not synced. */
  readonly early: readonly TracedCall[];
  /** Writes and syncs of the log, and sends. */
  readonly writes: number;
  readonly syncs: number;
  readonly sent: number;
}

/** Looks for words that left a process before what they may speak of was durable. A failed sync makes nothing durable. */
export function sentEarly(calls: readonly TracedCall[]): SendingAndSyncing {
  let isUnsynced = false;
  const count = { writes: 0, syncs: 0, sent: 0 };
  const early: TracedCall[] = [];
  for (const call of calls) {
    const isLog = call.target.endsWith('.sqlite-wal');
    if (isLog && call.name === 'pwrite64') {
      isUnsynced = true;
      count.writes += 1;
    } else if (isLog && /^f(data)?sync$/.test(call.name) && call.result === 0) {
      isUnsynced = false;
      count.syncs += 1;
    } else if (call.target.startsWith('TCP') && /^(write|writev|sendmsg|sendto)$/.test(call.name)) {
      count.sent += 1;
      if (isUnsynced) early.push(call);
    }
  }
  return { early, ...count };
}
