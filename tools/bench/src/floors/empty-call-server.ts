// Starts and stops the server of empty calls.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { SOURCE_FLAGS } from '../load/load-process.ts';

export interface EmptyCallServer {
  /** `host:port` */
  readonly address: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** @throws Error when it ends before it listens */
export async function startEmptyCallServer(certsDirectory: string): Promise<EmptyCallServer> {
  const child = fork(join(import.meta.dirname, 'empty-call-main.ts'), [certsDirectory], { execArgv: SOURCE_FLAGS, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const ended = once(child, 'exit');
  const address = await Promise.race([once(child, 'message').then(([text]) => String(text)), ended.then(() => undefined)]);
  if (address === undefined) throw new Error('the server of empty calls ended before it listened');
  return {
    address,
    pid: child.pid ?? 0,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    },
  };
}
