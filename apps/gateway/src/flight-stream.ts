// One Exchange call to a bank: what is sent on it is answered by number, in any order.

import type { ExchangeRequest, ExchangeResponse, ParticipantServiceClient } from '@strife/stubs/bank';
import type { Clock } from '@strife/two-phase-commit';

export type FlightContent = NonNullable<ExchangeRequest['content']>;
export type FlightReply = ExchangeResponse['content'];

export interface FlightStream {
  /** False once it was retired, has ended, or has a flight that was not answered in time. */
  readonly isOpen: boolean;
  /**
   * Sends once. Rejects with what ended the call, or after `timeoutMs`; after that nothing more is sent here, since whatever follows would wait
   * behind what the bank has not taken.
   */
  send(content: FlightContent, timeoutMs: number): Promise<FlightReply>;
  /** Sends nothing more, and ends the call when all is answered. */
  retire(): void;
}

interface Waiting {
  readonly resolve: (reply: FlightReply) => void;
  readonly reject: (error: unknown) => void;
  readonly cancelTimer: () => void;
}

export function openFlightStream(client: Pick<ParticipantServiceClient, 'exchange'>, clock: Pick<Clock, 'after'>): FlightStream {
  const waiting = new Map<number, Waiting>();
  const cancelled = new AbortController();
  let outgoing: ReadableStreamDefaultController<ExchangeRequest> | undefined;
  const requests = new ReadableStream<ExchangeRequest>({
    start(controller) {
      outgoing = controller;
    },
  });
  let lastNumber = 0;
  let isOpen = true;
  let isLate = false;
  void receive();

  async function receive(): Promise<void> {
    let failure: unknown = new Error('the bank ended the call');
    try {
      for await (const { number, content } of client.exchange(requests, { signal: cancelled.signal })) {
        take(number)?.resolve(content);
        if (!isOpen) endWhenAnswered();
      }
    } catch (error) {
      failure = error;
    }
    isOpen = false;
    for (const number of waiting.keys()) take(number)?.reject(failure);
  }

  function take(number: number): Waiting | undefined {
    const found = waiting.get(number);
    waiting.delete(number);
    found?.cancelTimer();
    return found;
  }

  function endWhenAnswered(): void {
    if (waiting.size > 0) return;
    if (isLate) cancelled.abort();
    else outgoing?.close();
    outgoing = undefined;
  }

  return {
    get isOpen() {
      return isOpen;
    },
    send(content, timeoutMs) {
      lastNumber += 1;
      const number = lastNumber;
      return new Promise((resolve, reject) => {
        const cancelTimer = clock.after(timeoutMs, () => {
          take(number)?.reject(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
          isOpen = false;
          isLate = true;
          endWhenAnswered();
        });
        waiting.set(number, { resolve, reject, cancelTimer });
        outgoing?.enqueue({ number, content });
      });
    },
    retire() {
      if (!isOpen) return;
      isOpen = false;
      endWhenAnswered();
    },
  };
}
