// Many seeds in some threads, with a line about how far they are, and for each that fails the command that replays it.

import type { WorldSize } from './plan.ts';
import type { Outcome } from './simulate.ts';
import { startThread } from './threads.ts';

export interface CampaignOptions {
  readonly size: WorldSize;
  readonly from: number;
  readonly seeds: number;
  readonly workers: number;
}

/** What a thread takes at a time; the thread goes on with the next. */
const SEEDS_PER_TASK = 5000;
/** After so many failures nothing new is learnt. */
const FAILURES_MAX = 10;
const PROGRESS_INTERVAL_MS = 500;

/** Returns the exit code: 0 when every promise was kept in every world. */
export async function runCampaign({ size, from, seeds, workers }: CampaignOptions): Promise<number> {
  const startedAt = performance.now();
  const failures: Outcome[] = [];
  const running = new Map<number, number>();
  let next = from;
  let done = 0;
  let steps = 0;

  const secondsSoFar = (): number => (performance.now() - startedAt) / 1000;
  function line(): string {
    const seen = done + [...running.values()].reduce((sum, count) => sum + count, 0);
    return `${seen} of ${seeds} seeds, ${failures.length} failed, ${Math.round(seen / secondsSoFar())} a second`;
  }
  const progress = process.stdout.isTTY ? setInterval(() => process.stdout.write(`\r\u001b[K${line()}`), PROGRESS_INTERVAL_MS) : undefined;

  async function work(): Promise<void> {
    const thread = startThread();
    try {
      while (next < from + seeds && failures.length < FAILURES_MAX) {
        const first = next;
        const count = Math.min(SEEDS_PER_TASK, from + seeds - first);
        next += count;
        const result = await thread.run({ size, from: first, seeds: count, failuresMax: FAILURES_MAX }, (soFar) => running.set(first, soFar.seeds));
        running.delete(first);
        done += result.seeds;
        steps += result.steps;
        failures.push(...result.failures);
      }
    } finally {
      await thread.close();
    }
  }

  await Promise.all(Array.from({ length: workers }, work));
  clearInterval(progress);
  if (progress !== undefined) process.stdout.write('\r\u001b[K');
  for (const { seed, violation } of failures.sort((one, other) => one.seed - other.seed)) {
    process.stdout.write(`seed ${seed}: ${violation}\n  npm run simulate -- --world ${size} --from ${seed} --trace\n`);
  }
  process.stdout.write(`${done} seeds, ${size}: ${failures.length} failed; ${steps} steps, ${secondsSoFar().toFixed(1)} s, ${Math.round(done / secondsSoFar())} seeds a second\n`);
  return failures.length === 0 ? 0 : 1;
}
