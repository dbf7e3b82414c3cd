// The offline queue: how payments leave it, and those that never can.
import { describe, expect, it } from '@jest/globals';
import { InvalidArgumentError, TlsError } from '../errors.ts';
import { clock, lost, port, queue, results, setUpQueue, toBob } from '../testing/queue-stage.ts';
import { unavailable } from '../testing/scripted-port.ts';
import type { OutgoingPayment, SendResult } from './queue-port.ts';
import { BAD_ANSWERS_MAX } from './queue-rules.ts';

const HOUR_MS = 60 * 60 * 1000;

setUpQueue();

describe('delivery', () => {
  it('keeps the order of each payer, in messages that grow while all goes well', async () => {
    port.isOffline = true;
    const memos = Array.from({ length: 20 }, (_, index) => `payment ${index}`);
    for (const memo of memos) await queue.enqueue({ ...toBob, memo });
    port.isOffline = false;
    port.wake('gateway');
    await results(20);

    expect(port.applied.map(({ memo }) => memo)).toEqual(memos);
    expect(port.messages.map(({ payments }) => payments.length)).toEqual([1, 2, 4, 8, 5]);
  });

  it('sends nothing behind a payment that has no certain answer, and asks again under the same id', async () => {
    port.scripts.push(lost, lost);
    await queue.enqueue({ ...toBob, memo: 'first' });
    await queue.enqueue({ ...toBob, memo: 'second' });
    expect(await results(2)).toEqual(['first: done', 'second: done']);

    const sent = port.messages.map(({ payments }) => payments.map(({ memo, earlierSendsAnswered }) => `${memo} ${earlierSendsAnswered}`));
    expect(sent).toEqual([['first true'], ['first false'], ['first false'], ['second true']]);
  });

  it('delivers payers side by side: one that cannot go on holds up no other', async () => {
    port.loggedIn.add('alpha/anna');
    let release = (): void => {};
    port.scripts.push((payments, apply) => new Promise((resolve) => (release = () => resolve(payments.map(apply)))));
    await queue.enqueue({ ...toBob, memo: 'of alice' });
    port.current = 'alpha/anna';
    await queue.enqueue({ ...toBob, memo: 'of anna' });

    expect(await results(1)).toEqual(['of anna: done']);
    release();
    expect(await results(2)).toEqual(['of anna: done', 'of alice: done']);
  });

  it('says earlier sends are answered again after an answer that nothing was applied', async () => {
    port.scripts.push((payments) => payments.map(() => ({ ok: false, error: unavailable('not_applied') })));
    await queue.enqueue(toBob);
    await results(1);
    expect(port.messages.map(({ payments }) => payments[0]!.earlierSendsAnswered)).toEqual([true, true]);
  });

  it('tells a decline as the end, and goes on', async () => {
    port.isOffline = true;
    await queue.enqueue({ ...toBob, memo: 'too much' });
    await queue.enqueue(toBob);
    port.isOffline = false;
    port.wake('gateway');
    expect(await results(2)).toEqual(['too much: declined', 'done']);
    const [declined] = await queue.list({ state: 'declined' });
    expect(declined?.transfer).toMatchObject({ state: 'declined', declineReason: 'insufficient_funds' });
  });

  // The moment in which the delivery ends is a few microtasks long, so every one is tried around it.
  it.each([
    ['enqueued', async () => queue.enqueue(toBob)],
    ['enqueued and flushed', async () => Promise.all([queue.enqueue(toBob), queue.flush()])],
  ])('hears of what is %s at the very moment in which it ends', async (_what, act) => {
    for (let ticks = 0; ticks < 160; ticks++) {
      const acted = Promise.withResolvers<void>();
      port.scripts.push((payments, apply) => {
        void (async () => {
          for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
          await act();
          acted.resolve();
        })();
        return payments.map(apply);
      });
      await queue.enqueue(toBob);
      await acted.promise;
      while ((await queue.pending()) > 0) await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it('goes on after the gateway fails in ways that are not about a payment', async () => {
    const error = new TlsError('bad certificate', { code: 'TLS_FAILED', outcome: 'not_applied' });
    port.scripts.push(
      () => Promise.reject(new Error('a bug')),
      () => [],
      (payments) => payments.map(() => ({ ok: false, error })),
    );
    await queue.enqueue(toBob);
    expect(await results(1)).toEqual(['done']);
    expect(port.applied).toHaveLength(1);
  });
});

describe('poison', () => {
  const refuse = (payments: readonly OutgoingPayment[], apply: (payment: OutgoingPayment) => SendResult): SendResult[] =>
    payments.map((payment) =>
      payment.memo === 'poison'
        ? { ok: false, error: new InvalidArgumentError('no such currency', { code: 'BAD_CURRENCY', outcome: 'not_applied' }) }
        : apply(payment),
    );

  it('is set aside with its reason, alone; retry delivers it, drop forgets it', async () => {
    port.isOffline = true;
    for (const memo of ['a', 'b', 'poison', 'c']) await queue.enqueue({ ...toBob, memo });
    port.isOffline = false;
    port.scripts.push(refuse, refuse, refuse, refuse);
    port.wake('gateway');
    expect((await results(4)).toSorted()).toEqual(['a: done', 'b: done', 'c: done', 'poison: failed']);
    const [poison] = await queue.list({ state: 'failed' });
    expect(poison).toMatchObject({ problem: { code: 'BAD_CURRENCY' }, unanswered: false });

    port.scripts.length = 0;
    await queue.retry(poison!.id);
    await queue.flush();
    expect(await queue.get(poison!.id)).toMatchObject({ state: 'done', resultSeq: 5 });
    await queue.drop(poison!.id);
    await expect(queue.get(poison!.id)).rejects.toMatchObject({ code: 'NOT_IN_QUEUE' });
  });

  it('of nonsense answers is set aside after some, and may not be dropped: it may have been applied', async () => {
    const nonsense = (payments: readonly OutgoingPayment[], apply: (payment: OutgoingPayment) => SendResult): SendResult[] =>
      payments.map((payment) => {
        const result = apply(payment);
        return result.ok ? { ok: true, transfer: { ...result.transfer, id: 'something else' } } : result;
      });
    for (let count = 0; count < BAD_ANSWERS_MAX; count++) port.scripts.push(nonsense);
    const { id } = await queue.enqueue(toBob);
    expect(await results(1)).toEqual(['failed']);
    await expect(queue.drop(id)).rejects.toMatchObject({ code: 'QUEUE_MAY_BE_APPLIED', outcome: 'unknown' });

    await queue.retry(id);
    expect(await queue.flush()).toEqual({ pending: 0 });
    expect(port.applied.map((payment) => payment.id)).toEqual([id]);
  });
});

describe('expiry', () => {
  it('ends a payment that was never sent, without a gateway', async () => {
    port.isOffline = true;
    const expired = new Promise<string>((resolve) => queue.on('expired', ({ id }) => resolve(id)));
    const { id } = await queue.enqueue({ ...toBob, expiresInMs: 30 });
    expect(await expired).toBe(id);

    port.isOffline = false;
    expect(await queue.flush()).toEqual({ pending: 0 });
    expect(port.messages).toEqual([]);
  });

  it.each([
    ['was not applied', lost, 'expired', 0],
    ['was applied', (payments: readonly OutgoingPayment[], apply: (payment: OutgoingPayment) => SendResult) => {
      payments.forEach(apply);
      return lost(payments);
    }, 'done', 1],
  ])('asks the bank about one whose send has no answer: it %s', async (_what, script, state, applied) => {
    // The bank's clock is behind, so the payment's own time would not be past there yet.
    port.bankUnixMs = () => Date.now() - HOUR_MS;
    port.scripts.push((payments, apply) => {
      clock.offsetMs = 2 * HOUR_MS;
      return script(payments, apply);
    });
    await queue.enqueue({ ...toBob, expiresInMs: HOUR_MS });
    expect(await results(1)).toEqual([state]);
    expect(port.applied).toHaveLength(applied);
  });

  it.each([
    ['ahead', HOUR_MS, 'done', 1],
    ['behind', -HOUR_MS, 'expired', 0],
  ])('is safe with a clock that is an hour %s of the bank', async (_how, offsetMs, state, applied) => {
    clock.offsetMs = offsetMs;
    await queue.enqueue({ ...toBob, expiresInMs: HOUR_MS / 2 });
    expect(await results(1)).toEqual([state]);
    expect(port.applied).toHaveLength(applied);
  });
});
