// Follows one question in Consul by blocking queries: begins anew after a failure, an outage, or an index that went back.

import { setTimeout as sleep } from 'node:timers/promises';
import type Consul from 'consul';
import { backOffMs, nextIndex } from './consul-catalog.ts';
import type { CallError, CallOptions, ConsulLink } from './consul-link.ts';

export interface FollowOptions {
  readonly link: ConsulLink;
  readonly random: () => number;
  /** The client's call, with the index to wait for a change from, and how long. */
  readonly ask: (consul: Consul, query: { readonly index: string; readonly wait: string } & CallOptions) => Promise<unknown>;
  /** However fast the answer changes. */
  readonly intervalMinMs: number;
  readonly onAnswer: (body: unknown) => void;
  /** Told of refusals, and of failures that last. Not told that Consul is away: the link reports that. */
  readonly onFailure: (error: CallError) => void;
}

export interface Following {
  /** Gives up the query that runs and asks anew: answers from now on were asked for after this. */
  refresh(): void;
  /** `onAnswer` is not called after this returned. */
  close(): void;
}

/** How long the agent may let a query wait for a change; it adds up to a sixteenth of it. */
const WAIT_MS = 10_000;
const QUERY_TIMEOUT_MS = WAIT_MS * (17 / 16) + 2000;
const BACK_OFF = { baseMs: 100, maxMs: 5000 };
/** So many failures in a row are not an election. */
const FAILURES_TO_REPORT = 5;

/** Asks at once, and then until it is closed. When Consul is back after trouble it asks anew at once. */
export function followConsul({ link, random, ask, intervalMinMs, onAnswer, onFailure }: FollowOptions): Following {
  let isClosed = false;
  /** Ends the query that runs, or the pause after it. */
  let query = new AbortController();

  async function queryOnce(index: bigint): Promise<bigint> {
    query = new AbortController();
    const { signal } = query;
    const answer = await link.call((consul, how) => ask(consul, { index: String(index), wait: `${WAIT_MS}ms`, ...how }), { timeoutMs: QUERY_TIMEOUT_MS, signal });
    if (signal.aborted) return 0n;
    const next = nextIndex(index, answer.index);
    // The catalog is another one, or an older copy: it may not know yet who is alive.
    if (next.wentBack) link.noteTrouble();
    onAnswer(answer.body);
    return next.index;
  }

  function failed(error: CallError, failures: number): void {
    // That Consul is away is reported once, by the link.
    if (error.status === undefined) return;
    // A server that starts does not know its tokens at once.
    const isRefused = error.status < 500 && !link.isSettling;
    if (error.status >= 500) link.noteTrouble();
    if (isRefused || (failures >= FAILURES_TO_REPORT && !link.isDown)) onFailure(error);
  }

  async function follow(): Promise<void> {
    let index = 0n;
    for (let failures = 0; !isClosed;) {
      // oxlint-disable no-await-in-loop -- one query after the other
      let pauseMs = intervalMinMs;
      if (query.signal.aborted) index = 0n;
      try {
        index = await queryOnce(index);
        failures = 0;
      } catch (error) {
        if ((error as Error).name !== 'CallError') throw error;
        index = 0n;
        if (!query.signal.aborted) {
          failures += 1;
          failed(error as CallError, failures);
          pauseMs += backOffMs(failures, random, BACK_OFF);
        }
      }
      if (!query.signal.aborted) await sleep(pauseMs, undefined, { signal: query.signal }).catch(() => {});
      // oxlint-enable no-await-in-loop
    }
  }

  const refresh = (): void => query.abort();
  // An index from before must not be waited for: the agent may have come back without its data.
  const stopListening = link.onRecovered(refresh);
  void follow();

  return {
    refresh,
    close() {
      isClosed = true;
      query.abort();
      stopListening();
    },
  };
}
