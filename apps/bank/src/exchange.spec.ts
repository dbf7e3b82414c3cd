// Calls as messages of a stream, over handlers that the test answers: in which order answers leave, and how a stream ends.

import { describe, expect, it } from '@jest/globals';
import type { ServiceContext } from '@strife/service';
import { VoteKind } from '@strife/stubs/bank';
import type { ExchangeRequest, ExchangeResponse, PrepareRequest, PrepareResponse } from '@strife/stubs/bank';
import { Status } from 'nice-grpc-common';
import { createExchange } from './exchange.ts';

const prepare = (number: number): ExchangeRequest => ({ number, content: { $case: 'prepare', value: { logId: `log-${number}`, grants: [], legs: [], decisions: [] } } });
const decide = (number: number): ExchangeRequest => ({ number, content: { $case: 'decide', value: { logId: `log-${number}`, decisions: [] } } });
const votes: PrepareResponse = { votes: [], acknowledgements: [] };

/** A stream whose requests the test sends, and whose calls it answers by the number of their message. */
function openExchange() {
  const asked = new Map<string, { resolve: (response: PrepareResponse) => void; reject: (error: unknown) => void }>();
  const ended: string[] = [];
  const stop = new AbortController();
  const strangers = new Map<string, () => void>();
  const taken: string[] = [];
  let nowMs = 0;
  let send!: ReadableStreamDefaultController<ExchangeRequest>;
  const requests = new ReadableStream<ExchangeRequest>({ start: (controller) => void (send = controller) });
  const exchange = createExchange(
    {
      recognize: ({ logId, grants }) => (grants.length === 0 ? [] : new Promise((resolve) => void strangers.set(logId, () => resolve(['alice'])))),
      prepare: ({ logId }: PrepareRequest) => (taken.push(logId), new Promise((resolve, reject) => void asked.set(logId, { resolve, reject }))),
      decide: ({ logId }) => (taken.push(logId), Promise.resolve({ acknowledgements: [] })),
    },
    { monotonicMs: () => nowMs },
    () => ({
      begin: (method) => ({
        succeeded: () => void ended.push(`${method} succeeded`),
        failed: (error) => (ended.push(`${method} failed`), { code: Status.RESOURCE_EXHAUSTED, message: (error as Error).message, reason: 'OVERLOADED' }),
      }),
    }),
  );
  const answers = exchange(requests, { signal: stop.signal } as unknown as ServiceContext);
  const next = async (): Promise<ExchangeResponse> => (await answers.next()).value as ExchangeResponse;
  return { asked, strangers, taken, ended, answers, next, send: (request: ExchangeRequest) => send.enqueue(request), end: () => send.close(), fail: (error: Error) => send.error(error), stop, pass: (ms: number) => void (nowMs += ms) };
}

/** Until all that has arrived is taken in. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('calls that travel as messages', () => {
  it('are answered as they end, under their numbers, and logged one by one', async () => {
    const { asked, ended, next, send } = openExchange();
    const first = next();
    send(prepare(1));
    send(prepare(2));
    send(decide(3));
    expect(await first).toEqual({ number: 3, content: { $case: 'decide', value: { acknowledgements: [] } } });
    asked.get('log-2')!.resolve(votes);
    expect(await next()).toEqual({ number: 2, content: { $case: 'prepare', value: votes } });
    asked.get('log-1')!.resolve({ ...votes, votes: [{ kind: VoteKind.YES } as never] });
    expect(await next()).toMatchObject({ number: 1, content: { value: { votes: [{ kind: VoteKind.YES }] } } });
    expect(ended).toEqual(['Decide succeeded', 'Prepare succeeded', 'Prepare succeeded']);
  });

  it('are all answered, also those that end while the answers to others leave', async () => {
    const { asked, answers, send, end } = openExchange();
    const count = 500;
    void (async () => {
      for (let number = 1; number <= count; number += 1) {
        send(prepare(number));
        await turn();
        // Every third ends in the turn in which the one before is on its way.
        if (number % 3 === 0) for (const { resolve } of asked.values()) resolve(votes);
        if (number % 3 === 1) queueMicrotask(() => asked.get(`log-${number}`)?.resolve(votes));
      }
      for (const { resolve } of asked.values()) resolve(votes);
      end();
    })();
    const numbers = new Set<number>();
    for await (const { number } of answers) numbers.add(number);
    expect(numbers.size).toBe(count);
  });

  it('fail by themselves: the others go on', async () => {
    const { asked, ended, next, send } = openExchange();
    const first = next();
    send(prepare(1));
    send(decide(2));
    expect((await first).number).toBe(2);
    asked.get('log-1')!.reject(new Error('full'));
    expect(await next()).toEqual({ number: 1, content: { $case: 'refusal', value: { code: Status.RESOURCE_EXHAUSTED, message: 'full', reason: 'OVERLOADED' } } });
    expect(ended).toEqual(['Decide succeeded', 'Prepare failed']);
  });

  it('are taken up in their order: no decision overtakes legs whose grants are still looked at', async () => {
    const { strangers, taken, next, send } = openExchange();
    const first = next();
    send({ number: 1, content: { $case: 'prepare', value: { logId: 'log-1', grants: ['new'], legs: [], decisions: [] } } });
    send(decide(2));
    await turn();
    expect(taken).toEqual([]);
    strangers.get('log-1')!();
    expect((await first).number).toBe(2);
    expect(taken).toEqual(['log-1', 'log-2']);
  });

  it('are not read ahead without end', async () => {
    const { asked, next, send } = openExchange();
    const first = next();
    for (let number = 1; number <= 40; number += 1) send(prepare(number));
    await turn();
    expect(asked.size).toBe(16);
    asked.get('log-5')!.resolve(votes);
    await first;
    await turn();
    expect(asked.size).toBe(16);
    // Once the answer has left.
    void next();
    await turn();
    expect(asked.size).toBe(17);
  });
});

describe('the end of a stream', () => {
  it('comes after the answers to what was sent', async () => {
    const { asked, next, answers, send, end } = openExchange();
    const first = next();
    send(prepare(1));
    await turn();
    end();
    await turn();
    asked.get('log-1')!.resolve(votes);
    expect((await first).number).toBe(1);
    expect((await answers.next()).done).toBe(true);
  });

  it('comes after the answer to legs whose grants were still looked at when the server stopped', async () => {
    const { strangers, asked, next, answers, send, stop } = openExchange();
    const first = next();
    send({ number: 1, content: { $case: 'prepare', value: { logId: 'log-1', grants: ['new'], legs: [], decisions: [] } } });
    await turn();
    stop.abort(new DOMException('stopping', 'AbortError'));
    await turn();
    strangers.get('log-1')!();
    await turn();
    asked.get('log-1')!.resolve(votes);
    expect((await first).number).toBe(1);
    await expect(answers.next()).rejects.toThrow('stopping');
  });

  it('comes when the call is too old, after the answers to what was begun: whether a gateway may call is asked when a call begins', async () => {
    const { asked, next, answers, send, pass } = openExchange();
    const first = next();
    send(prepare(1));
    await turn();
    pass(5000);
    send(prepare(2));
    await turn();
    asked.get('log-1')!.resolve(votes);
    expect((await first).number).toBe(1);
    expect((await answers.next()).done).toBe(true);
    expect([...asked.keys()]).toEqual(['log-1']);
  });

  it('comes when the server stops, after the answers to what was begun', async () => {
    const { asked, next, answers, send, stop } = openExchange();
    const first = next();
    send(prepare(1));
    await turn();
    stop.abort(new DOMException('stopping', 'AbortError'));
    send(prepare(2));
    await turn();
    asked.get('log-1')!.resolve(votes);
    expect((await first).number).toBe(1);
    await expect(answers.next()).rejects.toThrow('stopping');
    expect([...asked.keys()]).toEqual(['log-1']);
  });

  it('is a failure at a message that cannot be read, after the answers to those before', async () => {
    const { answers, fail } = openExchange();
    const first = answers.next();
    fail(new Error('malformed'));
    await expect(first).rejects.toThrow('malformed');
    const { asked, answers: others, next, send } = openExchange();
    const answer = next();
    send(prepare(1));
    send({ number: 2, content: undefined });
    await turn();
    asked.get('log-1')!.resolve(votes);
    expect((await answer).number).toBe(1);
    await expect(others.next()).rejects.toThrow('content: must be prepare or decide');
  });
});
