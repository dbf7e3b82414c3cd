// Liveness, from any state: lose every message and every memory, then let nothing fail any more. Whatever was in doubt
// must end, and a client that asks again must get a final answer.

import type { TransferRequest } from '../protocol/vocabulary.ts';
import { banksOf } from '../protocol/vocabulary.ts';
import { decidedLegsLeftBehind, violationAtRest, violationOf } from './invariants.ts';
import type { Message, Move, World, WorldState } from './model.ts';
import { beginAt, inquiriesAbout, keyOf, movesOf, observe, post, resumptions } from './world.ts';

/** How often a client asks a gateway again before it must have heard a final answer. */
const TRIES_MAX = 4;
/** More moves than any of these worlds needs without faults: beyond them it runs in a circle. */
const MOVES_MAX = 200;

export interface Recovery {
  readonly violation: string;
  /** The moves that led to it, in words. */
  readonly trace: readonly string[];
}

/** The part of a state that survives what `recover` begins with: equal keys recover alike. */
export function durableKeyOf(world: World, state: WorldState): string {
  return state.logs.map((log) => world.logLetters.letterOf(log)).join('') +
    state.banks.map(({ books }) => world.booksLetters.letterOf(books)).join('') + world.toldLetters.letterOf(state.told);
}

/** What goes wrong without further faults, or undefined when nothing stays in doubt. */
export function recover(world: World, from: WorldState): Recovery | undefined {
  const trace = ['every process crashes, every message is lost; from here on nothing fails'];
  const settled = run(world, restarted(world, from), trace);
  const violation = settled.alarm ?? atRest(world, settled);
  if (violation !== undefined) return { violation, trace };
  for (const [gateway] of world.plan.gateways.entries()) {
    for (const request of world.requests) {
      const failed = retry(world, settled, gateway, request, [...trace]);
      if (failed !== undefined) return failed;
    }
  }
  return undefined;
}

function atRest(world: World, state: WorldState): string | undefined {
  const seen = observe(world, state);
  return world.plan.inquiry ? violationAtRest(seen) : (violationOf(seen) ?? decidedLegsLeftBehind(seen));
}

function restarted(world: World, state: WorldState): WorldState {
  const calm: WorldState = {
    ...state,
    network: '',
    requestsLeft: state.requestsLeft.map(() => 0),
    gateways: state.gateways.map(() => IDLE_AFTER_CRASH),
  };
  const messages: Message[] = calm.banks.flatMap(({ name, books }) => inquiriesAbout(world, name, books.leg));
  for (const [index, { row, acknowledged }] of calm.logs.entries()) {
    if (row === undefined || banksOf(row.body).every((bank) => acknowledged.includes(bank))) continue;
    messages.push(...resumptions(world, row, world.logIds[index] ?? ''));
  }
  return post(world, calm, messages);
}

const IDLE_AFTER_CRASH = {};

/** Makes every move that must happen in the end, until none changes anything. */
function run(world: World, from: WorldState, trace: string[], onMove: (move: Move) => void = () => undefined): WorldState {
  let state = from;
  for (let count = 0; count < MOVES_MAX; count += 1) {
    const key = keyOf(world, state);
    const move = movesOf(world, state).find(({ optional, next }) => !optional && keyOf(world, next) !== key);
    if (move === undefined) return state;
    trace.push(move.label());
    onMove(move);
    state = move.next;
  }
  return { ...state, alarm: 'without faults everything comes to rest' };
}

function retry(world: World, from: WorldState, gateway: number, request: TransferRequest, trace: string[]): Recovery | undefined {
  let state = from;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const begun = beginAt(world, state, gateway, request);
    trace.push(begun.label());
    let reply = begun.reply;
    state = run(world, begun.next, trace, (move) => {
      reply = move.reply ?? reply;
    });
    const violation = state.alarm ?? violationOf(observe(world, state));
    if (violation !== undefined) return { violation, trace };
    if (reply !== undefined && reply.kind !== 'not-applied' && reply.kind !== 'unknown') {
      const unrest = violationAtRest(observe(world, state));
      return unrest === undefined ? undefined : { violation: unrest, trace };
    }
  }
  return { violation: `a client that asks again hears a final answer within ${TRIES_MAX} tries`, trace };
}
