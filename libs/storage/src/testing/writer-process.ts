// Starts testing/writer.ts as a process, and hears what it says.

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface WriterProcess {
  /** Resolves with the first line, past or to come, that starts with `prefix`. */
  heard(prefix: string): Promise<string>;
  readonly lines: readonly string[];
  /** Kills it with SIGKILL and resolves when it is gone. */
  kill(): Promise<void>;
  /** Resolves when it has ended by itself. */
  readonly ended: Promise<void>;
}

const WRITER = fileURLToPath(new URL('./writer.ts', import.meta.url));

/** @param shell put before the command: `ulimit -f 100;` */
export function startWriter(command: 'hold' | 'books' | 'doubt' | 'log' | 'rows', file: string, shell = ''): WriterProcess {
  const arguments_ = ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning', WRITER, command, file];
  const child: ChildProcess = spawn('bash', ['-c', `${shell} exec "$0" "$@"`, process.execPath, ...arguments_], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  let waiting: { prefix: string; resolve: (line: string) => void }[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    lines.push(line);
    for (const { prefix, resolve } of waiting) if (line.startsWith(prefix)) resolve(line);
    waiting = waiting.filter(({ prefix }) => !line.startsWith(prefix));
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    lines,
    ended,
    heard: (prefix) =>
      new Promise((resolve, reject) => {
        const known = lines.find((line) => line.startsWith(prefix));
        if (known !== undefined) return resolve(known);
        waiting.push({ prefix, resolve });
        void ended.then(() => reject(new Error(`the writer ended without saying "${prefix}": ${lines.slice(-3).join('; ')}`)));
      }),
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
