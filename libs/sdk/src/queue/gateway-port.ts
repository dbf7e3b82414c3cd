// The queue's way to the gateways: one message, in order, to one gateway, in the name of one login. What comes of it is the queue's to judge
// and to repeat, so nothing is repeated here but what a token's end asks for.

import { WaitFor, type CreateTransferRequest } from '@strife/stubs/gateway';
import { backOffMs, cancellation, pause, timeoutSignal, type Budget, type Clock } from '../budget.ts';
import type { CallContext } from '../call-context.ts';
import { asRetryable, callFailure } from '../call-failure.ts';
import { AuthenticationError, StrifeError, TransferDeclinedError } from '../errors.ts';
import type { GatewayLink } from '../gateway-link.ts';
import { sendPayments } from '../payment-calls.ts';
import type { Authorization, SessionKeeper } from '../session-keeper.ts';
import { afterAnswer, conclude, openSubmission, type Answer, type Submission } from '../submission.ts';
import { systemQueueClock, type OutgoingPayment, type QueuePort, type SendResult, type WakeReason } from './queue-port.ts';

/** How long one message may take, with all that comes before it. */
const SEND_TIMEOUT_MS = 30_000;
/** How long to look for a gateway before the queue pauses. */
const REACH_TIMEOUT_MS = 5_000;
/** How often one message goes on with another token. */
const RENEWALS_MAX = 2;
/** Between two looks at the gateways, where nothing changes. */
const WATCH_MS = 60 * 60 * 1000;
/** The gateway of a send of which only the queue knows: some gateway, at some time. Never settled but by a bank's answer. */
const EARLIER: ReadonlySet<string> = new Set(['an earlier send']);

export interface GatewayPort extends QueuePort {
  /** Something has happened to the login. */
  wake(reason: WakeReason): void;
  /** Ends its watching over the gateways. */
  close(): void;
}

/**
 * @param login the login of the client at the moment; undefined if nobody is logged in
 * @param payer the account of the login, also when its session has ended
 */
export function gatewayPort(
  context: CallContext,
  login: () => SessionKeeper | undefined,
  payer: () => string | undefined,
): GatewayPort {
  const { gateways } = context;
  const ending = new AbortController();
  const listeners = new Set<(reason: WakeReason) => void>();
  const wake = (reason: WakeReason): void => {
    for (const listener of listeners) listener(reason);
  };
  // Waiting for a change of the gateways must keep no process alive.
  const quietClock: Clock = { ...context.clock, sleep: systemQueueClock.sleep };

  async function watchGateways(): Promise<void> {
    const signal = AbortSignal.any([ending.signal, context.closing]);
    const budget: Budget = { clock: quietClock, timeoutMs: Infinity, remainingMs: () => Infinity, signal };
    while (!signal.aborted) {
      const before = performance.now();
      await gateways.changed(budget, WATCH_MS);
      if (!signal.aborted && performance.now() - before < WATCH_MS) wake('gateway');
    }
  }

  function loginOf(account: string): SessionKeeper {
    const current = login();
    if (current?.session?.account === account) return current;
    throw new AuthenticationError(`${account} is not logged in`, { code: 'NOT_LOGGED_IN', outcome: 'not_applied' });
  }

  /** Sends once; the renewal of a token that was refused is part of it, and so is the time until the gateway has heard of its signer. */
  async function send(account: string, payments: readonly OutgoingPayment[], budget: Budget): Promise<SendResult[]> {
    const keeper = loginOf(account);
    const requests = payments.map(toRequest);
    let renewals = 0;
    for (let attempt = 0; ; attempt++) {
      const { authorization, link } = await orNotSent(async () => ({
        authorization: await keeper.authorization(budget),
        link: await gateways.connected(budget),
      }));
      const answers = await answersOf(link, requests, authorization, budget);
      const refusal = sharedRefusal(answers);
      const elapsedMs = budget.timeoutMs - budget.remainingMs();
      let mayRepeat = refusal !== undefined && renewals < RENEWALS_MAX;
      if (refusal && mayRepeat) mayRepeat = await orNotSent(() => keeper.afterRefusal(refusal, authorization.token, elapsedMs, budget));
      if (refusal && mayRepeat) {
        if (keeper.session?.token !== authorization.token) renewals += 1;
        else mayRepeat = await pause(budget, backOffMs(budget.clock, attempt));
      }
      if (!mayRepeat) return payments.map((payment, index) => resultOf(payment, link.address, answers[index]));
    }
  }

  async function answersOf(
    link: GatewayLink,
    requests: readonly CreateTransferRequest[],
    { metadata }: Authorization,
    budget: Budget,
  ): Promise<readonly Answer[]> {
    const waitMs = Math.min(gateways.answerWaitMs(), budget.remainingMs());
    const signal = AbortSignal.any([budget.signal, timeoutSignal(waitMs)]);
    try {
      const answers = await link.call((clients) => sendPayments(clients, [...requests], { metadata, signal }));
      gateways.worked(link);
      return answers;
    } catch (error) {
      const isCutOff = budget.signal.aborted;
      // What a cancelled call throws is the reason of whoever cancelled it, and no gateway's word on these payments.
      const thrown = isCutOff ? cancellation(budget.signal) : error;
      if (!isCutOff && callFailure(thrown, undefined).isGatewaysFault) gateways.failed(link);
      return requests.map(({ id }) => ({ kind: 'failure', failure: callFailure(thrown, { transferId: id }) }));
    }
  }

  void watchGateways();
  return {
    payer,
    canPay: (account) => login()?.session?.account === account,
    async reach(signal) {
      await gateways.connected(context.budget({ timeoutMs: REACH_TIMEOUT_MS, signal }));
    },
    send: (account, payments, signal) => send(account, payments, context.budget({ timeoutMs: SEND_TIMEOUT_MS, signal })),
    onWake(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    wake,
    close: () => ending.abort(),
  };
}

/** What fails before anything was sent says so, whatever it says of itself. */
async function orNotSent<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const { error } = callFailure(thrown, undefined);
    if (error.outcome === 'not_applied') throw error;
    const ErrorClass = error.constructor as typeof StrifeError;
    const { message, code, retryable, requestId, field, cause } = error;
    throw new ErrorClass(message, { code, retryable, requestId, field, cause, outcome: 'not_applied' });
  }
}

/** The reason why a gateway turned the whole message away, before it did anything, if it is that of the caller's login. */
function sharedRefusal(answers: readonly Answer[]): StrifeError | undefined {
  const refusals = answers.flatMap((answer) => (answer.kind === 'failure' ? [answer.failure.error] : []));
  const isRefused = (error: StrifeError): boolean => error instanceof AuthenticationError && error.outcome === 'not_applied';
  return refusals.length === answers.length && refusals.every(isRefused) ? refusals[0] : undefined;
}

/** What one answer says of all sends of the payment. */
function resultOf({ id, earlierSendsAnswered }: OutgoingPayment, address: string, answer: Answer | undefined): SendResult {
  const missing = new StrifeError('the gateway gave no answer for this payment', { code: 'BAD_RESPONSE', outcome: 'unknown', transferId: id });
  const before: Submission<string> = openSubmission(id, earlierSendsAnswered ? undefined : EARLIER);
  const result = conclude(afterAnswer(before, address, answer ? passing(answer) : { kind: 'failure', failure: { error: missing, lookedUp: false } }));
  if (!result.ok || result.transfer.state !== 'declined') return result;
  return { ok: false, error: new TransferDeclinedError(result.transfer.declineReason ?? 'unspecified', result.transfer) };
}

/** A gateway that does not know the token's signer will hear of it, or another one does: nobody has to log in for that. */
function passing(answer: Answer): Answer {
  if (answer.kind !== 'failure' || answer.failure.error.code !== 'TOKEN_ISSUER') return answer;
  return { kind: 'failure', failure: { ...answer.failure, error: asRetryable(answer.failure.error) } };
}

/** As it was queued, by whatever release: what is wrong with one payment the gateway says, so that it holds up no others. */
function toRequest({ id, to, amount, memo, expiresAtMs, earlierSendsAnswered }: OutgoingPayment): CreateTransferRequest {
  const [bank = '', ...account] = to.split('/');
  return {
    id,
    to: { bank, account: account.join('/') },
    amount,
    memo,
    waitFor: WaitFor.SETTLED,
    earlierSendsAnswered,
    expiresAtUnixMs: BigInt(expiresAtMs ?? 0),
  };
}
