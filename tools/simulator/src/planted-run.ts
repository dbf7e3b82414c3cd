// Plants the known bugs one at a time and runs seeds until a promise is broken. A bug that stays hidden is a hole in the simulator.

import { PLANTED_BUGS } from './planted-bugs.ts';
import type { PlantedBug } from './planted-bugs.ts';
import { startThread } from './threads.ts';

export interface PlantedOptions {
  /** The most seeds for each bug. */
  readonly seedsMax: number;
  readonly from: number;
  readonly workers: number;
  /** The name of the only bug to plant. */
  readonly only: string | undefined;
}

/** Returns the exit code: 0 when every bug was found. */
export async function runPlanted({ seedsMax, from, workers, only }: PlantedOptions): Promise<number> {
  const bugs = PLANTED_BUGS.filter(({ name }) => only === undefined || name === only);
  if (bugs.length === 0) {
    process.stderr.write(`no planted bug is called "${only}"\n`);
    return 2;
  }
  const startedAt = performance.now();
  const queue = [...bugs];
  let missed = 0;
  process.stdout.write(`${'bug'.padEnd(40)} ${'world'.padEnd(6)} ${'seed'.padStart(6)} ${'after'.padStart(6)}  broken promise\n`);

  async function work(): Promise<void> {
    for (let bug = queue.shift(); bug !== undefined; bug = queue.shift()) {
      const { seed, after, violation } = await findPlanted(bug, from, seedsMax);
      if (seed === undefined) missed += 1;
      const found = seed === undefined ? `${'-'.padStart(6)} ${String(after).padStart(6)}  NOT FOUND; breaks: ${bug.breaks}` : `${String(seed).padStart(6)} ${String(after).padStart(6)}  ${violation}`;
      process.stdout.write(`${bug.name.padEnd(40)} ${(bug.world ?? 'small').padEnd(6)} ${found}\n`);
    }
  }

  await Promise.all(Array.from({ length: workers }, work));
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`${bugs.length} planted bugs: ${bugs.length - missed} found, ${missed} not; ${seconds} s\n`);
  return missed === 0 ? 0 : 1;
}

/** The lowest seed that shows the bug, of those that were run side by side, and how many had been run by then. */
async function findPlanted(bug: PlantedBug, from: number, seedsMax: number): Promise<{ seed?: number; after: number; violation?: string }> {
  const thread = startThread(bug);
  try {
    const { failures, seeds, planted } = await thread.run({ size: bug.world ?? 'small', from, seeds: seedsMax, failuresMax: 1 });
    if (!planted) throw new Error(`planted bug "${bug.name}": ${bug.file} was never loaded`);
    const first = failures.toSorted((one, other) => one.seed - other.seed)[0];
    return first?.violation === undefined ? { after: seeds } : { seed: first.seed, after: seeds, violation: first.violation };
  } finally {
    await thread.close();
  }
}
