// Which Strife services Consul has: one blocking query for all watches of a registry.

import { readServiceNames } from './consul-catalog.ts';
import { followConsul, type Following } from './consul-follow.ts';
import type { ConsulLink } from './consul-link.ts';
import { describeCallError, mayNot } from './consul-rights.ts';
import { createOnceReporter } from './problem-reporter.ts';
import type { RegistryProblem } from './registry.ts';

export interface ServiceNames {
  /**
   * Calls with the names of all Strife services, once as soon as they are known, as of now or later, and then whenever others are there. Never calls
   * before it has returned. Returns how to stop.
   */
  follow(onNames: (names: readonly string[]) => void): () => void;
}

/**
 * The answer changes with every service that anybody registers in the datacenter, so it is not asked for more often. A service that is new is heard
 * of by its first claim, before it may be called.
 */
const QUERY_INTERVAL_MIN_MS = 250;

/** Asks only while somebody follows. */
export function createServiceNames({ link, random, onProblem }: {
  readonly link: ConsulLink;
  readonly random: () => number;
  readonly onProblem: (problem: RegistryProblem) => void;
}): ServiceNames {
  const report = createOnceReporter('services of Consul', onProblem, 'can be listed again');
  /** What each was told last. */
  const listeners = new Map<(names: readonly string[]) => void, string | undefined>();
  let following: Following | undefined;

  function tell(names: readonly string[]): void {
    report(undefined);
    const text = names.join();
    for (const [listener, told] of listeners) {
      if (told === text) continue;
      listeners.set(listener, text);
      listener(names);
    }
  }

  const start = (): Following => followConsul({
    link, random,
    intervalMinMs: QUERY_INTERVAL_MIN_MS,
    ask: (consul, query) => consul.catalog.service.list({ ...query } as object),
    onAnswer: (body) => tell(readServiceNames(body)),
    onFailure: (error) => report(`cannot be listed: ${describeCallError(error, mayNot('list services', 'service:read'))}; the instances known last stay in use`),
  });

  return {
    follow(onNames) {
      listeners.set(onNames, undefined);
      // Whoever is new is told what is so now, and not what an earlier question was answered.
      if (following) following.refresh();
      else following = start();
      return () => {
        listeners.delete(onNames);
        if (listeners.size > 0) return;
        following?.close();
        following = undefined;
      };
    },
  };
}
