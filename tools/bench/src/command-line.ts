// The command line of the benchmark.

import { parseArgs } from 'node:util';
import { SCENARIOS, type ScenarioLetter } from './scenarios/probe.ts';

export interface BenchCommand {
  readonly kind: 'run';
  readonly profile: 'quick' | 'full';
  readonly scenarios: readonly ScenarioLetter[];
  readonly withPeer: boolean;
  readonly rounds: number | undefined;
  readonly seconds: number | undefined;
  readonly json: boolean;
  readonly cpuProfile: boolean;
}

export type Command = BenchCommand | { readonly kind: 'readme' } | { readonly kind: 'help' } | { readonly kind: 'wrong'; readonly message: string };

const LETTERS = Object.keys(SCENARIOS) as ScenarioLetter[];

export const HELP = `npm run bench -- [--quick] [--scenario a,b] [--rounds n] [--seconds n] [--no-peer] [--json]
npm run bench -- --readme

  --quick            a short run of everything; the full one takes most of an hour, 30 GB of disk and 20 GB of memory
  --scenario a,b     only these, with floors and peer:
${LETTERS.map((letter) => `                     ${letter}  ${SCENARIOS[letter]}`).join('\n')}
  --rounds n         rounds, 1 to 50
  --seconds n        how long each probe counts in a round, 0.1 to 60
  --no-peer          without PostgreSQL
  --cpu-prof         profiles of gateway and banks into tmp/bench/profiles, and their hottest functions on stdout; figures are worse
  --json             the whole result as one JSON document on stdout
  --readme           print the README's table from the last result
`;

/** Never throws. */
export function parseCommand(args: readonly string[]): Command {
  let values: ReturnType<typeof readFlags>;
  try {
    values = readFlags(args);
  } catch (error) {
    return { kind: 'wrong', message: (error as Error).message };
  }
  if (values.help === true) return { kind: 'help' };
  if (values.readme === true) return { kind: 'readme' };
  const scenarios = (values.scenario ?? LETTERS.join(',')).split(',');
  const unknown = scenarios.find((letter) => !(letter in SCENARIOS));
  if (unknown !== undefined) return { kind: 'wrong', message: `--scenario: there is no ${JSON.stringify(unknown)}; there are ${LETTERS.join(', ')}` };
  const rounds = readNumber(values.rounds, 1, 50);
  if (rounds === 'wrong' || (rounds !== undefined && !Number.isInteger(rounds))) return { kind: 'wrong', message: '--rounds: must be a whole number from 1 to 50' };
  const seconds = readNumber(values.seconds, 0.1, 60);
  if (seconds === 'wrong') return { kind: 'wrong', message: '--seconds: must be from 0.1 to 60' };
  return {
    kind: 'run', profile: values.quick === true ? 'quick' : 'full', scenarios: [...new Set(scenarios)] as ScenarioLetter[],
    withPeer: values['no-peer'] !== true, rounds, seconds, json: values.json === true, cpuProfile: values['cpu-prof'] === true,
  };
}

function readFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean' }, scenario: { type: 'string' }, rounds: { type: 'string' }, seconds: { type: 'string' }, 'no-peer': { type: 'boolean' },
      json: { type: 'boolean' }, 'cpu-prof': { type: 'boolean' }, readme: { type: 'boolean' }, help: { type: 'boolean', short: 'h' },
    },
  }).values;
}

function readNumber(value: string | undefined, least: number, most: number): number | undefined | 'wrong' {
  if (value === undefined) return undefined;
  const number = Number(value);
  return number >= least && number <= most ? number : 'wrong';
}
