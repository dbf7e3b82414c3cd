// One run of a service's program by hand, for what a cluster hides: what it prints, and starts that fail.

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Cluster, Exit } from '@strife/cluster';
import { compileCache } from './compile-cache.ts';
import type { TestDiscovery } from './discovery.ts';

export interface ServiceRun {
  readonly pid: number;
  /** Everything printed so far. */
  stdout(): string;
  stderr(): string;
  /** Its address, once it says that it is ready; rejects with what it printed when it ends first. */
  readonly ready: Promise<string>;
  readonly exited: Promise<Exit>;
  /** SIGTERM. Resolves when the process has ended and all that it printed is read. */
  stop(): Promise<Exit>;
}

const workspaceRoot = resolve(import.meta.dirname, '../../../..');
const READY_LINE = /ready on (\S+:\d+)/;

export interface ServiceRunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** The largest file that the process may write: the disk is full beyond it. */
  readonly fileBytesMax?: number;
}

/** The process ends with this one. The caller stops it before that. */
export function runService(role: 'gateway' | 'bank', args: readonly string[], { env = {}, fileBytesMax }: ServiceRunOptions = {}): ServiceRun {
  const flags = ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning'];
  const command = [process.execPath, ...flags, `apps/${role}/src/main.ts`, ...args];
  // POSIX counts the limit in blocks of 512 bytes.
  const limited = fileBytesMax === undefined ? command : ['sh', '-c', `ulimit -f ${Math.ceil(fileBytesMax / 512)} && exec "$0" "$@"`, ...command];
  const child = spawn(limited[0]!, limited.slice(1), {
    cwd: workspaceRoot,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', STRIFE_PARENT_PIPE: '1', ...compileCache, ...env },
  });
  let stdout = '';
  let stderr = '';
  const ready = Promise.withResolvers<string>();
  ready.promise.catch(() => undefined);
  child.stdin.on('error', () => undefined);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    const address = READY_LINE.exec(stdout)?.[1];
    if (address !== undefined) ready.resolve(address);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exited = new Promise<Exit>((settle) => {
    child.once('close', (code, signal) => {
      ready.reject(new Error(`the ${role} ended before it was ready: ${stderr}`));
      settle({ code, signal });
    });
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    ready: ready.promise,
    exited,
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}

/** The flags of a service that is to run like those of a cluster; the changes, by flag, win. */
export function serviceArgs({ directories, discovery }: Pick<Cluster, 'directories'> & { discovery: TestDiscovery }, name: string, changes: Readonly<Record<string, string>> = {}): string[] {
  const { data, registry, certs, logs } = directories;
  const flags = { name, port: '0', 'data-dir': data, 'registry-dir': registry, 'certs-dir': certs, 'log-dir': logs, ...discovery.flags, ...changes };
  return Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
}
