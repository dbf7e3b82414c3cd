// Simulated processes: they live, are killed at any step, lose what was in memory, and start again with a clock of their own.

import type { Clock } from '@strife/two-phase-commit';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** One life of a process. Code of an earlier life that still runs can neither send nor wait nor write. */
export interface Life {
  readonly process: Process;
  alive: boolean;
  /** Events until a planned crash, which comes before the last of them is carried out. */
  eventsLeft: number;
  /** After how long it starts again, when the planned crash has come. */
  downMs: number;
  readonly clock: Clock;
}

export interface Process {
  readonly name: string;
  readonly role: 'gateway' | 'bank';
  life: Life | undefined;
  /** Serves calls: what it does first after a start is done. */
  ready: boolean;
  /** How much faster than true time its clocks run. */
  readonly rate: number;
  /** How far its wall clock is off, in ms. Jumps. */
  skewMs: number;
  /** Builds everything anew from the disk. */
  readonly boot: (life: Life) => void;
  /** Called when a call that it serves, or would, breaks off with it. */
  readonly callsServed: Set<() => void>;
}

/** What the wall clocks say at the beginning, in ms since the Unix epoch. */
export const EPOCH_MS = 1_700_000_000_000;
/** Node takes the delay of a timer as a whole number of ms, at least one. */
const TIMER_MIN_MS = 1;

export function startProcess(scheduler: Scheduler, process: Process): Life {
  const { rate } = process;
  const bootedAtMs = scheduler.nowMs;
  const life: Life = { process, alive: true, eventsLeft: Infinity, downMs: 0, clock: createClock() };

  function createClock(): Clock {
    return {
      nowMs: () => Math.floor(EPOCH_MS + scheduler.nowMs * rate + process.skewMs),
      monotonicMs: () => (scheduler.nowMs - bootedAtMs) * rate,
      after(delayMs, callback) {
        if (!life.alive) return ignore;
        const event = scheduler.after(Math.max(TIMER_MIN_MS, Math.trunc(delayMs)) / rate, life, callback);
        return () => {
          event.cancelled = true;
        };
      },
      soon(callback) {
        if (life.alive) scheduler.after(0, life, callback);
      },
    };
  }

  process.life = life;
  process.ready = false;
  process.boot(life);
  return life;
}

/** Kills the process at once. What it has sent is on its way; everything else that it had in memory is gone. */
export function killProcess(process: Process): void {
  if (process.life === undefined) return;
  process.life.alive = false;
  process.life = undefined;
  process.ready = false;
  const broken = [...process.callsServed];
  process.callsServed.clear();
  for (const breakOff of broken) breakOff();
}

/** How much faster than true time the clocks of a process run: a few per mille off, rarely more. */
export function driftFrom(random: Random): number {
  return random.chance(0.2) ? random.between(0.95, 1.05) : random.between(0.998, 1.002);
}

function ignore(): void {
  // Nothing was started.
}
