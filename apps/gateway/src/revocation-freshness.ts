// Whether this gateway knows who has logged out elsewhere, and one line in the log when that changes.

import type { Clock } from '@strife/two-phase-commit';

export interface Freshness {
  /** Whether all are heard now. Tells of a change before it answers, so that whoever is refused finds the reason in the log. */
  check(): boolean;
  /** Resolves when all are heard for the first time, or after the grace. From then on changes are told, at the latest 100 ms after them. */
  ready(): Promise<void>;
  close(): void;
}

export interface FreshnessOptions {
  /** The gateways that were not heard within the grace; undefined while it is not known which there are. */
  readonly unheard: () => readonly string[] | undefined;
  readonly graceMs: number;
  readonly onFreshness: (isFresh: boolean) => void;
  readonly clock: Pick<Clock, 'after'>;
  readonly logger: { info(message: string, fields: object): void; warn(message: string, fields: object): void };
}

const CHECK_INTERVAL_MS = 100;

export function watchFreshness({ unheard, graceMs, onFreshness, clock, logger }: FreshnessOptions): Freshness {
  const first = Promise.withResolvers<void>();
  /** What was told last; undefined until `ready`. */
  let told: boolean | undefined;
  let cancelNext = (): void => undefined;

  function check(): boolean {
    const gateways = unheard();
    const isFresh = gateways?.length === 0;
    if (isFresh) first.resolve();
    if (told === undefined || told === isFresh) return isFresh;
    told = isFresh;
    if (isFresh) logger.info('all gateways are heard again: payments are taken', {});
    else logger.warn('logouts at other gateways are not heard: payments are refused until they are', { gateways, graceMs });
    onFreshness(isFresh);
    return isFresh;
  }

  function keepChecking(): void {
    check();
    cancelNext = clock.after(CHECK_INTERVAL_MS, keepChecking);
  }

  return {
    check,
    async ready() {
      const cancelWait = clock.after(graceMs, first.resolve);
      await first.promise;
      cancelWait();
      // A start is well until it is found not to be.
      told = true;
      keepChecking();
    },
    close: () => cancelNext(),
  };
}
