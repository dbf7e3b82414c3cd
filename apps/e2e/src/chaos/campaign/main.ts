// `npm run chaos`: rounds of load and faults over real processes, each with a seed of its own, until there were enough.

import { randomInt } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findTool } from '../tool-search.ts';
import { runRound } from './round.ts';
import type { RoundReport } from './round.ts';

const USAGE = `Usage: npm run chaos -- [--seed S] [--minutes M] [--rounds R] [--kills N] [--payments N] [--round-seconds T] [--keep]

Rounds of load with faults on two gateways, two banks and three clients, all real processes. The first round has seed S, the next one S + 1.
It ends after R rounds; or when N processes were killed and N payments acknowledged; or after M minutes, 3 by default.

  --round-seconds <T>   how long the faults of one round go on; default 40
  --keep                keep the stores and logs of rounds that passed, too
`;

const ROUND_S = 40;
const MINUTES = 3;
/** What starting, finishing and checking a round takes beside its faults. */
const AROUND_S = 15;
const ROUND_S_MIN = 10;
const FOLDER = resolve(import.meta.dirname, '../../../../../tmp/chaos');

interface Goal {
  readonly rounds: number | undefined;
  readonly kills: number | undefined;
  readonly payments: number | undefined;
  readonly endAtMs: number;
}

interface Sum {
  rounds: number;
  kills: number;
  payments: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' }, minutes: { type: 'string' }, rounds: { type: 'string' }, kills: { type: 'string' }, payments: { type: 'string' },
      'round-seconds': { type: 'string', default: String(ROUND_S) }, keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return say(USAGE, 0);
  const number = (text: string | undefined): number | undefined => {
    if (text === undefined) return undefined;
    if (!/^\d{1,9}$/.test(text) || Number(text) === 0) throw new TypeError(`expected a number above 0, not "${text}"`);
    return Number(text);
  };
  const firstSeed = number(values.seed) ?? randomInt(1, 2 ** 30);
  const roundS = number(values['round-seconds'])!;
  const isCounted = values.rounds !== undefined || values.kills !== undefined || values.payments !== undefined;
  const minutes = number(values.minutes) ?? (isCounted ? Infinity : MINUTES);
  const goal: Goal = { rounds: number(values.rounds), kills: number(values.kills), payments: number(values.payments), endAtMs: performance.now() + minutes * 60_000 };
  console.log(`seed ${firstSeed}`);
  const tools = await findTools();
  if (tools === undefined) return 1;

  const sum: Sum = { rounds: 0, kills: 0, payments: 0 };
  for (let seed = firstSeed; !isReached(goal, sum); seed += 1) {
    const leftS = (goal.endAtMs - performance.now()) / 1000 - AROUND_S;
    const faultsS = Math.max(ROUND_S_MIN, Math.min(roundS, leftS));
    const root = join(FOLDER, String(seed));
    await rm(root, { recursive: true, force: true });
    await mkdir(root, { recursive: true });
    const startedAtMs = performance.now();
    const report = await runRound({ root, seed, faultsMs: faultsS * 1000, ...tools }).catch((error: unknown) => error as Error);
    if (report instanceof Error) return fail(seed, root, roundS, [report.stack ?? report.message]);
    console.log(describe(seed, report, performance.now() - startedAtMs));
    sum.rounds += 1;
    sum.kills += report.kills;
    sum.payments += report.history.acknowledged;
    if (report.problems.length > 0) return fail(seed, root, roundS, report.problems);
    if (!values.keep) await rm(root, { recursive: true, force: true });
    if (!isReached(goal, sum)) console.log(`  so far ${sum.kills} kills, ${sum.payments} acknowledged payments; goes on from here: ${next(seed + 1, goal, sum)}`);
  }
  console.log(`passed: ${sum.rounds} rounds, ${sum.kills} kills, ${sum.payments} acknowledged payments`);
  return 0;
}

/** Undefined when continuous integration lacks one: there nothing may be left out. */
async function findTools(): Promise<{ strace: string | undefined; faketime: string | undefined } | undefined> {
  const [strace, faketime] = await Promise.all([findTool('strace'), findTool('libfaketime')]);
  const missing = [['faults of disks', strace], ['jumps of clocks', faketime]] as const;
  let isComplete = true;
  for (const [what, tool] of missing) {
    if (tool.kind === 'found') continue;
    isComplete = false;
    console.log(`skipped: ${what}: ${tool.reason}`);
  }
  if (!isComplete && process.env['CI'] === 'true') return undefined;
  return { strace: strace.kind === 'found' ? strace.path : undefined, faketime: faketime.kind === 'found' ? faketime.path : undefined };
}

function isReached({ rounds, kills, payments, endAtMs }: Goal, sum: Sum): boolean {
  if (rounds !== undefined && sum.rounds >= rounds) return true;
  if (performance.now() + ROUND_S_MIN * 1000 > endAtMs) return true;
  const isCounted = kills !== undefined || payments !== undefined;
  return isCounted && sum.kills >= (kills ?? 0) && sum.payments >= (payments ?? 0);
}

function next(seed: number, { kills, payments }: Goal, sum: Sum): string {
  const left = [
    ...(kills === undefined ? [] : [`--kills ${Math.max(1, kills - sum.kills)}`]),
    ...(payments === undefined ? [] : [`--payments ${Math.max(1, payments - sum.payments)}`]),
  ];
  return ['npm run chaos -- --seed', seed, ...left].join(' ');
}

function describe(seed: number, { kills, faults, history, books, inDoubtMs, problems }: RoundReport, tookMs: number): string {
  const others = Object.entries(faults).filter(([kind]) => !kind.startsWith('kill')).map(([kind, count]) => `${kind} ${count}`);
  return [
    `seed ${seed}: ${problems.length === 0 ? 'ok' : 'FAILED'} in ${Math.round(tookMs / 1000)} s; ${kills} kills, ${others.join(', ')};`,
    `${history.acknowledged} acknowledged, ${history.declined} declined, ${history.unknown} uncertain answers, ${history.reads} reads;`,
    `${books.looks} looks at all balances of a bank, ${books.audits} audits of all stores (${Math.round(books.auditsMs)} ms); last in doubt ${inDoubtMs} ms`,
  ].join(' ');
}

async function fail(seed: number, root: string, roundS: number, problems: readonly string[]): Promise<number> {
  for (const problem of problems) console.log(`  ${problem}`);
  await writeFile(join(root, 'problems.txt'), `${problems.join('\n')}\n`);
  console.log(`repeat it: npm run chaos -- --seed ${seed} --rounds 1 --round-seconds ${roundS}`);
  return say(`stores, logs, journals and the faults are kept in ${root}`, 1);
}

function say(text: string, code: number): number {
  console.log(text);
  return code;
}

process.exit(await main());
