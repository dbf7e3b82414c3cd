import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Status } from 'nice-grpc-common';
import { TransferState } from '@strife/stubs/type';
import {
  connect,
  eur,
  newTransferId,
  type ConnectOptions,
  type NewTransfer,
  type StrifeError,
  type Strife,
} from './index.ts';
import { hang, refusal, startTestGateway, TEST_PASSWORD, type TestGateway } from './testing/index.ts';

const alice = { bank: 'alpha', username: 'alice', password: TEST_PASSWORD };
const toBob = { to: 'beta/bob', amount: eur('12.50') };

let gateway: TestGateway;
let strife: Strife;

beforeEach(async () => {
  gateway = await startTestGateway();
  strife = await loggedIn([gateway]);
});

afterEach(async () => {
  await strife.close();
  gateway.kill();
});

async function loggedIn(gateways: TestGateway[], options: Partial<ConnectOptions> = {}): Promise<Strife> {
  const { tls } = gateways[0]!;
  const client = await connect({ gateways: gateways.map(({ address }) => address), tls, ...options });
  await client.login(alice);
  return client;
}

/** So many milliseconds of a clock that stands still with this process, as it may on a busy machine. */
async function ticksOf(ms: number): Promise<'too late'> {
  for (let leftMs = ms; leftMs > 0; leftMs -= 50) await delay(50);
  return 'too late';
}

async function failureOf(transfer: NewTransfer & { timeoutMs?: number; signal?: AbortSignal }): Promise<StrifeError> {
  return strife.transfers.create(transfer).then(
    () => Promise.reject(new Error('the payment succeeded')),
    (error: StrifeError) => error,
  );
}

function posted(account: string): bigint | undefined {
  return gateway.bank.accounts.get(account)?.posted;
}

describe('one payment', () => {
  it('moves the money and tells what it did', async () => {
    const transfer = await strife.transfers.create({ ...toBob, memo: 'lunch' });
    expect(transfer).toMatchObject({
      from: 'alpha/alice',
      to: 'beta/bob',
      amount: eur('12.50'),
      memo: 'lunch',
      state: 'succeeded',
      replayed: false,
      decidedAt: expect.any(Date),
    });
    expect(transfer.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(posted('beta/bob')).toBe(11_250n);
  });

  it('is replayed, not repeated, under the same id', async () => {
    const id = newTransferId();
    await strife.transfers.create({ ...toBob, id });
    const again = await strife.transfers.create({ ...toBob, id: ` ${id.toUpperCase()} ` });
    expect(again).toMatchObject({ id, replayed: true, state: 'succeeded' });
    expect(posted('beta/bob')).toBe(11_250n);
  });

  it('throws a decline with its reason, and shows it afterwards', async () => {
    const error = await failureOf({ to: 'beta/bob', amount: eur('100.01') });
    expect(error).toMatchObject({
      name: 'TransferDeclinedError',
      code: 'TRANSFER_DECLINED',
      reason: 'insufficient_funds',
      outcome: 'not_applied',
      retryable: false,
    });
    const shown = await strife.transfers.get(error.transferId!);
    expect(shown).toMatchObject({ state: 'declined', declineReason: 'insufficient_funds' });
  });

  it('throws a conflict for a used id with other content', async () => {
    const { id } = await strife.transfers.create(toBob);
    const error = await failureOf({ ...toBob, id, amount: eur('12.51') });
    expect(error).toMatchObject({ name: 'ConflictError', code: 'TRANSFER_ID_REUSED', field: 'amount', transferId: id });
    expect(error.outcome).toBe('not_applied');
  });

  it.each<[string, Partial<NewTransfer>]>([
    ['amount', { amount: eur('0') }],
    ['amount', { amount: { currency: 'EUR', minorUnits: -1n } }],
    ['amount', { amount: { currency: 'EUR', minorUnits: 2n ** 63n } }],
    ['currency', { amount: { currency: 'eur', minorUnits: 1n } }],
    ['to', { to: 'bob' }],
    ['to', { to: 'beta/' }],
    ['to', { to: { bank: '', account: 'bob' } }],
    ['to', { to: `beta/${'b'.repeat(64)}` }],
    ['to', { to: { bank: 'b'.repeat(5_000_000), account: 'bob' } }],
    ['to', { to: 'beta/Bob' }],
    ['earlierSendsAnswered', { id: newTransferId(), earlierSendsAnswered: 'false' as unknown as boolean }],
    ['id', { id: 'not-a-uuid' }],
    ['memo', { memo: 'x'.repeat(141) }],
    ['memo', { memo: 5 as unknown as string }],
    ['amount', { amount: '12.50' as unknown as NewTransfer['amount'] }],
    ['to', { to: undefined as unknown as string }],
    ['wait', { wait: 'long' as 'settled' }],
    ['expiresAt', { expiresAt: new Date('never') }],
    ['expiresInMs', { expiresInMs: 0 }],
    ['expiresInMs', { expiresInMs: '1000' as unknown as number }],
    ['expiresInMs', { expiresInMs: 1000n as unknown as number }],
    ['expiresAt', { expiresAt: '2999-01-01' as unknown as Date }],
    ['expiresAt', { expiresAt: 32_503_680_000_000 as unknown as Date }],
    ['memo', { memo: ['lunch'] as unknown as string }],
    ['amount', { amount: { currency: 'EUR', minorUnits: 100 } as unknown as NewTransfer['amount'] }],
    ['expiresInMs', { expiresInMs: 1, expiresAt: new Date() }],
  ])('refuses a bad %s before anything is sent', async (field, change) => {
    const error = await failureOf({ ...toBob, ...change });
    expect(error).toMatchObject({ name: 'InvalidArgumentError', field, outcome: 'not_applied', retryable: false });
    expect(gateway.calls).not.toContain('createTransfer');
  });

  it('takes names as long as gateways take them', async () => {
    const longest = 'b'.repeat(63);
    expect(await failureOf({ ...toBob, to: `beta/${longest}` })).toMatchObject({ name: 'TransferDeclinedError', reason: 'no_such_payee' });
    expect(gateway.payments).toMatchObject([{ to: { bank: 'beta', account: longest } }]);
  });

  it('refuses what is no payment at all', async () => {
    expect(await failureOf(undefined as unknown as NewTransfer)).toMatchObject({ name: 'InvalidArgumentError', field: 'transfer' });
    const none = strife.transfers.createMany(toBob as unknown as NewTransfer[]);
    await expect(none).rejects.toMatchObject({ name: 'InvalidArgumentError', field: 'transfers', outcome: 'not_applied' });
  });

  it('names the field that the gateway names', async () => {
    gateway.failNext('createTransfer', async () => {
      throw refusal(Status.INVALID_ARGUMENT, 'no such bank', {
        reason: 'UNKNOWN_BANK',
        field: 'to.bank',
        outcome: 'NOT_APPLIED',
        request_id: 'r-1',
      });
    });
    expect(await failureOf(toBob)).toMatchObject({
      name: 'InvalidArgumentError',
      code: 'UNKNOWN_BANK',
      message: 'no such bank',
      field: 'to.bank',
      requestId: 'r-1',
      outcome: 'not_applied',
    });
  });

  it('needs a login', async () => {
    await strife.logout();
    const error = await failureOf(toBob);
    expect(error).toMatchObject({ name: 'AuthenticationError', code: 'NOT_LOGGED_IN', outcome: 'not_applied' });
  });
});

describe('a payment that does not go through at once', () => {
  it('is sent again under the same id when the gateway says that it may be', async () => {
    gateway.failNext('createTransfer', async () => {
      throw refusal(Status.UNAVAILABLE, 'bank beta is down', { reason: 'BANK_UNAVAILABLE', outcome: 'NOT_APPLIED', retryable: 'true' });
    });
    const transfer = await strife.transfers.create(toBob);
    expect(transfer.state).toBe('succeeded');
    expect(gateway.calls.filter((call) => call === 'createTransfer')).toHaveLength(2);
    expect(gateway.payments.map(({ id }) => id)).toEqual([transfer.id]);
  });

  it('is asked for again when the answer was lost after the money moved', async () => {
    gateway.failNext('createTransfer', async (proceed) => {
      await proceed();
      throw refusal(Status.INTERNAL, 'lost', { reason: 'INTERNAL', outcome: 'UNKNOWN', retryable: 'false' });
    });
    expect(await strife.transfers.create(toBob)).toMatchObject({ state: 'succeeded', replayed: true });
    expect(posted('alpha/alice')).toBe(8_750n);
  });

  it('is asked for again while it is pending', async () => {
    gateway.failNext('createTransfer', async (proceed) => {
      const response = (await proceed()) as { transfer: object };
      return { transfer: { ...response.transfer, state: TransferState.PENDING, decidedAtUnixMs: 0n } };
    });
    expect(await strife.transfers.create(toBob)).toMatchObject({ state: 'succeeded', replayed: true });
  });

  it('is not sent again when the gateway refuses for good', async () => {
    gateway.failNext('createTransfer', async () => {
      throw refusal(Status.FAILED_PRECONDITION, 'no', { reason: 'NO', outcome: 'NOT_APPLIED', retryable: 'false' });
    });
    expect(await failureOf(toBob)).toMatchObject({ code: 'NO', outcome: 'not_applied' });
    expect(gateway.calls.filter((call) => call === 'createTransfer')).toHaveLength(1);
  });

  it('ends as "not applied", within its deadline, while a bank stays down', async () => {
    const down = async (): Promise<never> => {
      throw refusal(Status.UNAVAILABLE, 'bank beta is down', { reason: 'BANK_UNAVAILABLE', outcome: 'NOT_APPLIED', retryable: 'true' });
    };
    for (let i = 0; i < 50; i++) gateway.failNext('createTransfer', down);
    const error = await Promise.race([failureOf({ ...toBob, timeoutMs: 1500 }), ticksOf(1900)]);
    expect(error).toMatchObject({ name: 'UnavailableError', code: 'BANK_UNAVAILABLE', outcome: 'not_applied', retryable: true });
    expect(gateway.calls.filter((call) => call === 'createTransfer').length).toBeGreaterThan(1);
  });

  it.each(['REVOCATIONS_STALE', 'INTENTIONS_UNKNOWN', 'A_REASON_OF_A_LATER_RELEASE'])(
    'takes "not applied" from a gateway that turns payments away for the send that it turned away, and for no earlier one: %s', async (reason) => {
    const stale = async (): Promise<never> => {
      throw refusal(Status.UNAVAILABLE, 'not here, not now', { reason, outcome: 'NOT_APPLIED', retryable: 'true' });
    };
    for (let i = 0; i < 50; i++) gateway.failNext('createTransfer', stale);
    expect(await failureOf({ ...toBob, timeoutMs: 1500 })).toMatchObject({ code: reason, outcome: 'not_applied' });
    gateway.heal();
    gateway.failNext('createTransfer', async (proceed) => {
      await proceed();
      throw refusal(Status.UNAVAILABLE, 'lost', { reason: 'LOST', outcome: 'UNKNOWN', retryable: 'true' });
    });
    for (let i = 0; i < 50; i++) gateway.failNext('createTransfer', stale);
    expect(await failureOf({ ...toBob, timeoutMs: 300 })).toMatchObject({ name: 'OutcomeUnknownError', outcome: 'unknown' });
  });

  it('does not take "not applied" from a gateway that turns an id of the caller\'s away, which may have been sent before', async () => {
    const stale = async (): Promise<never> => {
      throw refusal(Status.UNAVAILABLE, 'not here, not now', { reason: 'REVOCATIONS_STALE', outcome: 'NOT_APPLIED', retryable: 'true' });
    };
    for (let i = 0; i < 50; i++) gateway.failNext('createTransfer', stale);
    const payment = { ...toBob, id: newTransferId(), timeoutMs: 1500 };
    expect(await failureOf(payment)).toMatchObject({ name: 'UnavailableError', code: 'REVOCATIONS_STALE', outcome: 'unknown' });
    expect(await failureOf({ ...payment, earlierSendsAnswered: true })).toMatchObject({ code: 'REVOCATIONS_STALE', outcome: 'not_applied' });
  });

  it('ends as "unknown" when the gateway never answers', async () => {
    gateway.failNext('createTransfer', hang);
    const error = await failureOf({ ...toBob, timeoutMs: 300 });
    expect(error).toMatchObject({ name: 'OutcomeUnknownError', code: 'OUTCOME_UNKNOWN', outcome: 'unknown', retryable: true });
    expect(error.transferId).toMatch(/-7/);
  });

  it('ends as "unknown" when the gateway dies with the payment in its hands', async () => {
    gateway.failNext('createTransfer', async (proceed, context) => {
      gateway.kill();
      return hang(proceed, context);
    });
    expect(await failureOf({ ...toBob, timeoutMs: 300 })).toMatchObject({ outcome: 'unknown' });
  });

  it('ends as "not applied" when no gateway can be reached', async () => {
    gateway.kill();
    const { session } = strife;
    await strife.close();
    strife = await connect({ gateways: [gateway.address], tls: gateway.tls, session });
    const error = await failureOf({ ...toBob, timeoutMs: 300 });
    expect(error).toMatchObject({ name: 'UnavailableError', code: 'UNAVAILABLE', outcome: 'not_applied', retryable: true });
    expect(error.message).toContain(gateway.address);
  });

  it('outlives a restart of its gateway', async () => {
    const { authority, bank, port } = gateway;
    let restarted: Promise<TestGateway> | undefined;
    gateway.failNext('createTransfer', async (proceed, context) => {
      await proceed();
      gateway.kill();
      restarted = startTestGateway({ authority, bank, port });
      return hang(proceed, context);
    });
    const transfer = await strife.transfers.create(toBob);
    expect(transfer).toMatchObject({ state: 'succeeded', replayed: true });
    gateway = await restarted!;
  });

  it('is not taken back by cancelling it, and says so', async () => {
    const cancel = new AbortController();
    gateway.failNext('createTransfer', async (proceed, context) => {
      await proceed();
      cancel.abort();
      return hang(proceed, context);
    });
    expect(await failureOf({ ...toBob, signal: cancel.signal })).toMatchObject({ outcome: 'unknown' });
    expect(posted('beta/bob')).toBe(11_250n);
  });

  it('is not sent when it was cancelled before', async () => {
    const error = await failureOf({ ...toBob, signal: AbortSignal.abort() });
    expect(error).toMatchObject({ code: 'CANCELLED', outcome: 'not_applied' });
    expect(gateway.calls).not.toContain('createTransfer');
  });
});

describe('with two gateways', () => {
  let second: TestGateway;
  let both: Strife;

  beforeEach(async () => {
    const { authority, bank } = gateway;
    second = await startTestGateway({ authority, bank });
    both = await loggedIn([gateway, second]);
  });

  afterEach(async () => {
    await both.close();
    second.kill();
  });

  it('leaves a dead one for the live one, under the same id', async () => {
    const pair = [gateway, second];
    let hit: TestGateway | undefined;
    for (const one of pair) {
      one.failNext('createTransfer', async (proceed, context) => {
        await proceed();
        for (const each of pair) each.heal();
        hit = one;
        one.kill();
        return hang(proceed, context);
      });
    }
    const transfer = await both.transfers.create(toBob);
    expect(transfer).toMatchObject({ state: 'succeeded', replayed: true });
    const live = pair.find((one) => one !== hit)!;
    expect(live.payments.map(({ id }) => id)).toEqual([transfer.id]);
    expect(posted('beta/bob')).toBe(11_250n);
  });

  it('stays with the one that works', async () => {
    gateway.kill();
    await both.transfers.create(toBob);
    await both.transfers.create(toBob);
    expect(second.payments).toHaveLength(2);
  });

  it('asks another one when the first refuses for now', async () => {
    const refused: TestGateway[] = [];
    for (const one of [gateway, second]) {
      one.failNext('createTransfer', async () => {
        for (const each of [gateway, second]) each.heal();
        refused.push(one);
        throw refusal(Status.RESOURCE_EXHAUSTED, 'queue full', { reason: 'OVERLOADED', outcome: 'NOT_APPLIED', retryable: 'true' });
      });
    }
    expect(await both.transfers.create(toBob)).toMatchObject({ state: 'succeeded' });
    const other = refused[0] === gateway ? second : gateway;
    expect([refused.length, other.payments.length]).toEqual([1, 1]);
  });
});

it('explains a payment step by step, with what it does not know left out and what a newer gateway says kept', async () => {
  const { id, createdAt } = await strife.transfers.create(toBob);
  const { transfer, events, missing } = await strife.transfers.explain(id);
  expect(transfer).toMatchObject({ id, state: 'succeeded', to: 'beta/bob' });
  expect(events).toEqual([
    { at: createdAt, place: 'gateway test', kind: 'attempt', attempt: 1, detail: 'asks both banks' },
    { place: 'gateway test', kind: 'other', detail: 'something new' },
  ]);
  expect(missing).toEqual([{ place: 'bank beta', detail: 'bank beta cannot be reached' }]);
  await expect(strife.transfers.explain(newTransferId())).rejects.toMatchObject({ name: 'NotFoundError', code: 'NO_SUCH_TRANSFER' });
});

it('says that there is no transfer under an id', async () => {
  await expect(strife.transfers.get(newTransferId())).rejects.toMatchObject({ name: 'NotFoundError', code: 'NO_SUCH_TRANSFER', field: 'id' });
  await expect(strife.transfers.get('x')).rejects.toMatchObject({ name: 'InvalidArgumentError', field: 'id' });
});
