// Follows one service in Consul's catalog by blocking queries.

import { setTimeout as sleep } from 'node:timers/promises';
import { backOffMs, consulServiceName, nextIndex, passingInstances, readEntries, settle } from './consul-catalog.ts';
import type { CallError, ConsulLink } from './consul-link.ts';
import { createOnceReporter, createProblemReporter } from './problem-reporter.ts';
import { sortInstances, type Instance, type RegistryProblem, type ServiceName, type Watch } from './registry.ts';

export interface ConsulWatchOptions {
  readonly link: ConsulLink;
  readonly service: ServiceName;
  readonly random: () => number;
  readonly onProblem: (problem: RegistryProblem) => void;
  readonly onChange: (instances: readonly Instance[]) => void;
}

/** How long the agent may let a query wait for a change; it adds up to a sixteenth of it. */
const WAIT_MS = 10_000;
const QUERY_TIMEOUT_MS = WAIT_MS * (17 / 16) + 2000;
const BACK_OFF = { baseMs: 100, maxMs: 5000 };
/** However fast the catalog changes. */
const QUERY_INTERVAL_MIN_MS = 25;
/** How often those are looked at again who are shown although the catalog has them no more. */
const SETTLE_CHECK_INTERVAL_MS = 250;
/** So many failures in a row are not an election. */
const FAILURES_TO_REPORT = 5;

/**
 * Shows whoever has all checks passing. While Consul is away, the last list stays; when it is back, the query begins anew at once, and whoever
 * is not in the catalog yet gets time to come back.
 */
export function watchConsulService({ link, service, random, onProblem, onChange }: ConsulWatchOptions): Watch {
  const name = consulServiceName(service);
  const reportFailure = createOnceReporter(name, onProblem, 'can be read again');
  const reportEntries = createProblemReporter(onProblem);
  let isClosed = false;
  /** Ends the query that runs, or the pause after it. */
  let query = new AbortController();
  const list = createShownList(link, onChange);

  async function queryOnce(index: bigint): Promise<bigint> {
    query = new AbortController();
    const options = { service: name, passing: true, index: String(index), wait: `${WAIT_MS}ms` };
    const answer = await link.call((consul, how) => consul.health.service({ ...options, ...how }), {
      timeoutMs: QUERY_TIMEOUT_MS,
      signal: query.signal,
    });
    const next = nextIndex(index, answer.index);
    // The catalog is another one, or an older copy: it may not know yet who is alive.
    if (next.wentBack) link.noteTrouble();
    const { entries, problems } = readEntries(service, answer.body);
    reportEntries(new Map([...problems].map(([id, problem]) => [`${name} ${id}`, problem])));
    if (!isClosed) list.update(passingInstances(entries));
    return next.index;
  }

  function failed(error: CallError, failures: number): void {
    if (query.signal.aborted) return;
    // That Consul is away is reported once, by the link.
    if (error.status === undefined) return;
    const isRefused = error.status < 500;
    if (!isRefused) link.noteTrouble();
    if (isRefused || (failures >= FAILURES_TO_REPORT && !link.isDown)) reportFailure(`cannot be read: ${error.message}; the instances known last stay in use`);
  }

  async function follow(): Promise<void> {
    let index = 0n;
    for (let failures = 0; !isClosed;) {
      // oxlint-disable no-await-in-loop -- one query after the other
      let pauseMs = QUERY_INTERVAL_MIN_MS;
      if (query.signal.aborted) index = 0n;
      try {
        index = await queryOnce(index);
        failures = 0;
        reportFailure(undefined);
      } catch (error) {
        if ((error as Error).name !== 'CallError') throw error;
        index = 0n;
        failures += 1;
        failed(error as CallError, failures);
        pauseMs = query.signal.aborted ? 0 : pauseMs + backOffMs(failures, random, BACK_OFF);
      }
      await sleep(pauseMs, undefined, { signal: query.signal }).catch(() => {});
      // oxlint-enable no-await-in-loop
    }
  }

  // An index from before must not be waited for: the agent may have come back without its data.
  const stopListening = link.onRecovered(() => query.abort());

  void follow();

  return {
    get instances() {
      return list.instances;
    },
    close() {
      isClosed = true;
      query.abort();
      list.close();
      stopListening();
    },
  };
}

/** The list as it is shown: every change once, and nobody dropped while Consul settles. */
function createShownList(link: ConsulLink, onChange: (instances: readonly Instance[]) => void) {
  let instances: readonly Instance[] = Object.freeze([]);
  let shown: ReadonlyMap<string, Instance> = new Map();
  let read = shown;
  let told: string | undefined;

  function show(): void {
    shown = settle({ shown, read, isSettling: link.isSettling });
    const list = sortInstances(shown.values());
    const text = JSON.stringify(list);
    if (text === told) return;
    told = text;
    instances = list;
    onChange(list);
  }
  const timer = setInterval(() => {
    if (shown !== read) show();
  }, SETTLE_CHECK_INTERVAL_MS);

  return {
    get instances() {
      return instances;
    },
    update(instancesRead: ReadonlyMap<string, Instance>): void {
      read = instancesRead;
      show();
    },
    close: () => clearInterval(timer),
  };
}
