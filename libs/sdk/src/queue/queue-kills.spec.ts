import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { connect, type Session } from '../index.ts';
import { hang, startTestGateway, TEST_PASSWORD, type TestGateway } from '../testing/index.ts';
import { startQueuePayer, type QueuePayerOrder, type QueuePayerProcess } from '../testing/queue-payer-process.ts';
import { openSqliteQueueStore } from './sqlite-queue-store.ts';

/** The long form: STRIFE_QUEUE_KILLS=50 STRIFE_QUEUE_PAYMENTS=1000. */
const KILLS = Number(process.env['STRIFE_QUEUE_KILLS'] ?? 10);
const PAYMENTS = Number(process.env['STRIFE_QUEUE_PAYMENTS'] ?? 100);
const SEED = Number(process.env['STRIFE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const TIMEOUT_MS = 120_000 + 20_000 * KILLS;

let folder: string;
let gateway: TestGateway;
let session: Session;
let payers: QueuePayerProcess[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'strife-queue-'));
  payers = [];
  gateway = await startTestGateway();
  await using strife = await connect({ gateways: [gateway.address], tls: gateway.tls });
  session = await strife.login({ bank: 'alpha', username: 'alice', password: TEST_PASSWORD });
});

afterEach(async () => {
  for (const payer of payers) payer.kill();
  await Promise.all(payers.map(({ ended }) => ended));
  gateway.kill();
  rmSync(folder, { recursive: true });
});

function start(order: Partial<QueuePayerOrder>): QueuePayerProcess {
  const { ca, cert, key } = gateway.tls;
  const payer = startQueuePayer(join(folder, `order-${payers.length}.json`), {
    file: join(folder, 'queue.db'),
    results: join(folder, 'results'),
    gateway: gateway.address,
    tls: { ca, cert, key },
    session,
    from: 0,
    to: PAYMENTS,
    resultsInAll: PAYMENTS,
    ...order,
  });
  payers.push(payer);
  return payer;
}

/** A generator of numbers in [0, 1) that a seed repeats: mulberry32. */
function randomBy(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Each of the payments happened once at the bank, is done in the queue, and its result was seen. */
async function expectEachOnce(count: number): Promise<void> {
  const byNumber = (memos: Iterable<string>): number[] => [...memos].map(Number).sort((a, b) => a - b);
  expect(byNumber([...gateway.bank.transfers.values()].map(({ memo }) => memo))).toEqual(numbers(count));
  const credits = gateway.bank.accounts.get('beta/bob')!.entries.filter(({ transferId }) => transferId !== '');
  expect(byNumber(credits.map(({ memo }) => memo))).toEqual(numbers(count));
  const store = await openSqliteQueueStore(join(folder, 'queue.db'));
  const rows = await store.list({});
  await store.close();
  expect(rows.map(({ state, unanswered }) => `${state} ${unanswered}`)).toEqual(numbers(count).map(() => 'done false'));
  const told = existsSync(join(folder, 'results')) ? readFileSync(join(folder, 'results'), 'utf8').trim().split('\n') : [];
  expect(byNumber(new Set(told.map((line) => line.replace(/ done$/, ''))))).toEqual(numbers(count));
}

/** A payment that arrives again after a death was sent by one that did not hear an answer, and must say so. */
function expectHonestRepetitions(): void {
  const seen = new Set<string>();
  for (const { id, earlierSendsAnswered } of gateway.payments) {
    if (seen.has(id)) expect(earlierSendsAnswered).toBe(false);
    seen.add(id);
  }
}

describe('a client that is killed', () => {
  it(`${KILLS} times while it queues, sends and writes down makes each of ${PAYMENTS} payments once (seed ${SEED})`, async () => {
    const random = randomBy(SEED);
    // Answers that take their time, before or after the payment is made: kills find messages under way.
    for (let count = 0; count < PAYMENTS * 4; count++) {
      const [beforeMs, afterMs] = [random() * 10, random() * 10];
      for (const method of ['createTransfer', 'batchCreateTransfers']) {
        gateway.failNext(method, async (proceed) => {
          await pause(beforeMs);
          const answer = await proceed();
          await pause(afterMs);
          return answer;
        });
      }
    }
    let kills = 0;
    while (kills < KILLS) {
      // By its own hand at a certain point, or from outside at any.
      const changesMax = Math.max(4, (5 * PAYMENTS) / KILLS);
      const dieAtChange = kills % 2 === 0 ? Math.ceil(random() * changesMax) / 2 : undefined;
      const payer = start({ dieAtChange });
      if (dieAtChange === undefined) {
        await payer.heard('up');
        await pause(random() * 300);
        payer.kill();
      }
      const exitCode = await payer.ended;
      if (exitCode === 0) break;
      expect(exitCode).toBeNull();
      kills += 1;
    }
    expect(await start({}).ended).toBe(0);
    await expectEachOnce(PAYMENTS);
    expectHonestRepetitions();
  }, TIMEOUT_MS);

  it.each(numbers(8).map((half) => 0.5 + half / 2))('at its change %d makes each payment once', async (dieAtChange) => {
    const order = { to: 2, resultsInAll: 2 };
    expect(await start({ ...order, dieAtChange }).ended).toBeNull();
    expect(await start(order).ended).toBe(0);
    await expectEachOnce(2);
    expectHonestRepetitions();
  }, TIMEOUT_MS);
});

describe('two programs on one queue', () => {
  it('share it: one delivers, the other takes over when that one is killed', async () => {
    let arrived = (): void => {};
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    gateway.failNext('createTransfer', (proceed, context) => {
      arrived();
      return hang(proceed, context);
    });
    const order = { resultsInAll: 30 };
    const first = start({ ...order, from: 0, to: 20, results: join(folder, 'results of the first') });
    await first.heard('queued');
    await arrival;
    const second = start({ ...order, from: 20, to: 30 });
    await second.heard('queued');
    // The first one is still at it: nothing else has arrived.
    expect(gateway.payments).toEqual([]);
    first.kill();
    await first.ended;
    expect(await second.ended).toBe(0);
    await expectEachOnce(30);
    expect(gateway.payments.map(({ memo }) => Number(memo))).toEqual(numbers(30));
    expect(gateway.payments[0]?.earlierSendsAnswered).toBe(false);
  }, TIMEOUT_MS);
});
