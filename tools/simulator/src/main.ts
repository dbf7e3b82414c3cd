// `npm run simulate`: runs seeds, replays one with its trace, or plants known bugs and looks whether they are found.

import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';
import { runPlanted } from './planted-run.ts';
import type { WorldSize } from './plan.ts';

const USAGE = `npm run simulate -- [options]
  --seeds N         how many worlds (default 20000; 40000 for planted bugs)
  --from S          the first seed (default 1)
  --world NAME      small (default) or large
  --workers N       threads (default 1)
  --trace           one seed only: every event of its world
  --planted         plants every known bug, one at a time; --seeds is then the most for each
  --bug NAME        only this one`;

const WHOLE = /^[0-9]{1,15}$/;

interface Options {
  readonly seeds: number | undefined;
  readonly from: number;
  readonly size: WorldSize;
  readonly workers: number;
  readonly trace: boolean;
  readonly planted: boolean;
  readonly bug: string | undefined;
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: 'string' }, from: { type: 'string', default: '1' }, world: { type: 'string', default: 'small' },
      workers: { type: 'string', default: '1' }, trace: { type: 'boolean', default: false }, planted: { type: 'boolean', default: false },
      bug: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    process.exit(0);
  }
  const whole = (name: 'seeds' | 'from' | 'workers'): number => {
    const text = values[name] ?? '';
    if (!WHOLE.test(text)) throw new Error(`--${name} must be a whole number, not "${text}"`);
    return Number(text);
  };
  const { world, trace, planted, bug } = values;
  if (world !== 'small' && world !== 'large') throw new Error(`--world must be small or large, not "${world}"`);
  const seeds = values.seeds === undefined ? undefined : whole('seeds');
  return { seeds, from: whole('from'), size: world, workers: Math.max(1, whole('workers')), trace, planted: planted || bug !== undefined, bug };
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`);
    return 2;
  }
  const { from, size, workers, trace, planted, bug } = options;
  const seeds = options.seeds ?? (planted ? 40_000 : 20_000);
  if (planted) return await runPlanted({ seedsMax: seeds, from, workers, only: bug });
  if (!trace) return await runCampaign({ size, from, seeds, workers });
  // Only here: the code of the worlds is loaded by the threads, and would be loaded twice.
  const { simulateOne } = await import('./simulate.ts');
  const { violation, steps } = await simulateOne(from, size, (line) => void process.stdout.write(`${line}\n`));
  process.stdout.write(`seed ${from}, ${size}: ${steps} steps; ${violation ?? 'every promise was kept'}\n`);
  return violation === undefined ? 0 : 1;
}

process.exitCode = await main();
