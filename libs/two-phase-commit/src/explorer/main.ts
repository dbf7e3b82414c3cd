// Explores worlds from the command line: `main.ts [--world NAME|default|all] [--without-rules]`.

import { parseArgs } from 'node:util';
import type { Exploration, Limits } from './explore.ts';
import { explore } from './explore.ts';
import type { Rules, WorldPlan } from './model.ts';
import { REAL_RULES } from './model.ts';
import { PLANTED_RULES } from './planted-rules.ts';
import { DEFAULT_WORLDS, LARGE_WORLDS } from './worlds.ts';

const ALL_WORLDS = [...DEFAULT_WORLDS, ...LARGE_WORLDS];

const { values } = parseArgs({
  options: { world: { type: 'string', default: 'default' }, 'without-rules': { type: 'boolean', default: false } },
});
if (values['without-rules']) withoutRules();
else withAllRules(values.world);

/** Every world must be explored to its end, without a broken promise. */
function withAllRules(name: string): void {
  const named: Record<string, readonly WorldPlan[]> = { all: ALL_WORLDS, default: DEFAULT_WORLDS };
  const plans = named[name] ?? ALL_WORLDS.filter((plan) => plan.name === name);
  if (plans.length === 0) {
    console.error(`no world is named ${name}; there are: default, all, ${ALL_WORLDS.map((plan) => plan.name).join(', ')}`);
    process.exitCode = 2;
  }
  for (const plan of plans) if (!report(plan, REAL_RULES, {}).complete) process.exitCode = 1;
}

/** Each rule, left out, must lead to a broken promise. */
function withoutRules(): void {
  for (const { rule, world, protects, rules } of PLANTED_RULES) {
    const plan = ALL_WORLDS.find(({ name }) => name === world);
    console.log(`\nwithout the rule: ${rule}`);
    if (plan === undefined || report(plan, rules, { recoveries: protects === 'liveness' }).violation === undefined) process.exitCode = 1;
  }
}

function report(plan: WorldPlan, rules: Rules, limits: Limits): Exploration {
  const started = performance.now();
  const result = explore(plan, rules, limits);
  const { states, moves, depth, recoveries, complete, violation } = result;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${plan.name.padEnd(24)} ${states} states, ${moves} moves, depth ${depth}, ${recoveries} recoveries, complete: ${complete}, ${seconds} s`);
  if (violation !== undefined) {
    console.log(`  broken: ${violation.promise}\n${violation.trace.map((line, at) => `  ${at + 1}. ${line}`).join('\n')}`);
  }
  return result;
}
