// Starts queue-payer.ts as a process of its own, and hears what it says.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Session } from '../index.ts';

export interface QueuePayerOrder {
  /** The queue. */
  readonly file: string;
  /** A file that gets a line for each result: `<memo> <state>`. */
  readonly results: string;
  readonly gateway: string;
  readonly tls: { ca: string; cert: string; key: string };
  readonly session: Session;
  /** Queues the payments of these numbers that are not queued yet, `to` excluded. */
  readonly from: number;
  readonly to: number;
  /** Ends after so many results of the queue's life. */
  readonly resultsInAll: number;
  /** Dies there: 1 is after its first change of the queue, 0.5 before it. */
  readonly dieAtChange?: number | undefined;
}

export interface QueuePayerProcess {
  /** Resolves once it has said this: `up`, `queued`, `ended`. Rejects if it ends without. */
  heard(line: string): Promise<void>;
  /** Resolves with its exit code when it has ended; null if it was killed. */
  readonly ended: Promise<number | null>;
  /** Kills it with SIGKILL. */
  kill(): void;
}

const PROGRAM = fileURLToPath(new URL('./queue-payer.ts', import.meta.url));

/** @param orderFile where to write the order, for the process to read */
export function startQueuePayer(orderFile: string, order: QueuePayerOrder): QueuePayerProcess {
  writeFileSync(orderFile, JSON.stringify(order), { mode: 0o600 });
  const flags = ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning', PROGRAM, orderFile];
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = new Set<string>();
  const waiting = new Map<string, () => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.add(line);
    waiting.get(line)?.();
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    ended,
    heard: (line) =>
      new Promise((resolve, reject) => {
        if (lines.has(line)) return resolve();
        waiting.set(line, resolve);
        void ended.then(() => reject(new Error(`the payer ended without saying "${line}"`)));
      }),
    kill: () => child.kill('SIGKILL'),
  };
}
