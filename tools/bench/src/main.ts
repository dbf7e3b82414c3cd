// The benchmark as a command: measures, prints, and leaves the result and a page of charts in tmp/bench.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runBench } from './bench-run.ts';
import { HELP, parseCommand, type BenchCommand } from './command-line.ts';
import { PROFILES } from './profiles.ts';
import { readHotSpots, renderHotSpots } from './report/hot-spots.ts';
import { renderHtml } from './report/html.ts';
import { renderReadme } from './report/readme.ts';
import { judge } from './report/requirements.ts';
import { progressLine, renderTerminal } from './report/terminal.ts';
import { countsAtAll, type BenchResult } from './result.ts';
import type { Profile } from './scenarios/probe.ts';

const DIRECTORY = resolve(import.meta.dirname, '../../../tmp/bench');
const RESULT_FILE = join(DIRECTORY, 'last.json');
const PROFILES_DIRECTORY = join(DIRECTORY, 'profiles');
const PAGE_FILE = join(DIRECTORY, 'report.html');

/** 0: measured, and all books are right. 1: not so. 2: the command is wrong. 130: interrupted. */
async function main(): Promise<number> {
  const command = parseCommand(process.argv.slice(2));
  switch (command.kind) {
    case 'help':
      process.stdout.write(HELP);
      return 0;
    case 'wrong':
      process.stderr.write(`bench: ${command.message}\n\n${HELP}`);
      return 2;
    case 'readme':
      process.stdout.write(renderReadme(JSON.parse(await readFile(RESULT_FILE, 'utf8')) as BenchResult));
      return 0;
    case 'run':
      return await measure(command);
  }
}

async function measure(command: BenchCommand): Promise<number> {
  const profile = profileOf(command);
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  if (command.cpuProfile) await rm(PROFILES_DIRECTORY, { recursive: true, force: true });
  const result = await runBench({
    profile, profilesDirectory: command.cpuProfile ? PROFILES_DIRECTORY : undefined, scenarios: command.scenarios, directory: DIRECTORY, command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    signal: untilInterrupted(), onProgress: say, onSample: (round, probe, sample) => say(progressLine(round, profile.rounds, probe, sample)),
  });
  if (command.cpuProfile) {
    process.stdout.write(renderHotSpots(await readHotSpots(PROFILES_DIRECTORY)));
    return countsAtAll(result) ? 0 : 1;
  }
  await mkdir(DIRECTORY, { recursive: true });
  await writeFile(RESULT_FILE, `${JSON.stringify(result)}\n`);
  await writeFile(PAGE_FILE, renderHtml(result));
  process.stdout.write(command.json ? `${JSON.stringify({ ...result, requirements: judge(result), counts: countsAtAll(result) })}\n` : renderTerminal(result));
  say(`${RESULT_FILE}\n${PAGE_FILE}`);
  return countsAtAll(result) ? 0 : 1;
}

function profileOf({ profile: name, withPeer, rounds, seconds }: BenchCommand): Profile {
  const profile: Profile = PROFILES[name];
  return {
    ...profile, rounds: rounds ?? profile.rounds, seconds: seconds ?? profile.seconds, recoveryRounds: Math.min(profile.recoveryRounds, rounds ?? profile.rounds),
    ...(withPeer ? {} : { peerSingle: [], peerBulk: [] }),
  };
}

class Interrupted extends Error {}

/** The first signal ends the run in order, the second one at once; what was started ends either way. */
function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(130);
      process.stderr.write('stopping\n');
      controller.abort(new Interrupted());
    });
  }
  return controller.signal;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Interrupted)) process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(error instanceof Interrupted ? 130 : 1);
}
