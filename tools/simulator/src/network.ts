// The simulated network: calls that are lost, delayed, repeated, overtaken, cut off, or answered after the caller gave up.

import type { Life, Process } from './processes.ts';
import type { Random } from './random.ts';
import { FOR_EVER } from './scheduler.ts';
import type { Scheduler } from './scheduler.ts';
import type { Trace } from './trace.ts';

/** How bad the network is while faults go on. */
export interface NetworkPlan {
  readonly latencyMs: number;
  readonly lost: number;
  readonly repeated: number;
  /** Messages that take up to `slowMs`, past every timeout. */
  readonly slow: number;
  readonly slowMs: number;
}

export interface CallOptions<Reply> {
  /** For the trace. */
  readonly what: () => string;
  readonly timeoutMs: number;
  /** Runs at the process that is called; its rejection reaches the caller. */
  readonly serve: () => Promise<Reply>;
}

export interface Network {
  /** Calls `to`; rejects when the call fails, is refused, or takes too long. */
  call<Reply>(from: Life, to: Process, options: CallOptions<Reply>): Promise<Reply>;
  /** Messages between the two go nowhere, in both directions, until `heal`. */
  cut(one: string, other: string): void;
  heal(): void;
  /** From now on nothing is lost, repeated or slow. */
  calm(): void;
  /** How long a message takes now, or that it is lost. */
  delay(from: string, to: string): number | undefined;
}

export class CallFailed extends Error {
  override readonly name = 'CallFailed';
}

// One of each: nothing looks at the stack of a failed call, and making it costs more than the whole call.
const TIMED_OUT = new CallFailed('timed out');
const REFUSED = new CallFailed('connection refused');
const BROKEN_OFF = new CallFailed('connection reset');

export function createNetwork(scheduler: Scheduler, random: Random, plan: NetworkPlan, trace: Trace | undefined): Network {
  const cuts = new Set<string>();
  let calm = false;

  function delay(from: string, to: string): number | undefined {
    if (cuts.size > 0 && cuts.has(pairOf(from, to))) return undefined;
    const { latencyMs, lost, slow, slowMs } = plan;
    if (calm) return random.between(0.1, 1) * latencyMs;
    if (random.chance(lost)) return undefined;
    return random.chance(slow) ? random.between(latencyMs, slowMs) : random.between(0.1, 1) * latencyMs;
  }

  function call<Reply>(from: Life, to: Process, { what, timeoutMs, serve }: CallOptions<Reply>): Promise<Reply> {
    const caller = from.process.name;
    return new Promise((resolve, reject) => {
      if (!from.alive) return;
      let open = true;
      const timeout = scheduler.after(Math.max(1, timeoutMs) / from.process.rate, from, () => fail(TIMED_OUT));

      function fail(error: unknown): void {
        if (!open) return;
        open = false;
        timeout.cancelled = true;
        trace?.(`${caller}: ${what()} at ${to.name} failed: ${String(error)}`);
        reject(error);
      }

      /** The caller hears of it, unless the network swallows that too. */
      function tell(news: () => void): void {
        const back = delay(to.name, caller);
        if (back !== undefined) scheduler.after(back, from, news);
      }

      function arrive(): void {
        if (to.life === undefined || !to.ready) {
          tell(() => fail(REFUSED));
          return;
        }
        const { life } = to;
        trace?.(`${to.name} <- ${caller}: ${what()}`);
        const breakOff = (): void => tell(() => fail(BROKEN_OFF));
        to.callsServed.add(breakOff);
        serve().then(
          (reply) => {
            to.callsServed.delete(breakOff);
            if (!life.alive) return;
            tell(() => {
              if (!open) return;
              open = false;
              timeout.cancelled = true;
              trace?.(`${caller} <- ${to.name}: answer to ${what()}`);
              resolve(reply);
            });
          },
          (error: unknown) => {
            to.callsServed.delete(breakOff);
            if (life.alive) tell(() => fail(error));
          },
        );
      }

      const there = delay(caller, to.name);
      if (there === undefined) trace?.(`${caller} -> ${to.name}: ${what()} is lost`);
      else scheduler.after(there, FOR_EVER, arrive);
      if (!calm && random.chance(plan.repeated)) {
        const again = delay(caller, to.name);
        if (again !== undefined) scheduler.after(again, FOR_EVER, arrive);
      }
    });
  }

  return {
    call,
    delay,
    cut(one, other) {
      trace?.(`the network between ${one} and ${other} is cut`);
      cuts.add(pairOf(one, other));
    },
    heal: () => cuts.clear(),
    calm() {
      calm = true;
      cuts.clear();
    },
  };
}

function pairOf(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}
