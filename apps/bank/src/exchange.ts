// ParticipantService.Exchange: Prepares and Decides that travel as messages of one call. Each is answered when it is durable, by itself.

import { rpcError, streamedCalls } from '@strife/service';
import type { ServiceContext, StreamedCall, StreamedCalls } from '@strife/service';
import type { DecideRequest, DecideResponse, ExchangeRequest, ExchangeResponse, PrepareRequest, PrepareResponse } from '@strife/stubs/bank';
import type { Clock } from '@strife/two-phase-commit';
import { Status } from 'nice-grpc-common';

/** The accounts that the grants of a request speak for, in their order; undefined for a grant that the bank does not honour. */
export type GrantedAccounts = readonly (string | undefined)[];

export interface ExchangedCalls {
  /** At once where all grants were looked at before. Never rejects. */
  recognize(request: PrepareRequest): GrantedAccounts | Promise<GrantedAccounts>;
  /** Takes the request up before it returns. */
  prepare(request: PrepareRequest, context: ServiceContext, accounts: GrantedAccounts): Promise<PrepareResponse>;
  decide(request: DecideRequest, context: ServiceContext): Promise<DecideResponse>;
}

export type Exchange = (requests: AsyncIterable<ExchangeRequest>, context: ServiceContext) => AsyncGenerator<ExchangeResponse, void, undefined>;

/** The most messages of one call whose answers have not left; what comes after them is not read. A gateway sends two at once. */
const UNDER_WAY_MAX = 16;
/** Nothing more is read from a call that is this old: whether a gateway may call at all is only asked when a call begins. An honest one begins anew each second. */
const CALL_AGE_MAX_MS = 5000;

/**
 * The handler. Ends when the gateway sends no more, or as soon as the call is given up, too old, or the server stops; always after the answers to
 * what it has begun. Fails, after these too, at a message that cannot be read.
 */
export function createExchange(calls: ExchangedCalls, clock: Pick<Clock, 'monotonicMs'>, logOf: (context: ServiceContext) => StreamedCalls = streamedCalls): Exchange {
  return async function* exchange(requests, context) {
    const { signal } = context;
    const log = logOf(context);
    const endsAtMs = clock.monotonicMs() + CALL_AGE_MAX_MS;
    let answers: ExchangeResponse[] = [];
    let underWay = 0;
    let reading: 'on' | 'over' | { readonly failure: unknown } = 'on';
    let changed = Promise.withResolvers<void>();
    let room = Promise.withResolvers<void>();
    const wake = (): void => changed.resolve();

    async function read(): Promise<void> {
      for await (const request of requests) {
        if (signal.aborted || clock.monotonicMs() >= endsAtMs) return;
        const { number, content } = request;
        if (content === undefined) throw emptyMessage();
        underWay += 1;
        // What follows on this call waits: a decision must not overtake its legs.
        const recognized = content.$case === 'prepare' ? calls.recognize(content.value) : NO_ACCOUNTS;
        void answer(number, content, recognized instanceof Promise ? await recognized : recognized);
        if (underWay < UNDER_WAY_MAX) continue;
        room = Promise.withResolvers();
        await room.promise;
      }
    }

    async function answer(number: number, content: Content, accounts: GrantedAccounts): Promise<void> {
      const answered = await answerTo(content, accounts, calls, log, context);
      answers.push({ number, content: answered });
      wake();
    }

    signal.addEventListener('abort', wake);
    void read().then(() => (reading = 'over'), (failure: unknown) => (reading = { failure })).finally(wake);
    while (underWay > 0 || (reading === 'on' && !signal.aborted)) {
      await changed.promise;
      changed = Promise.withResolvers();
      const ready = answers;
      answers = [];
      yield* ready;
      underWay -= ready.length;
      room.resolve();
    }
    signal.removeEventListener('abort', wake);
    if (typeof reading === 'object') throw (reading as { failure: unknown }).failure;
    signal.throwIfAborted();
  };
}

const NO_ACCOUNTS: GrantedAccounts = [];

type Content = NonNullable<ExchangeRequest['content']>;
type Answer = ExchangeResponse['content'];

function answerTo(content: Content, accounts: GrantedAccounts, calls: ExchangedCalls, log: StreamedCalls, context: ServiceContext): Promise<Answer> {
  switch (content.$case) {
    case 'prepare':
      return settle(log.begin('Prepare', content.value), calls.prepare(content.value, context, accounts), (value) => ({ $case: 'prepare', value }));
    case 'decide':
      return settle(log.begin('Decide', content.value), calls.decide(content.value, context), (value) => ({ $case: 'decide', value }));
  }
}

/** What a call of its own would have answered, as a message. */
async function settle<Response>(call: StreamedCall, response: Promise<Response>, toAnswer: (response: Response) => Answer): Promise<Answer> {
  try {
    const value = await response;
    call.succeeded(value);
    return toAnswer(value);
  } catch (error) {
    return { $case: 'refusal', value: call.failed(error) };
  }
}

function emptyMessage(): Error {
  return rpcError({
    code: Status.INVALID_ARGUMENT, reason: 'INVALID_BATCH', field: 'content', message: 'content: must be prepare or decide', outcome: 'not_applied', retryable: false,
  });
}
