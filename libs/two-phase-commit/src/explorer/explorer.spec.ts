import { describe, expect, it } from '@jest/globals';
import { explore } from './explore.ts';
import { PLANTED_RULES } from './planted-rules.ts';
import { DEFAULT_WORLDS, LARGE_WORLDS } from './worlds.ts';
import type { WorldPlan } from './model.ts';

const TIMEOUT_MS = 300_000;
/** Moves that a person still reads; the liveness traces contain the recovery too. */
const TRACE_MAX = 40;

function worldNamed(name: string): WorldPlan {
  return DEFAULT_WORLDS.find((plan) => plan.name === name)!;
}

describe('the explorer', () => {
  const lines: string[] = [];

  it.each(DEFAULT_WORLDS.map((plan) => [plan.name, plan] as const))('finds every promise kept in every state of %s', (_, plan) => {
    const { states, moves, recoveries, complete, violation } = explore(plan);
    lines.push(`${plan.name}: ${states} states, ${moves} moves, ${recoveries} recoveries`);
    expect(violation).toBeUndefined();
    expect(complete).toBe(true);
    expect(states).toBeGreaterThan(100);
  }, TIMEOUT_MS);

  it('visited two coordinators on one log and on two logs', () => {
    process.stdout.write(`\nStates visited, every one of each world:\n  ${lines.join('\n  ')}\n`);
    const logs = DEFAULT_WORLDS.filter(({ gateways }) => gateways.length === 2).map(({ gateways }) => new Set(gateways.map(({ log }) => log)).size);
    expect(new Set(logs)).toEqual(new Set([1, 2]));
  });

  it('says so when it could not visit every state', () => {
    expect(explore(worldNamed('one-log'), undefined, { statesMax: 1_000 })).toMatchObject({ complete: false });
  });

  it('visits the same states every time', () => {
    expect(explore(worldNamed('one-log-silent-banks'))).toEqual(explore(worldNamed('one-log-silent-banks')));
  });

  it('gives every world a name of its own', () => {
    const names = [...DEFAULT_WORLDS, ...LARGE_WORLDS].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('without one rule, the explorer finds a broken promise', () => {
  const lines: string[] = [];

  it.each(PLANTED_RULES.map((planted) => [planted.rule, planted] as const))('%s', (_, { rule, world, protects, expected, rules }) => {
    const { states, complete, violation } = explore(worldNamed(world), rules, { recoveries: protects === 'liveness' });
    lines.push(`without "${rule}", in ${world}, after ${states} states: ${violation?.promise}\n${violation?.trace.map((line, at) => `    ${at + 1}. ${line}`).join('\n')}`);
    expect(complete).toBe(false);
    expect(violation?.promise).toContain(expected);
    expect(violation?.trace.length).toBeGreaterThan(0);
    expect(violation?.trace.length).toBeLessThanOrEqual(TRACE_MAX);
  }, TIMEOUT_MS);

  it('prints the shortest way to each', () => {
    process.stdout.write(`\n${lines.join('\n')}\n`);
    expect(lines).toHaveLength(PLANTED_RULES.length);
  });
});
