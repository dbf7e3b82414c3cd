import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AuthenticationError, ConflictError, InvalidArgumentError, TlsError } from '../errors.ts';
import { eur, money, usd } from '../money.ts';
import { scriptedPort, turnedClock, unavailable, type ScriptedPort } from '../testing/scripted-port.ts';
import type { OutgoingPayment, SendResult } from './queue-port.ts';
import { openSqliteQueueStore } from './sqlite-queue-store.ts';
import { openQueue, type ClientQueue, type QueueOptions } from './offline-queue.ts';
import { BAD_ANSWERS_MAX } from './queue-rules.ts';

const HOUR_MS = 60 * 60 * 1000;
const toBob = { to: 'beta/bob', amount: eur('1.00') };

let folder: string;
let port: ScriptedPort;
let clock: ReturnType<typeof turnedClock>;
let queue: ClientQueue;
let opened: ClientQueue[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'strife-queue-'));
  port = scriptedPort();
  clock = turnedClock();
  opened = [];
  queue = await open();
});

afterEach(async () => {
  for (const each of opened) await each.close();
  rmSync(folder, { recursive: true });
});

async function open(options: QueueOptions = {}, through = port): Promise<ClientQueue> {
  const made = await openQueue({ file: join(folder, 'queue.db'), ...options }, through, clock);
  opened.push(made);
  return made;
}

async function reopen(options: QueueOptions = {}): Promise<void> {
  await queue.close();
  queue = await open(options);
}

/** The next `count` results from the beginning of the queue's life. */
async function results(count: number, from = queue): Promise<string[]> {
  const found: string[] = [];
  for await (const { state, memo } of from.results({ after: 0 })) {
    found.push(memo ? `${memo}: ${state}` : state);
    if (found.length === count) break;
  }
  return found;
}

const lost = (payments: readonly OutgoingPayment[]): SendResult[] =>
  payments.map(() => ({ ok: false, error: unavailable('unknown') }));

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
    queue = await open({ store });
    const fillUp = async (): Promise<void> => {
      for (let count = 0; count < 1_000; count++) await queue.enqueue({ ...toBob, memo: 'x'.repeat(140) });
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

describe('logins', () => {
  const refuseAs = (code: string) => (payments: readonly OutgoingPayment[]): SendResult[] =>
    payments.map(() => ({ ok: false, error: new AuthenticationError('refused', { code, outcome: 'not_applied' }) }));
  const refuse = refuseAs('TOKEN_REVOKED');

  it('pauses only the payer whose session was refused, until that one logs in', async () => {
    port.loggedIn.add('alpha/anna');
    port.scripts.push(refuse);
    const waiting = new Promise<string>((resolve) => queue.on('needs-login', resolve));
    const { id } = await queue.enqueue(toBob);
    expect(await waiting).toBe('alpha/alice');
    expect(await queue.enqueue(toBob)).toMatchObject({ state: 'needs-login' });
    port.current = 'alpha/anna';
    await queue.enqueue({ ...toBob, memo: 'of anna' });
    expect(await results(1)).toEqual(['of anna: done']);
    port.loggedIn.delete('alpha/alice');
    expect(await queue.flush()).toEqual({ pending: 2 });
    expect(await queue.get(id)).toMatchObject({ state: 'needs-login', unanswered: false, problem: { code: 'TOKEN_REVOKED' } });
    port.loggedIn.add('alpha/alice');

    port.wake('login');
    expect(await results(3)).toEqual(['of anna: done', 'done', 'done']);
  });

  it('goes on by itself after a refusal that no login mends has been taken back', async () => {
    let waits = 0;
    queue.on('needs-login', () => (waits += 1));
    port.scripts.push(refuseAs('INTENTION_DENIED'), refuseAs('ROLE_NOT_ALLOWED'));
    await queue.enqueue({ ...toBob, memo: 'first' });
    expect(await queue.enqueue({ ...toBob, memo: 'second' })).toMatchObject({ state: 'queued' });
    expect(await results(2)).toEqual(['first: done', 'second: done']);
    expect(waits).toBe(0);
  });

  it.each([
    ['a flush', async () => queue.flush()],
    ['a retry', async (id: string) => queue.retry(id)],
  ])('tries a session again that was refused, at %s, and pauses once more if it is refused again', async (_what, act) => {
    const refusals: string[] = [];
    let told = Promise.withResolvers<void>();
    queue.on('needs-login', (payer) => {
      refusals.push(payer);
      told.resolve();
    });
    port.scripts.push(refuse, refuse);
    const { id } = await queue.enqueue(toBob);
    await told.promise;
    told = Promise.withResolvers();
    await act(id);
    await told.promise;
    expect(refusals).toEqual(['alpha/alice', 'alpha/alice']);
    expect(await queue.enqueue({ ...toBob, memo: 'later' })).toMatchObject({ state: 'needs-login' });
    await act(id);
    expect(await results(2)).toEqual(['done', 'later: done']);
  });

  it('goes on with a login that came while a send of the session before was refused', async () => {
    let waits = 0;
    queue.on('needs-login', () => (waits += 1));
    port.scripts.push((payments) => {
      port.wake('login');
      return refuse(payments);
    });
    const { id } = await queue.enqueue(toBob);
    expect(await results(1)).toEqual(['done']);
    expect(await queue.get(id)).toMatchObject({ state: 'done', attempts: 2 });
    expect(waits).toBe(0);
  });

  it('pauses at a refusal after a renewal of the session: that was its last chance', async () => {
    port.scripts.push((payments) => {
      port.wake('renewal');
      return refuse(payments);
    });
    const waiting = new Promise<string>((resolve) => queue.on('needs-login', resolve));
    await queue.enqueue(toBob);
    expect(await waiting).toBe('alpha/alice');
    port.wake('renewal');
    expect(await results(1)).toEqual(['done']);
  });

  it('holds a payer who logs out, and never sends in the name of another', async () => {
    port.isOffline = true;
    const { id } = await queue.enqueue(toBob);
    await queue.holdForLogin('alpha/alice');
    port.loggedIn.delete('alpha/alice');
    port.loggedIn.add('alpha/anna');
    port.current = 'alpha/anna';
    port.isOffline = false;
    port.wake('login');
    expect(await queue.flush()).toEqual({ pending: 1 });
    expect(await queue.get(id)).toMatchObject({ state: 'needs-login' });
    expect(port.messages).toEqual([]);
  });
});

describe('people at the queue', () => {
  it('see nothing that only the queue itself needs', async () => {
    const told = new Promise<object>((resolve) => queue.on('delivered', resolve));
    const queued = await queue.enqueue(toBob);
    const seen: object[] = [queued, await told, await queue.get(queued.id), ...(await queue.list())];
    for await (const result of queue.results({ follow: false, after: 0 })) seen.push(result);
    expect(seen).toHaveLength(5);
    for (const payment of seen) expect(payment).not.toHaveProperty('badAnswers');
  });

  it('refuse to drop what was sent without an answer; drop what was not', async () => {
    port.isOffline = true;
    const unsent = await queue.enqueue(toBob);
    expect(await queue.flush()).toMatchObject({ pending: 1, problem: { code: 'UNAVAILABLE' } });
    await queue.drop(unsent.id);

    port.isOffline = false;
    await reopen({ background: false });
    const sent = await queue.enqueue(toBob);
    port.scripts.push(lost);
    expect(await queue.flush()).toMatchObject({ pending: 1, problem: { code: 'UNAVAILABLE' } });
    await expect(queue.drop(sent.id)).rejects.toMatchObject({ code: 'QUEUE_MAY_BE_APPLIED' });
    await queue.flush();
    await expect(queue.retry(sent.id)).rejects.toMatchObject({ code: 'QUEUE_ENDED' });
    expect(await queue.list()).toMatchObject([{ id: sent.id, state: 'done' }]);
  });

  it('see each result at least once, over restarts, from where they acknowledged', async () => {
    for (const memo of ['a', 'b', 'c']) await queue.enqueue({ ...toBob, memo });
    await queue.flush();
    for await (const { resultSeq, memo } of queue.results()) {
      if (memo === 'b') break;
      await queue.acknowledge(resultSeq);
    }
    await reopen();
    const rest: string[] = [];
    for await (const { memo } of queue.results({ follow: false })) rest.push(memo);
    expect(rest).toEqual(['b', 'c']);
  });

  it('end a wait for results by closing the queue, or by their signal', async () => {
    const cancel = new AbortController();
    const cancelled = queue.results({ signal: cancel.signal }).next();
    const closed = queue.results().next();
    cancel.abort(new Error('enough'));
    await expect(cancelled).rejects.toThrow('enough');
    await queue.close();
    expect(await closed).toEqual({ done: true, value: undefined });
    await expect(queue.enqueue(toBob)).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
  });

  it('cancel a flush that hangs; the payment stays, as one that may have been applied', async () => {
    await reopen({ background: false });
    port.scripts.push((payments, _apply, signal) => new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(lost(payments)));
    }));
    const { id } = await queue.enqueue(toBob);
    const cancel = new AbortController();
    const flush = queue.flush({ signal: cancel.signal });
    while (port.messages.length === 0) await clock.sleep(1, cancel.signal);
    cancel.abort(new Error('enough'));
    await expect(flush).rejects.toThrow('enough');
    await reopen({ background: false });
    expect(await queue.get(id)).toMatchObject({ state: 'queued', unanswered: true });
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
