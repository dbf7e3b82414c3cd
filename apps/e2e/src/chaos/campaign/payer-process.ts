// Starts campaign/payer.ts, kills it, and starts it again with the same journal.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compileCache } from '../../support/compile-cache.ts';
import type { PayerConfig } from './payer.ts';

export interface PayerProcess {
  readonly name: string;
  /** SIGKILL, and a new process of the same client. */
  killAndRestart(): Promise<void>;
  /** Sends no new payments, and resolves when all have a certain answer. @throws Error when that takes too long, or the client fails */
  finish(timeoutMs: number): Promise<void>;
  kill(): void;
}

const PROGRAM = fileURLToPath(new URL('payer.ts', import.meta.url));
const STDERR_MAX = 4000;

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  stderr(): string;
}

export function startPayer(config: PayerConfig): PayerProcess {
  const name = `${config.bank}/${config.username}`;
  let starts = 0;
  let running = launch();

  function launch(): Running {
    starts += 1;
    const flags = ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning'];
    const settings = JSON.stringify({ ...config, seed: config.seed + starts * 1000 });
    const child = spawn(process.execPath, [...flags, PROGRAM, settings], {
      detached: true, stdio: ['pipe', 'ignore', 'pipe'], env: { PATH: process.env['PATH'] ?? '', ...compileCache },
    });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-STDERR_MAX)));
    child.stdin?.on('error', () => undefined);
    const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
    return { child, exited, stderr: () => stderr };
  }

  return {
    name,
    async killAndRestart() {
      const { child, exited } = running;
      child.kill('SIGKILL');
      const code = await exited;
      if (code !== null) throw new Error(`client ${name} ended by itself (exit ${code}): ${running.stderr()}`);
      running = launch();
    },
    async finish(timeoutMs) {
      const { child, exited, stderr } = running;
      child.stdin?.write('finish\n');
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      const code = await exited;
      clearTimeout(timer);
      if (code === null) throw new Error(`client ${name} has payments without a certain answer ${timeoutMs} ms after all faults ended`);
      if (code !== 0) throw new Error(`client ${name} ended by itself (exit ${code}): ${stderr()}`);
    },
    kill: () => void running.child.kill('SIGKILL'),
  };
}
