// Payments on their way: gathers those that can travel together, sends them, and sends each again until its answer is
// certain or its time is over, always under the id that it was given.
//
// Payments that may have to wait for different things travel in different messages, since a message is answered when its
// last payment is: those to one bank together, repeated ones apart from first ones.

import type { CreateTransferRequest, WaitFor } from '@strife/stubs/gateway';
import { backOffMs, cancellation, type Budget, type Clock } from './budget.ts';
import { asRetryable, callFailure } from './call-failure.ts';
import { dueTimes } from './due-times.ts';
import { UnavailableError, type StrifeError } from './errors.ts';
import type { GatewayPool } from './gateway-pool.ts';
import { createLanes } from './lanes.ts';
import { BATCH_BYTES_MAX, BATCH_ITEMS_MAX, sendPayments, waitName, wireBytes } from './payment-calls.ts';
import type { Payment } from './payment-request.ts';
import type { Authorization, SessionKeeper } from './session-keeper.ts';
import { afterAnswer, afterNoConnection, conclude, openSubmission, worthSending, type Answer, type Result, type Submission } from './submission.ts';

/** The most payments of one client that have no answer yet. */
export const PAYMENTS_IN_HAND_MAX = 100_000;
/** So much later than it was asked for may the time of a payment end, so that those that came together end together. */
const COHORT_MS = 5;
/** How much slower than the slowest answer so far the next one may be. */
const ANSWER_MARGIN = 1.25;
/** How often one payment goes on with another token. */
const RENEWALS_MAX = 2;

/** How a payment is to be sent. */
export interface SendOptions {
  readonly login: SessionKeeper;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Whether others may travel in the same message. */
  readonly gathers: boolean;
}

export interface Outbox {
  /**
   * Sends a payment until its answer is certain or its time is over, and then tells the receiver, once; "not applied" only where
   * that is certain. What is given in one go travels in one message.
   *
   * @param place Told with the result: so many payments share one receiver, and there is no promise for each.
   */
  send(payment: Payment, options: SendOptions, receiver: Receiver, place: number): void;
}

export type Receiver = (result: Result, place: number) => void;

/** One payment until its result is known. */
interface Parcel {
  readonly payment: Payment;
  readonly options: SendOptions;
  readonly startedAtMs: number;
  readonly receiver: Receiver;
  readonly place: number;
  /** Among those that are due at the same time. */
  readonly cohort: Cohort;
  submission: Submission<string>;
  attempts: number;
  renewals: number;
  /** The slowest answer so far. */
  answerMs: number;
  /** The gateway of the last attempt. */
  last: string | undefined;
  flight: Flight | undefined;
  isDone: boolean;
  stopListening: (() => void) | undefined;
}

/** Payments whose time ends together, within some milliseconds: as many as come in one go. */
interface Cohort {
  readonly endsAtMs: number;
  /** Those that have no answer yet. */
  readonly parcels: Set<Parcel>;
}

/** One message. */
interface Flight {
  readonly ending: AbortController;
  /** Payments aboard that still wait for it. */
  aboard: number;
  /** Set when it was sent. */
  gateway: string | undefined;
}

/** What a gateway said to a payment that came with that token. */
interface Refusal {
  readonly error: StrifeError;
  readonly token: string;
}

export function createOutbox({ gateways, clock, closing }: { gateways: GatewayPool; clock: Clock; closing: AbortSignal }): Outbox {
  const nowMs = (): number => clock.nowMs();
  /** The gateways that may have been sent a payment before its call. Where they come and go, no answer settles what one did that is away. */
  const earlier: ReadonlySet<string> = new Set(gateways.everyAddress ?? ['a gateway that may be away']);
  const lanes = createLanes<Parcel>({
    itemsMax: BATCH_ITEMS_MAX,
    bytesMax: BATCH_BYTES_MAX,
    bytesOf: ({ payment }) => wireBytes(payment.request),
    isDone: ({ isDone }) => isDone,
    gatewayCount: () => gateways.connectedCount,
    nowMs,
    fly,
  });
  /** All that have no answer yet, and how many those are. */
  const deadlines = dueTimes<Cohort>(nowMs, ({ parcels }) => {
    for (const parcel of parcels) giveUp(parcel, outOfTime());
  });
  let inHand = 0;
  let lastCohort: Cohort | undefined;
  const pauses = dueTimes<Parcel>(nowMs, enqueue);
  const answerWaits = dueTimes<Flight>(nowMs, ({ ending }) => ending.abort());
  const keyOfLogin = numbering<SessionKeeper>();
  let lastLane: { login?: SessionKeeper; waitFor?: WaitFor; bank?: string; key: string } = { key: '' };
  closing.addEventListener('abort', () => {
    for (const { parcels } of deadlines.items()) {
      for (const parcel of parcels) giveUp(parcel, cancellation(closing));
    }
  });

  /** Of payments that end at that time, or up to so much earlier. */
  function cohortOf(endsAtMs: number): Cohort {
    const roundedMs = Math.ceil(endsAtMs / COHORT_MS) * COHORT_MS;
    if (lastCohort?.endsAtMs !== roundedMs) lastCohort = { endsAtMs: roundedMs, parcels: new Set() };
    return lastCohort;
  }

  function takeInHand(parcel: Parcel): void {
    inHand += 1;
    const { parcels, endsAtMs } = parcel.cohort;
    parcels.add(parcel);
    if (parcels.size === 1) deadlines.set(parcel.cohort, endsAtMs);
  }

  function letGo(parcel: Parcel): void {
    const { parcels } = parcel.cohort;
    if (!parcels.delete(parcel)) return;
    inHand -= 1;
    if (parcels.size === 0) deadlines.delete(parcel.cohort);
  }

  function enqueue(parcel: Parcel): void {
    if (parcel.options.gathers) lanes.add(laneKey(parcel), parcel);
    else void fly([parcel]);
  }

  /** What the answer may have to wait for. A repeated payment goes to the gateway that knows it, or else not to the one that refused. */
  function laneKey(parcel: Parcel): string {
    const first = firstLaneKey(parcel.options.login, parcel.payment.request);
    if (parcel.attempts === 0) return first;
    const { prefer, avoid } = preference(parcel);
    return `${first} ${prefer} ${avoid}`;
  }

  /** Payments that come together mostly have the same: it is put together anew only when it differs from the last one. */
  function firstLaneKey(login: SessionKeeper, { waitFor, to: { bank } }: Payment['request']): string {
    if (lastLane.login !== login || lastLane.waitFor !== waitFor || lastLane.bank !== bank) {
      lastLane = { login, waitFor, bank, key: `${keyOfLogin(login)} ${waitName({ waitFor })} ${bank}` };
    }
    return lastLane.key;
  }

  function preference({ submission, last }: Parcel): { prefer: string | undefined; avoid: string | undefined } {
    const toAsk = submission.kind === 'open' ? [...submission.unsettled, ...submission.earlier] : [];
    return { prefer: toAsk.find((address) => gateways.isHealthy(address)), avoid: last };
  }

  async function fly(parcels: readonly Parcel[]): Promise<void> {
    const flight: Flight = { ending: new AbortController(), aboard: parcels.length, gateway: undefined };
    for (const parcel of parcels) parcel.flight = flight;
    await carry(flight, parcels);
    answerWaits.delete(flight);
  }

  async function carry(flight: Flight, parcels: readonly Parcel[]): Promise<void> {
    const { login } = parcels[0]!.options;
    const budget = flightBudget(flight, parcels);
    let authorization: Authorization;
    let link: Awaited<ReturnType<GatewayPool['connected']>>;
    try {
      authorization = await login.authorization(budget);
      const wanted = parcels[0]!.attempts === 0 ? {} : preference(parcels[0]!);
      link = gateways.pick(wanted) ?? (await gateways.connected(budget, wanted));
    } catch (thrown) {
      const { error } = callFailure(thrown, undefined);
      return proceed(flight, parcels, (parcel) => {
        parcel.submission = afterNoConnection(parcel.submission, error);
        return undefined;
      });
    }
    const sent = parcels.filter((parcel) => parcel.flight === flight);
    if (sent.length === 0) return;
    flight.gateway = link.address;
    const startedAtMs = nowMs();
    const waitMs = gateways.answerWaitMs();
    if (waitMs < Infinity) answerWaits.set(flight, startedAtMs + waitMs);
    let answers: readonly Answer[] | undefined;
    let thrown: unknown;
    try {
      const options = { metadata: authorization.metadata, signal: flight.ending.signal };
      answers = await link.call((clients) => sendPayments(clients, sent.map(toRequest), options));
      gateways.worked(link);
    } catch (error) {
      thrown = error;
    }
    const answerMs = flight.ending.signal.aborted ? 0 : nowMs() - startedAtMs;
    if (!answers && callFailure(thrown, undefined).isGatewaysFault && flight.aboard > 0) gateways.failed(link);
    proceed(flight, sent, (parcel, position) => {
      const answer = answers?.[position] ?? failed(thrown, parcel);
      parcel.last = link.address;
      parcel.answerMs = Math.max(parcel.answerMs, answerMs);
      parcel.submission = afterAnswer(parcel.submission, link.address, answer);
      return answer.kind === 'failure' ? { error: answer.failure.error, token: authorization.token } : undefined;
    });
  }

  /** Takes in what an attempt brought for each payment that still waits for it. */
  function proceed(flight: Flight, parcels: readonly Parcel[], takeIn: (parcel: Parcel, position: number) => Refusal | undefined): void {
    for (const [position, parcel] of parcels.entries()) {
      if (parcel.flight !== flight) continue;
      parcel.flight = undefined;
      flight.aboard -= 1;
      const before = parcel.submission;
      const refusal = takeIn(parcel, position);
      if (parcel.submission.kind === 'open') pauseOrConclude(parcel);
      else if (refusal) void concludeOrRenew(parcel, before, refusal);
      else settle(parcel, conclude(parcel.submission));
    }
  }

  /** A refusal of the token, before anything was done, is not the end where another token can be had. */
  async function concludeOrRenew(parcel: Parcel, before: Submission<string>, { error, token }: Refusal): Promise<void> {
    const result = conclude(parcel.submission);
    // It may be given up while this waits, and then the refusal is not what it ends with.
    parcel.submission = before;
    const { login } = parcel.options;
    const elapsedMs = nowMs() - parcel.startedAtMs;
    const budget = budgetUntil(parcel.cohort.endsAtMs, closing);
    try {
      const mayRepeat = parcel.renewals < RENEWALS_MAX && (await login.afterRefusal(error, token, elapsedMs, budget));
      if (!mayRepeat) return settle(parcel, result);
      if (error.code !== 'TOKEN_ISSUER') parcel.renewals += 1;
      if (before.kind === 'open') parcel.submission = { ...before, last: asRetryable(error) };
      pauseOrConclude(parcel);
    } catch (thrown) {
      if (before.kind === 'open') parcel.submission = { ...before, last: callFailure(thrown, undefined).error };
      settle(parcel, conclude(parcel.submission));
    }
  }

  function pauseOrConclude(parcel: Parcel): void {
    if (parcel.isDone) return;
    const pauseMs = backOffMs(clock, parcel.attempts);
    parcel.attempts += 1;
    const remainingMs = parcel.cohort.endsAtMs - nowMs();
    const isWorth = pauseMs < remainingMs && worthSending(parcel.submission, remainingMs - pauseMs, parcel.answerMs * ANSWER_MARGIN);
    if (isWorth) pauses.set(parcel, nowMs() + pauseMs);
    else settle(parcel, conclude(parcel.submission));
  }

  /** Its time is over, it was cancelled, or the client is closed: says what is known now. */
  function giveUp(parcel: Parcel, why: StrifeError): void {
    const gateway = parcel.flight?.gateway;
    parcel.submission =
      gateway === undefined
        ? afterNoConnection(parcel.submission, why)
        : afterAnswer(parcel.submission, gateway, { kind: 'failure', failure: { error: why, lookedUp: false } });
    settle(parcel, conclude(parcel.submission));
  }

  function settle(parcel: Parcel, result: Result): void {
    if (parcel.isDone) return;
    parcel.isDone = true;
    letGo(parcel);
    if (parcel.attempts > 0) pauses.delete(parcel);
    parcel.stopListening?.();
    const { flight } = parcel;
    parcel.flight = undefined;
    if (flight && --flight.aboard === 0) flight.ending.abort();
    parcel.receiver(result, parcel.place);
  }

  function flightBudget(flight: Flight, parcels: readonly Parcel[]): Budget {
    let endsAtMs = 0;
    for (const parcel of parcels) endsAtMs = Math.max(endsAtMs, parcel.cohort.endsAtMs);
    return budgetUntil(endsAtMs, flight.ending.signal);
  }

  function budgetUntil(endsAtMs: number, signal: AbortSignal): Budget {
    return { clock, signal, timeoutMs: endsAtMs - nowMs(), remainingMs: () => endsAtMs - nowMs() };
  }

  return {
    send(payment, options, receiver, place) {
      const { timeoutMs, signal } = options;
      const startedAtMs = nowMs();
      const cohort = cohortOf(startedAtMs + timeoutMs);
      const parcel: Parcel = {
        payment, options, startedAtMs, receiver, place, cohort,
        submission: openSubmission(payment.request.id, payment.isNew ? undefined : earlier),
        attempts: 0, renewals: 0, answerMs: 0,
        last: undefined, flight: undefined, isDone: false, stopListening: undefined,
      };
      if (inHand >= PAYMENTS_IN_HAND_MAX) return giveUp(parcel, tooMany());
      if (closing.aborted) return giveUp(parcel, cancellation(closing));
      if (signal?.aborted) return giveUp(parcel, cancellation(signal));
      if (signal) {
        const cancel = (): void => giveUp(parcel, cancellation(signal));
        signal.addEventListener('abort', cancel);
        parcel.stopListening = () => signal.removeEventListener('abort', cancel);
      }
      takeInHand(parcel);
      enqueue(parcel);
    },
  };
}

function toRequest({ payment, submission }: Parcel): CreateTransferRequest {
  const isAnswered = submission.kind === 'open' && submission.unsettled.size === 0;
  return isAnswered || !payment.isNew ? payment.request : { ...payment.request, earlierSendsAnswered: false };
}

function failed(thrown: unknown, { payment }: Parcel): Answer {
  return { kind: 'failure', failure: callFailure(thrown, { transferId: payment.request.id }) };
}

function outOfTime(): StrifeError {
  return new UnavailableError('no gateway answered in time', { code: 'DEADLINE_EXCEEDED', retryable: true });
}

function tooMany(): StrifeError {
  return new UnavailableError(`more than ${PAYMENTS_IN_HAND_MAX} payments wait for an answer`, { code: 'TOO_MANY_PAYMENTS', retryable: true });
}

/** A number for each object, the same for the same one. */
function numbering<T extends object>(): (item: T) => number {
  const numbers = new WeakMap<T, number>();
  let last = 0;
  return (item) => {
    let number = numbers.get(item);
    if (number === undefined) numbers.set(item, (number = ++last));
    return number;
  };
}
