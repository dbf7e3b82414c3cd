// The short form of the campaign: some thousands of worlds, the seeds that once failed, and a handful of planted bugs.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { FAILED_SEEDS } from './failed-seeds.ts';
import { PLANTED_BUGS } from './planted-bugs.ts';
import { plantedSource } from './planting.ts';

const TIMEOUT_MS = 300_000;
const main = fileURLToPath(new URL('main.ts', import.meta.url));

/** Runs the program outside of Jest, whose modules are slower and cannot be changed as they are loaded. */
function run(...args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning', main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

describe('the simulator', () => {
  it.each([['small', 3000], ['large', 150]])('finds every promise kept in some %s worlds', async (world, seeds) => {
    const { code, output } = await run('--world', world, '--seeds', String(seeds));
    expect(output).toContain(`${seeds} seeds, ${world}: 0 failed`);
    expect(code).toBe(0);
  }, TIMEOUT_MS);

  it('tells the same story every time that it runs a seed', async () => {
    const [one, other] = await Promise.all([run('--world', 'large', '--from', '7', '--trace'), run('--world', 'large', '--from', '7', '--trace')]);
    expect(one.code).toBe(0);
    expect(one.output.split('\n').length).toBeGreaterThan(100);
    expect(other.output).toBe(one.output);
  }, TIMEOUT_MS);

  it.each(FAILED_SEEDS.map((failed) => [failed.seed, failed.world] as const))('keeps every promise with seed %d, which once broke one', async (seed, world) => {
    const { code, output } = await run('--world', world, '--from', String(seed), '--seeds', '1');
    expect(output).toContain('0 failed');
    expect(code).toBe(0);
  }, TIMEOUT_MS);
});

describe('planted bugs', () => {
  const HANDFUL = ['commits-on-one-yes', 'answers-before-the-commit', 'inquirer-presumes-abort', 'abort-over-the-same-attempt', 'recovers-nothing', 'held-money-spent-again'];

  it.each(HANDFUL)('%s is found, with the command that replays it', async (name) => {
    const { code, output } = await run('--bug', name, '--seeds', '2000');
    expect(output).toContain('1 planted bugs: 1 found, 0 not');
    expect(code).toBe(0);
  }, TIMEOUT_MS);

  it.each(PLANTED_BUGS.map((bug) => [bug.name, bug] as const))('%s has its place in the code', (_, bug) => {
    expect(plantedSource(bug)).not.toBe(plantedSource({ ...bug, replace: bug.find }));
  });

  it('are many, and each has a name of its own', () => {
    expect(new Set(PLANTED_BUGS.map(({ name }) => name)).size).toBe(PLANTED_BUGS.length);
    expect(PLANTED_BUGS.length).toBeGreaterThanOrEqual(30);
  });

  it('are refused when they have no place, or more than one', async () => {
    expect(() => plantedSource({ ...PLANTED_BUGS[0]!, find: 'no such text' })).toThrow('0 times');
    expect(() => plantedSource({ ...PLANTED_BUGS[0]!, find: 'return' })).toThrow('not once');
    const { code, output } = await run('--bug', 'no-such-bug');
    expect([code, output]).toEqual([2, 'no planted bug is called "no-such-bug"\n']);
  });
});
