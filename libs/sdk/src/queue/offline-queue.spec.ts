// The offline queue: what it takes, what it holds, and how it is shared.
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { AuthenticationError, ConflictError, InvalidArgumentError } from '../errors.ts';
import { eur, money, usd } from '../money.ts';
import { clock, folder, open, port, queue, reopen, results, setUpQueue, toBob } from '../testing/queue-stage.ts';
import { scriptedPort } from '../testing/scripted-port.ts';
import { openSqliteQueueStore } from './sqlite-queue-store.ts';

setUpQueue();

describe('queueing', () => {
  it('delivers a payment, and says so in its row, its result and an event', async () => {
    const delivered = new Promise<string>((resolve) => queue.on('delivered', ({ id }) => resolve(id)));
    const { id, state, from } = await queue.enqueue({ ...toBob, memo: 'lunch' });

    expect({ state, from }).toEqual({ state: 'queued', from: 'alpha/alice' });
    expect(await delivered).toBe(id);
    expect(await queue.get(` ${id.toUpperCase()} `)).toMatchObject({
      state: 'done',
      attempts: 1,
      unanswered: false,
      resultSeq: 1,
      transfer: { id, state: 'succeeded', amount: eur('1.00'), memo: 'lunch' },
    });
  });

  it('keeps what is queued over a restart without a gateway, and delivers it once there is one', async () => {
    port.isOffline = true;
    const { id } = await queue.enqueue(toBob);
    await reopen();
    expect(await queue.get(id)).toMatchObject({ unanswered: false });

    port.isOffline = false;
    port.wake('gateway');
    expect(await results(1)).toEqual(['done']);
    expect(port.applied.map((payment) => payment.id)).toEqual([id]);
  });

  it('queues one payment for one id, and refuses the id for another', async () => {
    const first = await queue.enqueue({ ...toBob, id: '0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3' });
    const again = await queue.enqueue({ ...toBob, id: first.id });
    const other = queue.enqueue({ ...toBob, id: first.id, amount: eur('2.00') });

    expect(again.id).toBe(first.id);
    await expect(other).rejects.toMatchObject({ name: 'ConflictError', field: 'amount', outcome: 'not_applied' });
    await expect(other).rejects.toBeInstanceOf(ConflictError);
    await results(1);
    expect(port.applied).toHaveLength(1);
  });

  it('takes an id from outside for one that may have been sent, unless it is told otherwise', async () => {
    port.isOffline = true;
    const id = '0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3';
    await queue.enqueue({ ...toBob, id, expiresInMs: 1 });
    await expect(queue.drop(id)).rejects.toMatchObject({ code: 'QUEUE_MAY_BE_APPLIED' });
    port.isOffline = false;
    port.wake('gateway');
    expect(await results(1)).toEqual(['expired']);
    expect(port.messages.map(({ payments }) => payments[0]!.earlierSendsAnswered)).toEqual([false]);

    const saved = await queue.enqueue({ ...toBob, id: '0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b4', earlierSendsAnswered: true });
    expect(saved.unanswered).toBe(false);
  });

  it.each([
    ['to', { to: 'bob', amount: eur('1.00') }],
    ['amount', { to: 'beta/bob', amount: { currency: 'EUR', minorUnits: 0n } }],
    ['memo', { ...toBob, memo: 'x'.repeat(141) }],
    ['id', { ...toBob, id: '42' }],
    ['expiresInMs', { ...toBob, expiresInMs: 0 }],
    ['expiresAt', { ...toBob, expiresAt: new Date(1) }],
  ])('refuses a bad %s, and queues nothing', async (field, payment) => {
    const refused = queue.enqueue(payment);
    await expect(refused).rejects.toBeInstanceOf(InvalidArgumentError);
    await expect(refused).rejects.toMatchObject({ field, outcome: 'not_applied' });
    expect(await queue.list()).toEqual([]);
  });

  it('refuses when nobody is logged in', async () => {
    port.current = undefined;
    await expect(queue.enqueue(toBob)).rejects.toBeInstanceOf(AuthenticationError);
  });
});

describe('caps', () => {
  it.each([
    ['payments', { payments: 2 }, { name: 'payments', max: 2 }, true],
    ['amountEach', { amountEach: [eur('0.99')] }, { name: 'amountEach', max: eur('0.99') }, false],
    ['amountInTotal', { amountInTotal: [eur('2.50'), usd('0.01')] }, { name: 'amountInTotal', max: eur('2.50') }, true],
  ])('names the cap in the way: %s', async (_name, limits, limit, retryable) => {
    port.isOffline = true;
    await reopen({ limits });
    const enqueueThree = async (): Promise<void> => {
      for (let count = 0; count < 3; count++) await queue.enqueue(toBob);
    };
    await expect(enqueueThree()).rejects.toMatchObject({
      name: 'QueueFullError',
      code: 'QUEUE_FULL',
      limit,
      retryable,
      outcome: 'not_applied',
      message: expect.stringContaining('NOT queued'),
    });
  });

  it('counts currencies apart, and makes room when payments end', async () => {
    await reopen({ limits: { amountInTotal: [eur('1.00')] } });
    await queue.enqueue(toBob);
    await queue.enqueue({ to: 'beta/bea', amount: usd('5.00') });
    await queue.enqueue({ to: 'beta/bea', amount: money('KWD', '1.250') });
    await queue.flush();
    await queue.enqueue(toBob);
    await queue.flush();
    expect(port.applied).toHaveLength(4);
  });
});

describe('a disk that is full', () => {
  it('keeps a payment out, and says that it is NOT queued', async () => {
    port.isOffline = true;
    const store = await openSqliteQueueStore(join(folder, 'small.db'), { pagesMax: 30 });
    const small = await open({ store });
    const fillUp = async (): Promise<void> => {
      for (let count = 0; count < 1_000; count++) await small.enqueue({ ...toBob, memo: 'x'.repeat(140) });
    };
    await expect(fillUp()).rejects.toMatchObject({
      name: 'QueueStorageError',
      code: 'QUEUE_NOT_SAVED',
      outcome: 'not_applied',
      transferId: expect.any(String),
      message: expect.stringMatching(/^the payment is NOT queued: .*full/),
    });
  });
});

describe('a queue without background work', () => {
  it('sends nothing but in a flush, and nothing more once that is cancelled', async () => {
    await reopen({ background: false, batchItemsMax: 1 });
    for (const memo of ['a', 'b']) await queue.enqueue({ ...toBob, memo });
    let release = (): void => {};
    port.scripts.push((payments, apply) => new Promise((resolve) => (release = () => resolve(payments.map(apply)))));
    const cancel = new AbortController();
    const flush = queue.flush({ signal: cancel.signal });
    while (port.messages.length === 0) await clock.sleep(1, cancel.signal);
    cancel.abort(new Error('enough'));
    await expect(flush).rejects.toThrow('enough');
    release();
    expect(await results(1)).toEqual(['a: done']);
    await reopen({ background: false });
    expect(port.messages).toHaveLength(1);
    expect(await queue.flush()).toEqual({ pending: 0 });
    expect(port.applied.map(({ memo }) => memo)).toEqual(['a', 'b']);
  });
});

describe('two queues on one file', () => {
  it('send a payer from one of them at a time, and both hear of the results', async () => {
    const other = scriptedPort();
    const second = await open({}, other);
    let release = (): void => {};
    port.scripts.push((payments, apply) => new Promise((resolve) => (release = () => resolve(payments.map(apply)))));
    const { id } = await queue.enqueue(toBob);
    while (port.messages.length + other.messages.length === 0) await clock.sleep(1, new AbortController().signal);
    expect(port.messages).toHaveLength(1);

    const heard = new Promise<string>((resolve) => second.on('delivered', (payment) => resolve(payment.id)));
    await expect(second.drop(id)).rejects.toMatchObject({ code: 'QUEUE_MAY_BE_APPLIED' });
    expect(other.messages).toEqual([]);
    release();
    expect(await heard).toBe(id);
  });

  it('leave a payer to the one that has the session', async () => {
    const other = scriptedPort('alpha/anna');
    const second = await open({}, other);
    await second.enqueue({ ...toBob, memo: 'of anna' });
    await queue.enqueue({ ...toBob, memo: 'of alice' });
    expect((await results(2)).toSorted()).toEqual(['of alice: done', 'of anna: done']);
    expect(port.applied).toMatchObject([{ from: 'alpha/alice' }]);
    expect(other.applied).toMatchObject([{ from: 'alpha/anna' }]);
  });
});
