// What a process has used, from /proc. Where there is none (not Linux), nothing is known, and reports say so.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** The kernel counts processor time in hundredths of a second for programs, whatever its own clock. */
const MICROS_PER_TICK = 10_000;

/** Processor time so far, user and system, of each process that is there. */
export function cpuMicros(pids: readonly number[]): ReadonlyMap<number, number> {
  const micros = new Map<number, number>();
  for (const pid of pids) {
    const used = scheduledMicros(pid) ?? countedMicros(pid);
    if (used !== undefined) micros.set(pid, used);
  }
  return micros;
}

/**
 * By the scheduler, in nanoseconds: exact for the many processes of a database, which use less than a tick each. Threads that have
 * ended are not in it; servers keep theirs.
 */
function scheduledMicros(pid: number): number | undefined {
  try {
    const threads = readdirSync(`/proc/${pid}/task`).map((thread) => read(`/proc/${pid}/task/${thread}/schedstat`) ?? '0');
    const nanoseconds = threads.reduce((sum, text) => sum + Number(text.split(' ')[0]), 0);
    return nanoseconds === 0 ? undefined : nanoseconds / 1000;
  } catch {
    return undefined;
  }
}

function countedMicros(pid: number): number | undefined {
  const fields = statFields(pid);
  // Fields 14 and 15 of proc(5): utime and stime; the first here is field 3.
  return fields && (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
}

/** Processor time between two looks; undefined when nothing was seen. What ended in between is not counted. */
export function cpuMicrosBetween(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number | undefined {
  if (after.size === 0) return undefined;
  let sum = 0;
  for (const [pid, micros] of after) sum += micros - (before.get(pid) ?? 0);
  return sum;
}

/** Starts the peak of resident memory anew. */
export function resetPeakRss(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // Another user's process, or no such kernel: the peak is then that of its whole life.
    }
  }
}

/** The most memory that was resident at once, added up over the processes: shared pages count in each. */
export function peakRssBytes(pids: readonly number[]): number | undefined {
  const peaks = pids.map((pid) => /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1]).filter((kilobytes) => kilobytes !== undefined);
  return peaks.length === 0 ? undefined : peaks.reduce((sum, kilobytes) => sum + Number(kilobytes) * 1024, 0);
}

/** The process itself and its children: a database server forks one for each connection. */
export function withChildren(pid: number): number[] {
  const children: number[] = [];
  try {
    for (const name of readdirSync('/proc')) {
      if (/^\d+$/.test(name) && statFields(Number(name))?.[1] === String(pid)) children.push(Number(name));
    }
  } catch {
    return [pid];
  }
  return [pid, ...children];
}

/** The fields of /proc/<pid>/stat after the program's name, which may hold blanks and brackets itself. */
function statFields(pid: number): string[] | undefined {
  const text = read(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
