// The offline queue: whose payments it sends, and what a person can do with them.
import { describe, expect, it } from '@jest/globals';
import { AuthenticationError } from '../errors.ts';
import { clock, lost, port, queue, reopen, results, setUpQueue, toBob } from '../testing/queue-stage.ts';
import type { OutgoingPayment, SendResult } from './queue-port.ts';

setUpQueue();

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
