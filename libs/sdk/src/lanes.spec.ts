// How many messages a lane has under way, and what goes into them.
import { afterEach, expect, it, jest } from '@jest/globals';
import { createLanes } from './lanes.ts';

const ITEMS_MAX = 10;

/** Of all messages that are under way. */
const answers: (() => void)[] = [];
let isOver = false;

/** A lane waits for answers as long as there are none. */
afterEach(() => {
  isOver = true;
  answers.splice(0).forEach((answer) => answer());
});

/** Lanes whose messages are answered by hand, at a time that stands still, so that none is ever overdue. */
function start(gateways = 1, nowMs = () => 0): { sizes: number[]; answer: (message: number) => void; add: (items: number) => Promise<void> } {
  isOver = false;
  const sizes: number[] = [];
  const lanes = createLanes<number>({
    itemsMax: ITEMS_MAX,
    bytesMax: 1_000_000,
    bytesOf: () => 1,
    isDone: () => false,
    gatewayCount: () => gateways,
    nowMs,
    fly(items) {
      sizes.push(items.length);
      return isOver ? Promise.resolve() : new Promise((resolve) => answers.push(resolve));
    },
  });
  return {
    sizes,
    answer: (message) => answers[message]!(),
    async add(items) {
      for (let item = 0; item < items; item += 1) lanes.add('beta', item);
      await Promise.resolve();
    },
  };
}

it.each([1, 3])('has two messages under way for each of %i gateways, and gathers until one is answered', async (gateways) => {
  const { sizes, answer, add } = start(gateways);
  const ones = Array<number>(2 * gateways).fill(1);
  for (const one of ones) await add(one);
  await add(4);
  await add(5);
  expect(sizes).toEqual(ones);
  answer(0);
  await new Promise(setImmediate);
  expect(sizes).toEqual([...ones, 9]);
});

it.each([1, 3])('sends what fills a message at once, until eight are under way for each of %i gateways', async (gateways) => {
  const { sizes, answer, add } = start(gateways);
  await add(ITEMS_MAX * 8 * gateways + ITEMS_MAX + 1);
  const full = Array<number>(8 * gateways).fill(ITEMS_MAX);
  expect(sizes).toEqual(full);
  answer(0);
  await new Promise(setImmediate);
  expect(sizes).toEqual([...full, ITEMS_MAX]);
  answer(1);
  await new Promise(setImmediate);
  expect(sizes).toEqual([...full, ITEMS_MAX]);
});

it('lets what does not fill a message wait behind full ones', async () => {
  const { sizes, add } = start();
  await add(2 * ITEMS_MAX + 9);
  expect(sizes).toEqual([ITEMS_MAX, ITEMS_MAX]);
  await add(1);
  expect(sizes).toEqual([ITEMS_MAX, ITEMS_MAX, ITEMS_MAX]);
});

it('counts messages that are overdue among the eight, and lets two more go past them', async () => {
  jest.useFakeTimers({ doNotFake: ['queueMicrotask'] });
  try {
    const { sizes, add } = start(1, () => Date.now());
    await add(8 * ITEMS_MAX);
    jest.advanceTimersByTime(1_000);
    await add(4 * ITEMS_MAX);
    expect(sizes).toEqual(Array(10).fill(ITEMS_MAX));
  } finally {
    jest.useRealTimers();
  }
});
