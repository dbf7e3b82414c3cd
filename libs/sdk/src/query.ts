// Calls that move no money: asked of one gateway after the other until one answers or the time is over.

import { Metadata } from 'nice-grpc-common';
import { backOffMs, pause, timeoutSignal, type Budget } from './budget.ts';
import { callFailure } from './call-failure.ts';
import { UnavailableError, type StrifeError } from './errors.ts';
import type { GatewayClients, GatewayLink } from './gateway-link.ts';
import type { GatewayPool } from './gateway-pool.ts';
import type { Authorization, SessionKeeper } from './session-keeper.ts';

/** How often one call goes on with another token. */
const RENEWALS_MAX = 2;

export interface AskOptions {
  /** Names the caller, where there is a login. */
  readonly metadata: Metadata;
  readonly signal: AbortSignal;
}

/** One attempt at one gateway. */
export type Ask<T> = (gateway: GatewayClients, options: AskOptions) => Promise<T>;

/**
 * The answer of the first gateway that gives one. Repeats what is retryable within the budget, so `ask` may run many
 * times.
 *
 * @param login in whose name; absent for calls that need none
 * @throws StrifeError for a refusal; UnavailableError if there is no answer in time; the signal's reason if cancelled
 */
export async function query<T>(gateways: GatewayPool, budget: Budget, ask: Ask<T>, login?: SessionKeeper): Promise<T> {
  let avoid: string | undefined;
  let renewals = 0;
  for (let attempt = 0; ; attempt++) {
    const authorization = await login?.authorization(budget);
    const answer = await askOnce(gateways, budget, ask, authorization, avoid);
    if (!('error' in answer)) return answer.value;
    budget.signal.throwIfAborted();
    const { error } = answer;
    avoid = answer.gateway;
    if (!error.retryable) {
      const elapsedMs = budget.timeoutMs - budget.remainingMs();
      const mayRepeat = login && authorization && (await login.afterRefusal(error, authorization.token, elapsedMs, budget));
      if (!mayRepeat) throw error;
      if (error.code !== 'TOKEN_ISSUER' && ++renewals > RENEWALS_MAX) throw error;
      if (error.code !== 'TOKEN_ISSUER') continue;
    }
    if (!(await pause(budget, backOffMs(budget.clock, attempt)))) {
      budget.signal.throwIfAborted();
      throw noAnswer(budget, error);
    }
  }
}

async function askOnce<T>(
  gateways: GatewayPool,
  budget: Budget,
  ask: Ask<T>,
  authorization: Authorization | undefined,
  avoid: string | undefined,
): Promise<{ value: T } | { error: StrifeError; gateway: string | undefined }> {
  let link: GatewayLink | undefined;
  try {
    link = await gateways.connected(budget, { avoid });
    const waitMs = Math.min(gateways.answerWaitMs(), budget.remainingMs());
    const signal = AbortSignal.any([budget.signal, timeoutSignal(waitMs)]);
    const metadata = authorization?.metadata ?? Metadata();
    const value = await link.call((clients) => ask(clients, { metadata, signal }));
    gateways.worked(link);
    return { value };
  } catch (thrown) {
    const { error, isGatewaysFault } = callFailure(thrown, undefined);
    if (link && isGatewaysFault && !budget.signal.aborted) gateways.failed(link);
    return { error, gateway: link?.address };
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
