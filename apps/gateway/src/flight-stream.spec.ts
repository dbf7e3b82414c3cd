// A stream of flights over a bank that the test answers: whose answer is whose, and what becomes of flights when time or the call is over.

import { describe, expect, it } from '@jest/globals';
import type { ExchangeRequest, ExchangeResponse, ParticipantServiceClient } from '@strife/stubs/bank';
import { openFlightStream } from './flight-stream.ts';
import type { FlightContent } from './flight-stream.ts';

const content: FlightContent = { $case: 'decide', value: { logId: 'log', decisions: [] } };
const replyTo = (number: number): ExchangeResponse => ({ number, content: { $case: 'decide', value: { acknowledgements: [] } } });

function openStream() {
  const received: number[] = [];
  const timers: { delayMs: number; callback: () => void; cancelled: boolean }[] = [];
  let call: 'running' | 'closed by the gateway' | 'cancelled' = 'running';
  let answer!: ReadableStreamDefaultController<ExchangeResponse>;
  const answers = new ReadableStream<ExchangeResponse>({ start: (controller) => void (answer = controller) });
  const client: Pick<ParticipantServiceClient, 'exchange'> = {
    exchange(requests, { signal } = {}) {
      signal?.addEventListener('abort', () => {
        call = 'cancelled';
        answer.error(signal.reason);
      });
      void (async () => {
        for await (const { number } of requests as AsyncIterable<ExchangeRequest>) received.push(number);
        call = 'closed by the gateway';
        answer.close();
      })();
      return answers;
    },
  };
  const stream = openFlightStream(client, {
    after(delayMs, callback) {
      const timer = { delayMs, callback, cancelled: false };
      timers.push(timer);
      return () => void (timer.cancelled = true);
    },
  });
  return { stream, received, timers, answer: (number: number) => answer.enqueue(replyTo(number)), breakCall: (error: Error) => answer.error(error), endCall: () => answer.close(), call: () => call };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a stream of flights', () => {
  it('gives each flight its own answer, whatever their order, and lets its timer go', async () => {
    const { stream, received, timers, answer } = openStream();
    const told: string[] = [];
    const first = stream.send(content, 100).then(() => told.push('first'));
    const second = stream.send(content, 100).then(() => told.push('second'));
    await turn();
    expect(received).toEqual([1, 2]);
    answer(2);
    answer(2);
    answer(77);
    await second;
    answer(1);
    await first;
    expect(told).toEqual(['second', 'first']);
    expect(timers.map(({ cancelled }) => cancelled)).toEqual([true, true]);
  });

  it('ends all its flights with what ended the call', async () => {
    const { stream, breakCall } = openStream();
    const flights = [stream.send(content, 100), stream.send(content, 100)];
    breakCall(new Error('connection lost'));
    for (const flight of flights) await expect(flight).rejects.toThrow('connection lost');
    expect(stream.isOpen).toBe(false);
  });

  it('takes no more once it is retired, and ends when all is answered', async () => {
    const { stream, answer, call } = openStream();
    const flight = stream.send(content, 100);
    await turn();
    stream.retire();
    expect(stream.isOpen).toBe(false);
    await turn();
    expect(call()).toBe('running');
    answer(1);
    await flight;
    await turn();
    expect(call()).toBe('closed by the gateway');
  });

  it('gives up a flight that is late, and waits for the others before it cancels the call', async () => {
    const { stream, timers, answer, call } = openStream();
    const late = stream.send(content, 100);
    const other = stream.send(content, 500);
    await turn();
    timers[0]!.callback();
    await expect(late).rejects.toMatchObject({ name: 'TimeoutError' });
    expect([stream.isOpen, call()]).toEqual([false, 'running']);
    answer(2);
    await other;
    expect(call()).toBe('cancelled');
  });

  it('ends its flights when the bank ends the call', async () => {
    const { stream, endCall } = openStream();
    const flight = stream.send(content, 100);
    await turn();
    endCall();
    await expect(flight).rejects.toThrow('the bank ended the call');
  });
});
