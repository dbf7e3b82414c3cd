// Load generators as processes of their own, seen from the process that measures.

import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { Job } from './job.ts';
import type { LoopResult } from './measure-loop.ts';
import type { LoadMessage, RunRequest } from './messages.ts';

export interface LoadProcess {
  readonly pid: number;
  /**
   * Runs one job and returns what it counted. One at a time.
   *
   * @throws Error when the load cannot run, or the process ends
   */
  run(job: Job, options: RunOptions): Promise<LoopResult>;
  /** Ends it at once. May be repeated. */
  stop(): Promise<void>;
}

export interface RunOptions {
  readonly warmupMs: number;
  readonly seconds: number;
  readonly onMeasuring?: (() => void) | undefined;
  readonly onMeasured?: (() => void) | undefined;
}

/** Flags that let a child run the sources, as this process does. */
export const SOURCE_FLAGS = ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning'];

/** Starts a load process and waits until it takes jobs. */
export async function startLoad(): Promise<LoadProcess> {
  const child = fork(join(import.meta.dirname, 'load-main.ts'), { execArgv: SOURCE_FLAGS, serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await untilMessage(child, (message) => message.kind === 'ready');
  return {
    pid: child.pid ?? 0,
    async run(job, { warmupMs, seconds, onMeasuring, onMeasured }) {
      const request: RunRequest = { job, warmupMs, seconds };
      child.send(request);
      const last = await untilMessage(child, (message) => {
        if (message.kind === 'measuring') onMeasuring?.();
        if (message.kind === 'measured') onMeasured?.();
        return message.kind === 'result' || message.kind === 'failed';
      });
      if (last.kind === 'result') return last.result;
      throw new Error(`the load ${job.kind} failed: ${last.kind === 'failed' ? last.message : last.kind}`);
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The first message that `isLast` accepts; it sees every one until then. */
function untilMessage(child: ChildProcess, isLast: (message: LoadMessage) => boolean): Promise<LoadMessage> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: LoadMessage): void => {
      if (!isLast(message)) return;
      forget();
      resolve(message);
    };
    const onExit = (code: number | null, signal: NodeJS.Signals | null): void => {
      forget();
      reject(new Error(`a load process ended: ${signal ?? `exit ${code}`}`));
    };
    const forget = (): void => {
      child.off('message', onMessage as (message: unknown) => void);
      child.off('exit', onExit);
    };
    child.on('message', onMessage as (message: unknown) => void);
    child.once('exit', onExit);
    if (child.exitCode !== null || child.signalCode !== null) onExit(child.exitCode, child.signalCode);
  });
}
