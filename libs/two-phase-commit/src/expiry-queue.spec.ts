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
  queue.delete(queue.add('c'));
  await clock.advance(40);
  expect(expired).toEqual(['a']);
  await clock.advance(60);
  expect(expired).toEqual(['a', 'b']);
});

it('forgets items that leave, in any order, and keeps the others in theirs', async () => {
  const queue = createExpiryQueue<string>(clock, 100, (item) => expired.push(item));
  const tickets = Array.from({ length: 5000 }, (_, index) => queue.add(`${index}`));
  const stay = new Set([1, 2, 1500, 4998]);
  tickets.forEach((ticket, index) => (stay.has(index) ? undefined : queue.delete(ticket)));
  queue.delete(tickets[0]!);
  await clock.advance(50);
  queue.delete(tickets[2]!);
  queue.add('last');
  await clock.advance(50);
  expect(expired).toEqual(['1', '1500', '4998']);
  queue.delete(tickets[1500]!);
  await clock.advance(50);
  expect(expired).toEqual(['1', '1500', '4998', 'last']);
});

it('has one timer under way, also for items that are added while others expire', async () => {
  const queue = createExpiryQueue<string>(clock, 100, (item) => {
    expired.push(item);
    if (item === 'a') queue.add('after a');
  });
  queue.add('a');
  await clock.advance(60);
  queue.add('b');
  await clock.advance(40);
  expect(expired).toEqual(['a']);
  await clock.advance(60);
  expect(expired).toEqual(['a', 'b']);
  await clock.advance(40);
  expect(expired).toEqual(['a', 'b', 'after a']);
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
