import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Status } from 'nice-grpc-common';
import { cancellation, clientClosed } from './budget.ts';
import {
  AuthenticationError, connect, eur, newTransferId, StrifeError,
  type ConnectOptions, type Session, type Strife, type TransferResult,
} from './index.ts';
import { hang, refusal, startTestGateway, TEST_PASSWORD, type Fault, type TestGateway } from './testing/index.ts';

const alice = { bank: 'alpha', username: 'alice', password: TEST_PASSWORD };
const toBob = { to: 'beta/bob', amount: eur('1.00') };
const POSTED_BEFORE = 10_000n;

let gateway: TestGateway;
let strife: Strife;
let cancel: AbortController;
const clients: Strife[] = [];

beforeEach(async () => {
  gateway = await startTestGateway();
  cancel = new AbortController();
  strife = await client();
  await strife.login(alice);
});

afterEach(async () => {
  for (const each of clients.splice(0)) await each.close();
  gateway.kill();
});

async function client(options: Partial<ConnectOptions> = {}): Promise<Strife> {
  const made = await connect({ gateways: [gateway.address], tls: gateway.tls, ...options });
  clients.push(made);
  return made;
}

const failureOf = (work: Promise<unknown>): Promise<StrifeError> =>
  work.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: StrifeError) => error,
  );

const posted = (): bigint | undefined => gateway.bank.accounts.get('beta/bob')?.posted;

/** The payment is applied, the answer never comes, and the caller gives up with that reason. */
function applyAndAbort(reason: unknown, controller = cancel): Fault {
  return async (proceed, context) => {
    await proceed();
    controller.abort(reason);
    return hang(proceed, context);
  };
}

/** What another payment ended with, before the one that is cancelled with it. */
const otherFailures: [string, () => Promise<StrifeError>][] = [
  ['declined', () => failureOf(strife.transfers.create({ to: 'beta/bob', amount: eur('1000.00') }))],
  ['unknown', async () => {
    gateway.failNext('createTransfer', hang);
    return failureOf(strife.transfers.create({ ...toBob, timeoutMs: 100 }));
  }],
  ['refused, the login being over', async () =>
    new AuthenticationError('log in again', { code: 'SESSION_ENDED', outcome: 'not_applied', transferId: newTransferId() })],
  ['not applied, its client being closed', async () =>
    new StrifeError('the client is closed', { code: 'CLOSED', outcome: 'not_applied', transferId: newTransferId() })],
  ['applied', async () => new StrifeError('done', { code: 'DONE', outcome: 'applied', transferId: newTransferId() })],
];

describe.each(otherFailures)('a payment that is cancelled with the error of another one, which was %s', (_how, otherFailure) => {
  it('is of unknown outcome when it was sent, under its own id, and settled once when asked for again', async () => {
    const reason = await otherFailure();
    const id = newTransferId();
    gateway.failNext('createTransfer', applyAndAbort(reason));
    const error = await failureOf(strife.transfers.create({ ...toBob, id, earlierSendsAnswered: true, signal: cancel.signal }));
    expect(error).toMatchObject({ name: 'OutcomeUnknownError', outcome: 'unknown', transferId: id, retryable: true, cause: { code: 'CANCELLED', cause: reason } });
    expect(await strife.transfers.create({ ...toBob, id })).toMatchObject({ id, state: 'succeeded', replayed: true });
    expect(posted()).toBe(POSTED_BEFORE + 100n);
  });

  it('is of unknown outcome in a message of many too, each under its own id', async () => {
    const reason = await otherFailure();
    const payments = [newTransferId(), newTransferId()].map((id) => ({ ...toBob, id, earlierSendsAnswered: true }));
    gateway.failNext('batchCreateTransfers', applyAndAbort(reason));
    const results = await strife.transfers.createMany(payments, { signal: cancel.signal });
    expect(results).toMatchObject(payments.map(({ id }) => ({ ok: false, error: { name: 'OutcomeUnknownError', outcome: 'unknown', transferId: id } })));
    const again: TransferResult[] = await strife.transfers.createMany(payments);
    expect(again).toMatchObject(payments.map(({ id }) => ({ ok: true, transfer: { id, replayed: true } })));
    expect(posted()).toBe(POSTED_BEFORE + 200n);
  });

  it('is of unknown outcome where the whole client is cancelled so', async () => {
    const reason = await otherFailure();
    const other = await client({ session: strife.session, signal: cancel.signal });
    gateway.failNext('createTransfer', applyAndAbort(reason));
    const id = newTransferId();
    const error = await failureOf(other.transfers.create({ ...toBob, id, earlierSendsAnswered: true }));
    expect(error).toMatchObject({ name: 'OutcomeUnknownError', outcome: 'unknown', transferId: id });
  });

  it('is not applied when it was not sent, under its own id', async () => {
    cancel.abort(await otherFailure());
    const id = newTransferId();
    const error = await failureOf(strife.transfers.create({ ...toBob, id, earlierSendsAnswered: true, signal: cancel.signal }));
    expect(error).toMatchObject({ name: 'StrifeError', code: 'CANCELLED', outcome: 'not_applied', transferId: id, retryable: true });
    expect(gateway.payments.map((payment) => payment.id)).not.toContain(id);
  });

  it('stays in the queue as one that may be applied, and is delivered once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'strife-cancellation-'));
    try {
      const reason = await otherFailure();
      const queue = { file: join(folder, 'queue.db') };
      const { session } = strife;
      const first = await client({ session, queue, signal: cancel.signal });
      gateway.failNext('createTransfer', applyAndAbort(reason));
      const { id } = await first.queue.enqueue(toBob);
      while ((await first.queue.get(id))?.state !== 'queued' || !cancel.signal.aborted) await new Promise((resolve) => setImmediate(resolve));
      await expect(first.queue.drop(id)).rejects.toMatchObject({ code: 'QUEUE_MAY_BE_APPLIED' });
      await first.close();
      const second = await client({ session, queue });
      for await (const result of second.queue.results({ after: 0 })) {
        expect(result).toMatchObject({ id, state: 'done', transfer: { replayed: true } });
        break;
      }
      expect(gateway.payments.at(-1)).toMatchObject({ id, earlierSendsAnswered: false });
      expect(posted()).toBe(POSTED_BEFORE + 100n);
      await second.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('an error that a caller cancels with, and that looks like the end of a session,', () => {
  const over = (): AuthenticationError => new AuthenticationError('over', { code: 'SESSION_REVOKED', outcome: 'not_applied' });

  it('does not end the session that is being renewed', async () => {
    const saved: (Session | undefined)[] = [];
    const other = await client({ session: strife.session, signal: cancel.signal, sessionStore: { save: (session) => void saved.push(session) } });
    gateway.bank.expireTokens();
    const cutOff = Promise.withResolvers<void>();
    gateway.failNext('refresh', (proceed, context) => applyAndAbort(over())(proceed, context).finally(cutOff.resolve));
    const error = await failureOf(other.transfers.create(toBob));
    expect(error).toMatchObject({ outcome: 'not_applied' });
    // The gateway has heard of it, so the renewal has ended here.
    await cutOff.promise;
    expect(other.session).toBeDefined();
    expect(saved.at(-1)).toMatchObject({ account: 'alpha/alice', refreshRequestId: expect.any(String) });
    const next = await client({ session: saved.at(-1) });
    expect(await next.balance()).toMatchObject({ account: 'alpha/alice' });
  });

  it('does not pass for a logout that went through', async () => {
    gateway.failNext('logout', async (proceed, context) => {
      cancel.abort(over());
      return hang(proceed, context);
    });
    await expect(strife.logout({ signal: cancel.signal })).rejects.toMatchObject({ code: 'SESSION_REVOKED' });
    expect(strife.session).toMatchObject({ account: 'alpha/alice' });
    expect(await strife.balance()).toMatchObject({ account: 'alpha/alice' });
  });
});

describe('a listener of the session that throws', () => {
  it('is its program\'s trouble, not that of the session or of a payment', async () => {
    const saved: (Session | undefined)[] = [];
    const other = await client({ session: strife.session, sessionStore: { save: (session) => void saved.push(session) } });
    const thrown: unknown[] = [];
    const real = queueMicrotask;
    const spy = jest.spyOn(globalThis, 'queueMicrotask').mockImplementation((work) =>
      real(() => {
        try {
          work();
        } catch (error) {
          thrown.push(error);
        }
      }),
    );
    try {
      const trouble = new AuthenticationError('of another client', { code: 'SESSION_REVOKED', outcome: 'not_applied' });
      other.onSession(() => {
        throw trouble;
      });
      gateway.bank.expireTokens();
      expect(await other.transfers.create(toBob)).toMatchObject({ state: 'succeeded' });
      expect(saved.at(-1)).toEqual(other.session);
      expect(thrown).toEqual([trouble]);
    } finally {
      spy.mockRestore();
    }
  });
});

describe('the reason of a signal', () => {
  const reasonOf = (reason: unknown): StrifeError => cancellation(AbortSignal.abort(reason));

  it('is taken as it is from a client that is closed, and from nobody else', () => {
    const own = clientClosed();
    expect(reasonOf(own)).toBe(own);
    const lookalike = new StrifeError(own.message, { code: 'CLOSED', outcome: 'not_applied', transferId: newTransferId() });
    for (const reason of [lookalike, new Error('no'), 'a text', 5, null, undefined]) {
      const error = reasonOf(reason);
      expect(error).toMatchObject({ code: 'CANCELLED', retryable: true });
      expect([error.outcome, error.transferId]).toEqual([undefined, undefined]);
    }
  });

  it('tells a payment that the client was closed, and under its own id what that means for it', async () => {
    gateway.failNext('createTransfer', async (proceed, context) => {
      await proceed();
      void strife.close();
      return hang(proceed, context);
    });
    const error = await failureOf(strife.transfers.create(toBob));
    expect(error).toMatchObject({ name: 'OutcomeUnknownError', outcome: 'unknown', cause: { code: 'CLOSED' } });
    expect(await failureOf(strife.transfers.create(toBob))).toMatchObject({ code: 'CLOSED' });
  });
});

it('a refusal of a gateway stays its word when the caller cancels afterwards', async () => {
  gateway.failNext('createTransfer', async () => {
    throw refusal(Status.FAILED_PRECONDITION, 'no', { reason: 'NO', outcome: 'NOT_APPLIED', retryable: 'false' });
  });
  const error = await failureOf(strife.transfers.create({ ...toBob, signal: cancel.signal }));
  cancel.abort(error);
  expect(error).toMatchObject({ code: 'NO', outcome: 'not_applied' });
});
