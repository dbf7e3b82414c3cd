// What is put off together, and when it is handed on.
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Gathered } from './gathered.ts';

function open(): { gathered: Gathered<string>; taken: (readonly string[])[]; next: () => Promise<unknown> } {
  const taken: (readonly string[])[] = [];
  const told = new EventTarget();
  const gathered = new Gathered<string>((items) => {
    taken.push(items);
    told.dispatchEvent(new Event('taken'));
  });
  return { gathered, taken, next: () => once(told, 'taken') };
}

describe('what is gathered', () => {
  it('is handed on together, in order, and not at once', async () => {
    const { gathered, taken, next } = open();
    gathered.add('one');
    gathered.add('two');
    expect(taken).toEqual([]);
    await next();
    gathered.add('three');
    await next();
    expect(taken).toEqual([['one', 'two'], ['three']]);
    gathered.close();
  });

  it('is handed on after what was to leave before its time had come', async () => {
    const { gathered, taken, next } = open();
    await turn();
    gathered.add('one');
    const leaves = turn();
    for (const untilMs = performance.now() + 20; performance.now() < untilMs;);
    await leaves;
    expect(taken).toEqual([]);
    await next();
    expect(taken).toEqual([['one']]);
    gathered.close();
  });

  it('is handed on before the process exits, and before it is closed; once', () => {
    const { gathered, taken } = open();
    gathered.add('one');
    for (const listener of process.listeners('exit').slice(-1)) listener(0);
    expect(taken).toEqual([['one']]);
    gathered.add('two');
    gathered.close();
    expect(taken).toEqual([['one'], ['two']]);
  });
});
