// The audit at the end, without which no result counts.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { SOURCE_FLAGS } from '../load/load-process.ts';
import type { BookFiles } from './make-books.ts';

export interface AuditVerdict {
  /** No invariant is broken, and nothing is in doubt. */
  readonly clean: boolean;
  readonly transfersChecked: number;
  readonly inDoubt: number;
  /** What is wrong, if something is; why there was no audit, if there was none. */
  readonly problems: readonly string[];
  readonly seconds: number;
}

/** Never rejects: an audit that cannot run is not clean. */
export async function auditBooks({ banks, gateway }: BookFiles): Promise<AuditVerdict> {
  const startedAt = performance.now();
  const heapMb = Math.floor((totalmem() / 1024 ** 2) * 0.75);
  const child = fork(join(import.meta.dirname, 'audit-main.ts'), { execArgv: [...SOURCE_FLAGS, `--max-old-space-size=${heapMb}`], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const stop = (): void => void child.kill('SIGKILL');
  process.once('exit', stop);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-500)));
  const ended = once(child, 'exit').then(() => undefined);
  child.send({ banks: Object.values(banks), gateways: [gateway] });
  const report = await Promise.race([once(child, 'message').then(([message]) => message as Report), ended]);
  await ended;
  process.off('exit', stop);
  const seconds = (performance.now() - startedAt) / 1000;
  if (report === undefined) return { clean: false, transfersChecked: 0, inDoubt: 0, problems: [`the audit ended early: ${stderr.trim()}`], seconds };
  const problems = report.inDoubt === 0 ? report.violations : [...report.violations, `${report.inDoubt} payments are in doubt`];
  return { clean: report.ok && report.inDoubt === 0, transfersChecked: report.transfersChecked, inDoubt: report.inDoubt, problems, seconds };
}

interface Report {
  readonly ok: boolean;
  readonly inDoubt: number;
  readonly transfersChecked: number;
  readonly violations: readonly string[];
}
