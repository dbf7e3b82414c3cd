// The readable account of a world: one line an event, with the true time. Nothing is written down where nobody reads it.

import type { Scheduler } from './scheduler.ts';

export type Trace = (line: string) => void;

export function createTrace(scheduler: Scheduler, write: (line: string) => void): Trace {
  return (line) => write(`${scheduler.nowMs.toFixed(3).padStart(12)}  ${line}`);
}
