// The queue of things that expire after one and the same delay.

import { beforeEach, expect, it } from '@jest/globals';
import { createExpiryQueue } from './expiry-queue.ts';
import { createManualClock } from './testing/fake-ports.ts';
import type { ManualClock } from './testing/fake-ports.ts';

let clock: ManualClock;
let expired: string[];

beforeEach(() => {
  clock = createManualClock();
  expired = [];
});

it('expires each item after the delay, in order, with a timer for the first only', async () => {
  const queue = createExpiryQueue<string>(clock, 100, (item) => expired.push(item));
  queue.add('a');
  await clock.advance(60);
  queue.add('b');
  queue.add('c');
  queue.delete('c');
  await clock.advance(40);
  expect(expired).toEqual(['a']);
  await clock.advance(60);
  expect(expired).toEqual(['a', 'b']);
});

it('keeps the first time of an item that is added again, so that nobody waits behind it', async () => {
  const queue = createExpiryQueue<string>(clock, 100, (item) => expired.push(item));
  queue.add('a');
  queue.add('b');
  for (let step = 0; step < 4; step += 1) {
    await clock.advance(25);
    queue.add('a');
  }
  expect(expired).toEqual(['a', 'b']);
});

it('does not hear of a wall clock that steps', async () => {
  const queue = createExpiryQueue<string>(clock, 100, (item) => expired.push(item));
  queue.add('a');
  clock.step(-3_600_000);
  await clock.advance(100);
  queue.add('b');
  await clock.advance(100);
  expect(expired).toEqual(['a', 'b']);
});
