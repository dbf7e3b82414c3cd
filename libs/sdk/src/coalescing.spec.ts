import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Status } from 'nice-grpc-common';
import { connect, eur, newTransferId, type ConnectOptions, type NewTransfer, type Strife } from './index.ts';
import { hang, refusal, startTestGateway, TEST_PASSWORD, type Fault, type TestGateway } from './testing/index.ts';

const toBob: NewTransfer = { to: 'beta/bob', amount: eur('0.01') };
const toAnna: NewTransfer = { to: 'alpha/anna', amount: eur('0.01') };

let gateway: TestGateway;
let strife: Strife;

beforeEach(async () => {
  gateway = await startTestGateway();
  strife = await client();
});

afterEach(async () => {
  await strife.close();
  gateway.kill();
});

async function client(options: Partial<ConnectOptions> = {}): Promise<Strife> {
  const made = await connect({ gateways: [gateway.address], tls: gateway.tls, ...options });
  await made.login({ bank: 'alpha', username: 'alice', password: TEST_PASSWORD });
  return made;
}

const sends = (): string[] => gateway.calls.filter((call) => call.endsWith('Transfer') || call.endsWith('Transfers'));
const payments = (count: number, transfer: NewTransfer = toBob): Promise<unknown>[] =>
  Array.from({ length: count }, () => strife.transfers.create({ ...transfer }));

/** Holds back the answers that it is used for. */
function held(): { fault: Fault; met: Promise<void>; release: () => void } {
  const met = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const fault: Fault = async (proceed) => {
    met.resolve();
    await released.promise;
    return proceed();
  };
  return { fault, met: met.promise, release: () => released.resolve() };
}

describe('payments made at once', () => {
  it('travel in one message, each with its own answer', async () => {
    const results = await Promise.allSettled([...payments(50), strife.transfers.create({ ...toBob, amount: eur('999') }), ...payments(50)]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(100);
    expect(results[50]).toMatchObject({ status: 'rejected', reason: { name: 'TransferDeclinedError', outcome: 'not_applied' } });
    expect(sends()).toEqual(['batchCreateTransfers']);
  });

  it('go alone when there is one, and where gathering is switched off', async () => {
    await strife.transfers.create(toBob);
    await using alone = await client({ coalesce: false });
    await Promise.all([alone.transfers.create(toBob), alone.transfers.create(toBob), alone.transfers.create(toBob)]);
    expect(sends()).toEqual(['createTransfer', 'createTransfer', 'createTransfer', 'createTransfer']);
  });

  it('gather while messages are under way, and go when one is answered', async () => {
    const [first, second] = [held(), held()];
    gateway.failNext('createTransfer', first.fault);
    gateway.failNext('createTransfer', second.fault);
    const early = [...payments(1)];
    await first.met;
    early.push(...payments(1));
    await second.met;
    const gathered = [...payments(10), ...payments(10)];
    first.release();
    await Promise.all(gathered);
    expect(sends()).toEqual(['createTransfer', 'createTransfer', 'batchCreateTransfers']);
    second.release();
    await Promise.all(early);
  });

  it('are no more than a message may hold', async () => {
    await Promise.all(payments(1_700));
    expect(sends()).toEqual(['batchCreateTransfers', 'batchCreateTransfers']);
    expect(gateway.payments).toHaveLength(1_700);
  });
});

it('takes lists of many thousands', async () => {
  const results = await strife.transfers.createMany(Array.from({ length: 12_000 }, () => ({ ...toBob, to: 'beta/nobody' })));
  expect(results).toHaveLength(12_000);
  expect(results.every((result) => !result.ok && result.error.code === 'TRANSFER_DECLINED')).toBe(true);
}, 60_000);

describe('one slow payment holds up no other', () => {
  it('whose bank is slow', async () => {
    const slow = gateway.slowDown('beta');
    let isSlowDone = false;
    const waiting = Promise.all(payments(3)).then(() => (isSlowDone = true));
    await Promise.all(payments(20, toAnna));
    expect(isSlowDone).toBe(false);
    slow.release();
    await waiting;
  });

  it('that waits in its own bank for long: the next ones go past it', async () => {
    gateway.failNext('createTransfer', hang);
    gateway.failNext('createTransfer', hang);
    const cancel = new AbortController();
    const stick = async (): Promise<void> => {
      const payment = strife.transfers.create({ ...toBob, signal: cancel.signal });
      await expect(payment).rejects.toMatchObject({ outcome: 'unknown' });
    };
    const stuck = [stick()];
    await strife.balance();
    stuck.push(stick());
    await strife.balance();
    await Promise.all(payments(5));
    cancel.abort();
    await Promise.all(stuck);
  });

  it('that has to be repeated', async () => {
    const again = held();
    gateway.failNext('createTransfer', async () => {
      throw refusal(Status.UNAVAILABLE, 'later', { reason: 'BANK_UNAVAILABLE', outcome: 'NOT_APPLIED', retryable: 'true' });
    });
    gateway.failNext('createTransfer', again.fault);
    const repeated = strife.transfers.create(toBob);
    await again.met;
    await Promise.all(payments(10));
    again.release();
    expect(await repeated).toMatchObject({ state: 'succeeded' });
  });
});

describe('a payment in a message with others', () => {
  it('has its own time', async () => {
    const slow = gateway.slowDown('beta');
    const others = Promise.all(payments(5));
    const hasty = strife.transfers.create({ ...toBob, timeoutMs: 150 });
    await expect(hasty).rejects.toMatchObject({ name: 'OutcomeUnknownError', outcome: 'unknown', transferId: expect.any(String) });
    slow.release();
    expect(await others).toHaveLength(5);
    expect(sends()).toEqual(['batchCreateTransfers']);
  });

  it('has its own signal', async () => {
    const slow = gateway.slowDown('beta');
    const cancel = new AbortController();
    const others = Promise.all(payments(5));
    const cancelled = strife.transfers.create({ ...toBob, signal: cancel.signal });
    gateway.failNext('getAccount', async (proceed) => {
      cancel.abort();
      return proceed();
    });
    await strife.balance();
    await expect(cancelled).rejects.toMatchObject({ outcome: 'unknown' });
    slow.release();
    expect(await others).toHaveLength(5);
  });

  it('is not sent when it is cancelled while it gathers', async () => {
    const slow = gateway.slowDown('beta');
    const stuck = Promise.all([...payments(1), strife.balance()]).then(async ([first]) => first);
    await strife.balance();
    const also = payments(1);
    await strife.balance();
    const cancel = new AbortController();
    const gathered = strife.transfers.create({ ...toBob, memo: 'never', signal: cancel.signal });
    cancel.abort();
    await expect(gathered).rejects.toMatchObject({ code: 'CANCELLED', outcome: 'not_applied' });
    slow.release();
    await Promise.all([stuck, ...also]);
    expect(gateway.payments.map(({ memo }) => memo)).not.toContain('never');
  });

  it('ends with the client', async () => {
    gateway.slowDown('beta');
    const all = payments(5).map((payment) => expect(payment).rejects.toMatchObject({ outcome: 'unknown' }));
    await strife.balance();
    await strife.close();
    await Promise.all(all);
  });
});

describe('a payment that expires', () => {
  it('carries its time, and is declined by the bank after it', async () => {
    const before = Date.now();
    await strife.transfers.create({ ...toBob, expiresInMs: 60_000 });
    expect(Number(gateway.payments[0]?.expiresAtUnixMs)).toBeGreaterThanOrEqual(before + 60_000);
    const late = strife.transfers.create({ ...toBob, expiresAt: new Date(before - 1) });
    await expect(late).rejects.toMatchObject({ name: 'TransferDeclinedError', reason: 'expired', outcome: 'not_applied' });
  });
});

it('says of an id whether earlier sends may be without an answer', async () => {
  await strife.transfers.create(toBob);
  await strife.transfers.create({ ...toBob, id: newTransferId() });
  await strife.transfers.create({ ...toBob, id: newTransferId(), earlierSendsAnswered: true });
  expect(gateway.payments.map(({ earlierSendsAnswered }) => earlierSendsAnswered)).toEqual([true, false, true]);
});
