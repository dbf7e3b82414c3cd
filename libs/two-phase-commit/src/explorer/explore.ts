// The search: every state that a world can reach, breadth first, so that the first counterexample is a shortest one.

import { violationOf, violationOfChange } from './invariants.ts';
import type { Rules, World, WorldPlan, WorldState } from './model.ts';
import { REAL_RULES } from './model.ts';
import { durableKeyOf, recover } from './recovery.ts';
import { createWorld, initialState, keyOf, movesOf, observe } from './world.ts';

export interface Exploration {
  /** Distinct states reached. */
  readonly states: number;
  /** Moves tried from them. */
  readonly moves: number;
  /** Moves from the start to the farthest state. */
  readonly depth: number;
  /** Distinct durable states, each recovered from. */
  readonly recoveries: number;
  /** Every reachable state was visited. False when the search stopped at a violation or at the cap. */
  readonly complete: boolean;
  readonly violation?: Violation;
}

export interface Violation {
  readonly promise: string;
  /** The shortest way to it, a move a line. */
  readonly trace: readonly string[];
}

export interface Limits {
  /** Whether to recover from each state too. Without it only what must hold at every moment is checked. */
  readonly recoveries?: boolean;
  readonly statesMax?: number;
}

/** Beyond this the world is too large to be explored to its end, and the result says so. */
const STATES_MAX = 8_000_000;

/** Visits every reachable state and checks every promise in it, between states, and after recovery from it. */
export function explore(plan: WorldPlan, rules: Rules = REAL_RULES, { recoveries = true, statesMax = STATES_MAX }: Limits = {}): Exploration {
  const world = createWorld(plan, rules);
  const start = initialState(world);
  const visited = new Set([keyOf(world, start)]);
  const origins: Origin[] = [{ parent: -1, move: -1 }];
  const recovered = new Set<string>();
  let moves = 0;
  let depth = 0;
  const result = (complete: boolean, violation?: Violation): Exploration =>
    ({ states: visited.size, moves, depth, recoveries: recovered.size, complete, ...(violation && { violation }) });

  let layer: { state: WorldState; index: number }[] = [{ state: start, index: 0 }];
  while (layer.length > 0) {
    const nextLayer: typeof layer = [];
    for (const { state, index } of layer) {
      const seen = observe(world, state);
      for (const [ordinal, { next }] of movesOf(world, state).entries()) {
        moves += 1;
        // Only a move that changes a log or a bank can break what holds between two states.
        const durablyMoved = next.logs !== state.logs || next.banks !== state.banks;
        const changed = durablyMoved ? violationOfChange(seen, observe(world, next)) : undefined;
        const key = keyOf(world, next);
        if (visited.has(key) && changed === undefined) continue;
        visited.add(key);
        origins.push({ parent: index, move: ordinal });
        const reached = origins.length - 1;
        const promise = next.alarm ?? violationOf(observe(world, next)) ?? changed;
        if (promise !== undefined) return result(false, { promise, trace: traceTo(world, origins, reached) });
        const durable = durableKeyOf(world, next);
        if (recoveries && !recovered.has(durable)) {
          recovered.add(durable);
          const failed = recover(world, next);
          if (failed) return result(false, { promise: failed.violation, trace: [...traceTo(world, origins, reached), ...failed.trace] });
        }
        nextLayer.push({ state: next, index: reached });
      }
      if (visited.size > statesMax) return result(false);
    }
    layer = nextLayer;
    if (layer.length > 0) depth += 1;
  }
  return result(true);
}

interface Origin {
  readonly parent: number;
  /** Which of the parent's moves led here. */
  readonly move: number;
}

function traceTo(world: World, origins: readonly Origin[], reached: number): string[] {
  const ordinals: number[] = [];
  for (let at = origins[reached]; at !== undefined && at.parent >= 0; at = origins[at.parent]) ordinals.unshift(at.move);
  const lines: string[] = [];
  let state = initialState(world);
  for (const ordinal of ordinals) {
    const move = movesOf(world, state)[ordinal];
    if (move === undefined) break;
    lines.push(move.label());
    state = move.next;
  }
  return lines;
}
