// The results of offline payments, told one by one, each at least once: also those that came while no menu was open.

import type { OfflineQueue, QueuedTransfer } from '@strife/sdk';

export interface ResultFeed extends Disposable {
  /** Whether the payment's result was told, now or within the time. */
  told(id: string, withinMs: number): Promise<boolean>;
}

/** Follows the queue until it is disposed of. */
export function followResults(queue: OfflineQueue, tell: (payment: QueuedTransfer) => void, onFailure: (error: unknown) => void): ResultFeed {
  const ending = new AbortController();
  const seen = new Set<string>();
  const waiting = new Map<string, () => void>();
  void follow().catch((error: unknown) => {
    if (!ending.signal.aborted) onFailure(error);
  });

  async function follow(): Promise<void> {
    for await (const payment of queue.results({ signal: ending.signal })) {
      tell(payment);
      seen.add(payment.id);
      waiting.get(payment.id)?.();
      await queue.acknowledge(payment.resultSeq);
    }
  }

  return {
    told(id, withinMs) {
      if (seen.has(id)) return Promise.resolve(true);
      return new Promise((resolve) => {
        const end = (isTold: boolean): void => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve(isTold);
        };
        const timer = setTimeout(() => end(false), withinMs);
        waiting.set(id, () => end(true));
      });
    },
    [Symbol.dispose]: () => ending.abort(),
  };
}
