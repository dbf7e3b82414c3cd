// Follows the instances of one kind in Consul's catalog: which services there are by their names, and the health of each.

import { instanceIdsIn, consulServiceName, consulServicePrefix, passingInstances, readEntries, settle } from './consul-catalog.ts';
import { followConsul } from './consul-follow.ts';
import type { CallError, ConsulLink } from './consul-link.ts';
import type { ServiceNames } from './consul-names.ts';
import { describeCallError, mayNot } from './consul-rights.ts';
import { createOnceReporter, createProblemReporter } from './problem-reporter.ts';
import { sortInstances, type Instance, type RegistryProblem, type ServiceName, type Watch } from './registry.ts';

export interface ConsulWatchOptions {
  readonly link: ConsulLink;
  readonly names: ServiceNames;
  readonly service: ServiceName;
  readonly random: () => number;
  readonly onProblem: (problem: RegistryProblem) => void;
  readonly onChange: (instances: readonly Instance[]) => void;
}

/** However fast the catalog changes. */
const QUERY_INTERVAL_MIN_MS = 25;
/** How often those are looked at again who are shown although the catalog has them no more. */
const SETTLE_CHECK_INTERVAL_MS = 250;

/** One service of Consul: the instance of that name, of which several processes may have claims there. */
interface Follower {
  /** Who of them may be called; undefined before the first answer. */
  passing: ReadonlyMap<string, Instance> | undefined;
  close(): void;
}

/**
 * Shows whoever has all checks passing. While Consul is away, the last list stays; when it is back, the queries begin anew at once, and whoever
 * is not in the catalog yet gets time to come back.
 */
export function watchConsulService(options: ConsulWatchOptions): Watch {
  const { link, names, service, onChange } = options;
  const reports = createReports(options);
  const followers = new Map<string, Follower>();
  const list = createShownList(link, onChange);
  let isFirstListShown = false;
  let isClosed = false;

  function show(): void {
    const isComplete = [...followers.values()].every(({ passing }) => passing !== undefined);
    if (isClosed || (!isFirstListShown && !isComplete)) return;
    isFirstListShown = true;
    // Who was there and is there again is not gone in between.
    const read = [...followers].flatMap(([id, { passing }]) => [...(passing ?? only(list.shown, id))]);
    list.update(new Map(read));
  }

  function follow(id: string): Follower {
    const name = consulServiceName({ service, id });
    const following = followConsul({
      link, random: options.random,
      intervalMinMs: QUERY_INTERVAL_MIN_MS,
      ask: (consul, query) => consul.health.service({ service: name, passing: true, ...query }),
      onAnswer(body) {
        const { entries, problems } = readEntries({ service, id }, body);
        reports.read(name, problems);
        follower.passing = passingInstances(entries);
        show();
      },
      onFailure: (error) => reports.failed(name, error),
    });
    const follower: Follower = {
      passing: undefined,
      close() {
        following.close();
        reports.forget(name);
      },
    };
    return follower;
  }

  const unfollow = names.follow((all) => {
    const ids = instanceIdsIn(service, all);
    for (const [id, follower] of followers) {
      if (ids.has(id)) continue;
      follower.close();
      followers.delete(id);
    }
    for (const id of ids) if (!followers.has(id)) followers.set(id, follow(id));
    show();
  });

  return {
    get instances() {
      return list.instances;
    },
    close() {
      isClosed = true;
      unfollow();
      for (const follower of followers.values()) follower.close();
      list.close();
    },
  };
}

function only(instances: ReadonlyMap<string, Instance>, id: string): [string, Instance][] {
  const instance = instances.get(id);
  return instance ? [[id, instance]] : [];
}

/** What is wrong with the services of one kind. Of several that cannot be read, for one reason as a rule, the first is told. */
function createReports({ service, onProblem }: ConsulWatchOptions) {
  const prefix = `${consulServicePrefix(service)}*`;
  const reportFailure = createOnceReporter(prefix, onProblem, 'can be read again');
  const reportEntries = createProblemReporter(onProblem);
  const failures = new Map<string, string>();
  const entries = new Map<string, ReadonlyMap<string, string>>();

  function report(): void {
    const [first] = failures.values();
    reportFailure(first === undefined ? undefined : `cannot be read: ${first}; the instances known last stay in use`);
    reportEntries(new Map([...entries].flatMap(([name, problems]) => [...problems].map(([id, problem]) => [`${name} ${id}`, problem] as const))));
  }
  return {
    read(name: string, problems: ReadonlyMap<string, string>): void {
      failures.delete(name);
      entries.set(name, problems);
      report();
    },
    failed(name: string, error: CallError): void {
      failures.set(name, describeCallError(error, mayNot(`read ${prefix}`, 'service:read')));
      report();
    },
    forget(name: string): void {
      failures.delete(name);
      entries.delete(name);
      report();
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
    get shown() {
      return shown;
    },
    update(instancesRead: ReadonlyMap<string, Instance>): void {
      read = instancesRead;
      show();
    },
    close: () => clearInterval(timer),
  };
}
