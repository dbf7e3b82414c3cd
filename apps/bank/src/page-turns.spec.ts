// Lists that wait for their turn: what runs in one turn of the loop, and what comes in between.

import { beforeEach, expect, it } from '@jest/globals';
import { createPageTurns } from './page-turns.ts';
import type { PageTurns } from './page-turns.ts';

const signal = new AbortController().signal;
let soon: (() => void)[];
let nowMs: number;
let done: string[];
let turns: PageTurns;

beforeEach(() => {
  [soon, nowMs, done] = [[], 0, []];
  turns = createPageTurns({ soon: (callback) => void soon.push(callback), monotonicMs: () => nowMs });
});

/** Asks for a list that takes so long to read. */
function ask(name: string, takesMs: number, given = signal): Promise<string> {
  return turns.take(given, () => {
    nowMs += takesMs;
    done.push(name);
    return name;
  });
}

/** The next turn of the event loop; says which lists were read since the one before began. */
function turn(): string[] {
  const before = done.splice(0);
  for (const callback of soon.splice(0)) callback();
  return before;
}

/** The lists of so many turns. */
const turnsOf = (count: number) => Array.from({ length: count }, turn);

it('reads one long list in a turn, in the order asked', async () => {
  const asked = ['a', 'b', 'c'].map((name) => ask(name, 1.25));
  expect(turnsOf(4)).toEqual([['a'], ['b'], ['c'], []]);
  expect(await Promise.all(asked)).toEqual(['a', 'b', 'c']);
});

it('reads short lists until the time of a turn is over', () => {
  for (let number = 0; number < 10; number++) void ask(String(number), 0.25);
  expect(turnsOf(4).map(({ length }) => length)).toEqual([4, 4, 2, 0]);
});

it('lets nobody go before those who wait', () => {
  void ask('a', 1.25);
  void ask('b', 1.25);
  void ask('c', 0.25);
  expect(turn()).toEqual(['a']);
  // The turn of b.
  void ask('d', 0.25);
  expect(turnsOf(3)).toEqual([['b'], ['c', 'd'], []]);
});

it('counts what else the turn did against its lists, and none of it against the next turn', () => {
  void ask('a', 0.25);
  nowMs += 5;
  void ask('b', 0.25);
  expect(turnsOf(2)).toEqual([['a'], ['b']]);
  expect(turn()).toEqual([]);
  nowMs += 60_000;
  void ask('c', 0.25);
  void ask('d', 0.25);
  expect(done).toEqual(['c', 'd']);
});

it('keeps nothing going when there is nothing to read', () => {
  void ask('a', 0.25);
  turnsOf(2);
  expect(soon).toEqual([]);
});

it('passes on what a list throws, and goes on with the next', async () => {
  void ask('long', 1.25);
  const failed = turns.take(signal, () => {
    throw new Error('no such token');
  });
  const after = ask('after', 0.1);
  turn();
  await expect(failed).rejects.toThrow('no such token');
  expect(await after).toBe('after');
});

it('does not read for a call that was given up while it waited', async () => {
  const call = new AbortController();
  void ask('long', 1.25);
  const given = ask('given up', 5, call.signal);
  const next = ask('next', 0.1);
  call.abort();
  expect(turnsOf(2)).toEqual([['long'], ['next']]);
  await expect(given).rejects.toMatchObject({ name: 'AbortError' });
  await next;
});
