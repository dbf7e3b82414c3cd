// One service as a child process: started, watched until it is ready, killed, stopped and started again.
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join, resolve } from 'node:path';

export const workspaceRoot = resolve(import.meta.dirname, '../../..');

/** Node keeps compiled code here, also of stripped TypeScript, so that the next start need not compile again. */
const compileCache = join(workspaceRoot, 'tmp', 'compile-cache');

/** How a process ended: by its own code or by a signal. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ServiceProcess {
  readonly role: 'gateway' | 'bank';
  /** `g1`, `alpha`. */
  readonly name: string;
  /** Of the process that runs now, or ran last. */
  readonly pid: number;
  /** `127.0.0.1:7400`; the same after a restart. */
  readonly address: string;
  readonly logFile: string;
  /** Whether the process runs. */
  readonly running: boolean;
  /** Settles when the process that runs now ends; rejects never. */
  readonly exited: Promise<Exit>;
  /** Sends the signal and waits for the end of the process. Does nothing when it does not run. */
  kill(signal: NodeJS.Signals): Promise<Exit>;
  /** SIGTERM, and SIGKILL if it is still there after the stop timeout. */
  stop(): Promise<Exit>;
  /** Stops it if it runs, and starts it again on the same address, with the same files. Resolves when it is ready. */
  restart(): Promise<void>;
}

export interface ServiceOptions {
  readonly role: 'gateway' | 'bank';
  readonly name: string;
  /** All but `--port`. */
  readonly args: readonly string[];
  /** 0 takes any free one at the first start. */
  readonly port: number;
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly readyTimeoutMs?: number | undefined;
  readonly stopTimeoutMs?: number | undefined;
}

const READY_TIMEOUT_MS = 45_000;
const STOP_TIMEOUT_MS = 15_000;
const STDERR_LINES_MAX = 20;
/**
 * Of a service's heap: by default Node lets it grow further under load, which takes a third more memory and wins nothing measurable. A bank
 * has its books in memory beside it, and pays a twentieth of its processor time for less.
 */
const YOUNG_GENERATION_MIB = { gateway: 16, bank: 8 } as const;
/** Of the C library, on Linux: by default each of Node's threads gets one, and what is freed in it stays with it; 20 MB a service. */
const MALLOC_ARENAS = 2;
const READY_LINE = /ready on (\S+:\d+)/;

/** Children that run, so that none outlives this process. */
const running = new Set<ChildProcess>();
let guarded = false;

/**
 * Starts a service and waits until it says that it is ready.
 *
 * @throws Error with the last lines of its stderr and the path of its log when it ends first or takes too long
 */
export async function startService(options: ServiceOptions): Promise<ServiceProcess> {
  let current = await launch(options, options.port);
  const { address } = current;
  const port = Number(address.slice(address.lastIndexOf(':') + 1));

  async function kill(signal: NodeJS.Signals): Promise<Exit> {
    current.child.kill(signal);
    return current.exited;
  }

  async function stop(): Promise<Exit> {
    const timer = setTimeout(() => current.child.kill('SIGKILL'), options.stopTimeoutMs ?? STOP_TIMEOUT_MS);
    try {
      return await kill('SIGTERM');
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    role: options.role,
    name: options.name,
    address,
    logFile: options.logFile,
    get pid() {
      return current.child.pid ?? 0;
    },
    get running() {
      return running.has(current.child);
    },
    get exited() {
      return current.exited;
    },
    kill,
    stop,
    async restart() {
      await stop();
      current = await launch(options, port);
    },
  };
}

interface Launched {
  readonly child: ChildProcess;
  readonly address: string;
  readonly exited: Promise<Exit>;
}

async function launch(options: ServiceOptions, port: number): Promise<Launched> {
  const { role, name } = options;
  const child = spawnService(options, port);
  const exited = untilExit(child);
  const stderr = lastLines(child);
  const failure = (what: string): Error =>
    new Error([`${role} ${name} ${what}`, ...stderr.map((line) => `  ${line}`), `  log: ${options.logFile}`].join('\n'));

  const timeoutMs = options.readyTimeoutMs ?? READY_TIMEOUT_MS;
  const outcome = await firstOf(readyAddress(child), exited, timeoutMs);
  if (typeof outcome === 'string') return { child, address: outcome, exited };
  if (outcome !== undefined) throw failure(`ended before it was ready (${describeExit(outcome)})`);
  child.kill('SIGKILL');
  await exited;
  throw failure(`was not ready within ${timeoutMs} ms`);
}

/** The child has a process group of its own, so that Ctrl-C reaches only this process, which then stops all in order. */
function spawnService({ role, args, env }: ServiceOptions, port: number): ChildProcess {
  guard();
  const flags = ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning', `--max-semi-space-size=${YOUNG_GENERATION_MIB[role]}`];
  const child = spawn(process.execPath, [...flags, `apps/${role}/src/main.ts`, ...args, '--port', String(port)], {
    cwd: workspaceRoot,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...withoutStrifeVariables(process.env), STRIFE_PARENT_PIPE: '1', NODE_COMPILE_CACHE: compileCache, MALLOC_ARENA_MAX: String(MALLOC_ARENAS), ...env },
  });
  running.add(child);
  // A write to a child that is gone is no concern of ours: its exit is.
  child.stdin?.on('error', () => {});
  return child;
}

/**
 * Whatever ends this process, its children stop: the service reads stdin, which ends with this process even if that is
 * killed, and stops itself. The signal at a regular exit only makes it faster.
 */
function guard(): void {
  if (guarded) return;
  guarded = true;
  process.on('exit', () => running.forEach((child) => child.kill('SIGTERM')));
}

function untilExit(child: ChildProcess): Promise<Exit> {
  return new Promise((settle) => {
    child.once('error', () => {
      running.delete(child);
      settle({ code: null, signal: null });
    });
    child.once('exit', () => running.delete(child));
    // After 'exit', once its output has been read to the end.
    child.once('close', (code, signal) => settle({ code, signal }));
  });
}

/** Resolves with the address of the first line that says "ready on"; the output after it is read and dropped. */
function readyAddress(child: ChildProcess): Promise<string> {
  return new Promise((settle) => {
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const address = READY_LINE.exec(line)?.[1];
      if (address !== undefined) settle(address);
    });
  });
}

/** Grows and shrinks as the child writes. */
function lastLines(child: ChildProcess): readonly string[] {
  const lines: string[] = [];
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line);
      if (lines.length > STDERR_LINES_MAX) lines.shift();
    });
  }
  return lines;
}

async function firstOf<A, B>(a: Promise<A>, b: Promise<B>, timeoutMs: number): Promise<A | B | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((settle) => {
    timer = setTimeout(() => settle(undefined), timeoutMs);
  });
  try {
    return await Promise.race([a, b, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** "exit 2", "SIGKILL". */
export function describeExit({ code, signal }: Exit): string {
  return signal ?? `exit ${code ?? 'without a code'}`;
}

/** The settings of a cluster are its own: what the user's shell has for single services must not leak in. */
function withoutStrifeVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('STRIFE_')));
}
