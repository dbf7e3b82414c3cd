// Payments that go on while something happens.

import { newTransferId } from '@strife/sdk';
import type { Strife } from '@strife/sdk';

export interface Load {
  /** How many were acknowledged so far. */
  count(): number;
  /** The ids of those. */
  acknowledged(): readonly string[];
  /** Resolves when so many more are; rejects when a payment has failed. */
  untilMore(count: number): Promise<void>;
  /** Starts no more, and waits for those that are under way. @throws the error of the first payment that failed */
  stop(): Promise<void>;
}

export interface LoadOptions {
  /** Default: 6. */
  readonly callers?: number;
  /** Of one payment, with all its repetitions; longer than whatever happens takes. */
  readonly timeoutMs?: number;
}

export const PAID_EACH = { currency: 'EUR', minorUnits: 1n };

/** Several callers that pay one cent again and again, in turn to each payee. Every payment must succeed. */
export function keepPaying(strife: Strife, payees: readonly string[], { callers = 6, timeoutMs = 60_000 }: LoadOptions = {}): Load {
  const ids: string[] = [];
  let isOver = false;
  let started = 0;
  let waiting: { at: number; reached: PromiseWithResolvers<void> }[] = [];

  async function payAgainAndAgain(): Promise<void> {
    while (!isOver) {
      const id = newTransferId();
      started += 1;
      await strife.transfers.create({ id, to: payees[started % payees.length]!, amount: PAID_EACH, timeoutMs });
      ids.push(id);
      waiting = waiting.filter(({ at, reached }) => {
        if (ids.length >= at) reached.resolve();
        return ids.length < at;
      });
    }
  }

  const all = Promise.all(Array.from({ length: callers }, payAgainAndAgain));
  all.catch((error: unknown) => {
    isOver = true;
    for (const { reached } of waiting) reached.reject(error);
  });
  return {
    count: () => ids.length,
    acknowledged: () => ids,
    async untilMore(count) {
      const reached = Promise.withResolvers<void>();
      waiting.push({ at: ids.length + count, reached });
      await Promise.race([reached.promise, all.then(() => reached.promise)]);
    },
    async stop() {
      isOver = true;
      await all;
    },
  };
}
