// Tells one process from another that later got the same pid.

import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** When the process started, in the kernel's clock ticks since boot; empty where there is no /proc. */
  readonly startedAt: string;
}

export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, startedAt: readStat(process.pid)?.startedAt ?? '' };
}

/**
 * Tells whether that very process still runs. A zombie does not. Where /proc cannot be read the pid alone decides; the
 * heartbeat then covers the reuse of a pid.
 */
export function isAlive({ pid, startedAt }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM says that it runs, under another user.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const stat = readStat(pid);
  if (!stat) return true;
  return stat.state !== 'Z' && stat.state !== 'X' && (startedAt === '' || stat.startedAt === startedAt);
}

/** proc_pid_stat(5): state is field 3, starttime field 22. Field 2, the name, may hold blanks and brackets. */
function readStat(pid: number): { state: string; startedAt: string } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startedAt] = [fields[0], fields[19]];
  return state && startedAt ? { state, startedAt } : undefined;
}
