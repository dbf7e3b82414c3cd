// Calls that move no money: asked of one gateway after the other until one answers or the time is over.

import { backOffMs, pause, timeoutSignal, type Budget } from './budget.ts';
import { callFailure } from './call-failure.ts';
import { UnavailableError, type StrifeError } from './errors.ts';
import type { GatewayLink } from './gateway-link.ts';
import type { GatewayPool } from './gateway-pool.ts';

/** One attempt at one gateway. */
export type Ask<T> = (link: GatewayLink, signal: AbortSignal) => Promise<T>;

/**
 * The answer of the first gateway that gives one. Repeats what is retryable within the budget, so `ask` may run many
 * times.
 *
 * @throws StrifeError for a refusal; UnavailableError if there is no answer in time; the signal's reason if cancelled
 */
export async function query<T>(gateways: GatewayPool, budget: Budget, ask: Ask<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    const answer = await askOnce(gateways, budget, ask);
    if (!('error' in answer)) return answer.value;
    budget.signal.throwIfAborted();
    if (!answer.error.retryable) throw answer.error;
    if (!(await pause(budget, backOffMs(budget.clock, attempt)))) {
      budget.signal.throwIfAborted();
      throw noAnswer(budget, answer.error);
    }
  }
}

async function askOnce<T>(
  gateways: GatewayPool,
  budget: Budget,
  ask: Ask<T>,
): Promise<{ value: T } | { error: StrifeError }> {
  let link: GatewayLink | undefined;
  try {
    link = await gateways.connected(budget);
    const signal = AbortSignal.any([budget.signal, timeoutSignal(gateways.answerWaitMs(budget))]);
    return { value: await ask(link, signal) };
  } catch (thrown) {
    const { error } = callFailure(thrown, undefined);
    if (link && error.retryable) gateways.leave(link);
    return { error };
  }
}

/** The last failure, with the time that was spent on it. */
function noAnswer(budget: Budget, last: StrifeError): StrifeError {
  return new UnavailableError(`${last.message} (gave up after ${budget.timeoutMs} ms)`, {
    code: last.code,
    retryable: true,
    outcome: last.outcome,
    transferId: last.transferId,
    requestId: last.requestId,
    field: last.field,
    cause: last,
  });
}
