// Runs worlds. Many go on side by side, a step of each in turn, so that one turn of the event loop drains the microtasks of all of them.

import { planWorld } from './plan.ts';
import type { WorldSize } from './plan.ts';
import { DiskFailure } from './ports/sync.ts';
import { createWorld } from './world.ts';
import type { World } from './world.ts';

export interface Outcome {
  readonly seed: number;
  /** The first broken promise. */
  readonly violation: string | undefined;
  readonly steps: number;
}

export interface Progress {
  readonly seeds: number;
  readonly steps: number;
}

export interface SimulateOptions {
  readonly size: WorldSize;
  readonly from: number;
  readonly seeds: number;
  readonly onFailure: (outcome: Outcome) => void;
  readonly onProgress?: (progress: Progress) => void;
  /** Stops after so many failures. */
  readonly failuresMax?: number;
}

/** More of them outlive more collections of garbage. */
const SIDE_BY_SIDE = 4;
/** Of Node's event loop, in one go round it. */
const TURNS_PER_ROUND = 64;
const PROGRESS_TURNS = 2000;

/** Runs the seeds from `from` on. The order in which failures are reported is not that of the seeds. */
export async function simulate({ size, from, seeds, onFailure, onProgress, failuresMax = Infinity }: SimulateOptions): Promise<Progress> {
  const strays = catchStrayErrors();
  const { stackTraceLimit } = Error;
  // Nothing looks at where the errors of a world were made, and to find that out costs more than all else about them.
  Error.stackTraceLimit = 0;
  let nextSeed = from;
  let done = 0;
  let steps = 0;
  let failures = 0;
  let turns = 0;
  let ended = 0;
  let worlds: World[] = [];

  function admit(): void {
    while (worlds.length < SIDE_BY_SIDE && nextSeed < from + seeds && failures < failuresMax) {
      worlds.push(createWorld(planWorld(nextSeed, size)));
      nextSeed += 1;
    }
  }

  function conclude({ seed, violation, steps: taken }: Outcome): void {
    done += 1;
    steps += taken;
    if (violation === undefined) return;
    failures += 1;
    onFailure({ seed, violation, steps: taken });
  }

  /** A step of each world; false when there is none left, or when something was thrown that nobody caught. */
  function stepAll(): boolean {
    if (strays.errors.length > 0) return false;
    if (ended > 0) {
      for (const world of worlds) if (world.ended) conclude({ seed: world.plan.seed, violation: world.watch.violation, steps: world.steps });
      worlds = worlds.filter((world) => !world.ended);
      ended = 0;
    }
    admit();
    for (const world of worlds) if (!stepOnce(world, strays)) ended += 1;
    turns += 1;
    if (turns % PROGRESS_TURNS === 0) onProgress?.({ seeds: done, steps });
    return worlds.length > 0;
  }

  try {
    for (await turnByTurn(stepAll); worlds.length > 0; await turnByTurn(stepAll)) {
      // Somebody's promise was rejected and nobody cared: only alone can each world show whether it was its own.
      const suspects = worlds;
      worlds = [];
      ended = 0;
      strays.errors.length = 0;
      for (const { plan } of suspects) conclude(await simulateOne(plan.seed, size, undefined, strays));
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    strays.stop();
  }
  return { seeds: done, steps };
}

/** Runs one seed by itself, with a trace if one is asked for. */
export async function simulateOne(seed: number, size: WorldSize, write?: (line: string) => void, known?: Strays): Promise<Outcome> {
  const strays = known ?? catchStrayErrors();
  const world = createWorld(planWorld(seed, size), write);
  try {
    let goesOn = true;
    await turnByTurn(() => {
      const stray = strays.errors.shift();
      if (stray !== undefined) {
        world.watch.fail(`nothing is thrown that nobody catches: ${describe(stray)}`);
        return false;
      }
      if (!goesOn) return false;
      // Once more after the last step: what it led to may be thrown too.
      goesOn = stepOnce(world, strays);
      return true;
    });
  } finally {
    if (known === undefined) strays.stop();
  }
  return { seed, violation: world.watch.violation, steps: world.steps };
}

function stepOnce(world: World, strays: Strays): boolean {
  try {
    return world.step();
  } catch (error) {
    if (!(error instanceof DiskFailure)) strays.errors.push(error);
    return !world.ended;
  }
}

interface Strays {
  readonly errors: unknown[];
  stop(): void;
}

/** Code under test that breaks throws where nobody listens; Node would end the process. */
function catchStrayErrors(): Strays {
  const errors: unknown[] = [];
  const keep = (error: unknown): void => {
    // The process that it was thrown in has stopped, so nothing of it reaches anybody.
    if (!(error instanceof DiskFailure)) errors.push(error);
  };
  process.on('unhandledRejection', keep);
  process.on('uncaughtException', keep);
  return {
    errors,
    stop() {
      process.off('unhandledRejection', keep);
      process.off('uncaughtException', keep);
    },
  };
}

/**
 * Calls `tick`, at once and then again and again until it returns false. Between two calls all microtasks run, and Node tells of promises
 * whose rejection nobody caught: it does both after each immediate. It goes round its event loop, which costs more than a step of a world,
 * only after a whole round of immediates.
 */
function turnByTurn(tick: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let goesOn = true;
    function turn(): void {
      if (!goesOn) return;
      try {
        goesOn = tick();
      } catch (error) {
        goesOn = false;
        reject(error);
      }
      if (!goesOn) resolve();
    }
    function round(): void {
      turn();
      if (!goesOn) return;
      for (let more = 1; more < TURNS_PER_ROUND; more += 1) setImmediate(turn);
      setImmediate(round);
    }
    round();
  });
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
