// Limits on a machine that has other things to do.

import { availableParallelism, loadavg } from 'node:os';

/**
 * How long something may take here that a requirement gives `ms`: the requirement is for a machine with time for it, and where more processes
 * want to run than there are cores, all take that much longer.
 */
export function onThisMachine(ms: number): number {
  return ms * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
}
