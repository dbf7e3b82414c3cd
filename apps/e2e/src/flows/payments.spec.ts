// Payments through real processes: what moves, what is answered again, what is refused, and that money is never made or lost.

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ConflictError, newTransferId, NotFoundError, TransferDeclinedError } from '@strife/sdk';
import type { Entry, NewTransfer, Transfer } from '@strife/sdk';
import { AdminServiceDefinition } from '@strife/stubs/bank';
import { AccountServiceDefinition, TransferServiceDefinition, WaitFor } from '@strife/stubs/gateway';
import { expectCleanBooks } from '../support/books.ts';
import { bearer } from '../support/callers.ts';
import { failureOf, refusalOf } from '../support/refusal.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { Person, TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startTestCluster();
}, 60_000);
afterAll(() => cluster?.end());

const eur = (minorUnits: bigint) => ({ currency: 'EUR', minorUnits });

function two(from = 'alpha', to = 'beta'): Promise<[Person, Person]> {
  return Promise.all([cluster.person(from), cluster.person(to)]);
}

async function entries(person: Person, pageSize?: number): Promise<Entry[]> {
  return all(person.strife.history(pageSize === undefined ? {} : { pageSize }));
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function operator(bank: string) {
  return cluster.callers.client(AdminServiceDefinition, cluster.service(bank).address, 'operator/root');
}

describe.each([
  ['across banks', 'alpha', 'beta'],
  ['inside one bank', 'alpha', 'alpha'],
])('a payment %s', (_where, from, to) => {
  it('moves the money once, and both sides see it with its memo', async () => {
    const [payer, payee] = await two(from, to);
    const id = newTransferId();
    const transfer = await payer.strife.transfers.create({ id, to: payee.account, amount: eur(1250n), memo: 'lunch ☕' });
    expect(transfer).toMatchObject({
      id, from: payer.account, to: payee.account, amount: eur(1250n), memo: 'lunch ☕', state: 'succeeded', replayed: false,
    });
    expect(transfer.decidedAt!.getTime()).toBeGreaterThanOrEqual(transfer.createdAt.getTime());

    expect(await payer.strife.balance()).toEqual({ account: payer.account, posted: eur(98_750n), held: eur(0n), available: eur(98_750n) });
    expect(await payee.strife.balance()).toEqual({ account: payee.account, posted: eur(101_250n), held: eur(0n), available: eur(101_250n) });
    const [out] = await entries(payer);
    const [into] = await entries(payee);
    expect(out).toMatchObject({ transferId: id, counterparty: payee.account, amount: eur(-1250n), posted: eur(98_750n), memo: 'lunch ☕' });
    expect(into).toMatchObject({ transferId: id, counterparty: payer.account, amount: eur(1250n), posted: eur(101_250n), memo: 'lunch ☕' });
  });

  it('is answered again under the same id, and not made again', async () => {
    const [payer, payee] = await two(from, to);
    const payment: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(300n), memo: 'once' };
    const first = await payer.strife.transfers.create(payment);
    for (let repetition = 0; repetition < 3; repetition += 1) {
      const again = await payer.strife.transfers.create(payment);
      expect(again).toMatchObject({ ...first, replayed: true, createdAt: expect.any(Date), decidedAt: expect.any(Date) });
    }
    // An id is the same however its letters are typed.
    expect(await payer.strife.transfers.create({ ...payment, id: payment.id!.toUpperCase() })).toMatchObject({ id: payment.id, replayed: true });
    expect([await payer.posted(), await payee.posted()]).toEqual([99_700n, 100_300n]);
    expect(await entries(payer)).toHaveLength(2);
  });

  it('happens once when it is asked for many times at once', async () => {
    const [payer, payee] = await two(from, to);
    const payment: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(100n) };
    const answers = await Promise.all(Array.from({ length: 20 }, () => payer.strife.transfers.create(payment)));
    expect(answers.map(({ state }) => state)).toEqual(new Array(20).fill('succeeded'));
    expect([await payer.posted(), await payee.posted()]).toEqual([99_900n, 100_100n]);
  });

  it.each<[field: string, change: (other: Person) => Partial<NewTransfer>]>([
    ['to', (other) => ({ to: other.account })],
    ['amount.currency', () => ({ amount: { currency: 'USD', minorUnits: 500n } })],
    ['amount.minor_units', () => ({ amount: eur(501n) })],
    ['memo', () => ({ memo: 'another' })],
  ])('refuses its id for a payment that differs in %s, naming the field', async (field, change) => {
    const [payer, payee] = await two(from, to);
    const other = await cluster.person(to);
    const payment: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(500n), memo: 'one' };
    await payer.strife.transfers.create(payment);
    const error = await failureOf(payer.strife.transfers.create({ ...payment, ...change(other) }), ConflictError);
    expect(error).toMatchObject({ code: 'ID_TAKEN', field, outcome: 'not_applied', retryable: false, transferId: payment.id });
    expect(error.message).toContain(field);
    expect([await payer.posted(), await payee.posted(), await other.posted()]).toEqual([99_500n, 100_500n, 100_000n]);
  });

  it('tells another payer under the same id only that the id is taken', async () => {
    const [payer, payee] = await two(from, to);
    const stranger = await cluster.person(from);
    const payment: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(777n), memo: 'private' };
    await payer.strife.transfers.create(payment);
    for (const attempt of [payment, { ...payment, amount: eur(1n), memo: '' }]) {
      const error = await failureOf(stranger.strife.transfers.create(attempt), ConflictError);
      expect(error).toMatchObject({ code: 'ID_TAKEN', field: 'id', message: 'id: taken by another transfer', outcome: 'not_applied' });
    }
    await failureOf(stranger.strife.transfers.get(payment.id!), NotFoundError);
    expect([await payer.posted(), await payee.posted(), await stranger.posted()]).toEqual([99_223n, 100_777n, 100_000n]);
  });

  it('is found by its payer and its payee, and listed for its payer', async () => {
    const [payer, payee] = await two(from, to);
    const made: Transfer[] = [];
    for (const minorUnits of [1n, 2n, 3n]) made.push(await payer.strife.transfers.create({ to: payee.account, amount: eur(minorUnits) }));
    for (const { id, amount } of made) {
      for (const { strife } of [payer, payee]) {
        expect(await strife.transfers.get(id)).toMatchObject({ id, from: payer.account, to: payee.account, amount, state: 'succeeded' });
      }
    }
    const listed = await all(payer.strife.transfers.list({ pageSize: 2 }));
    expect(listed.map(({ id }) => id)).toEqual(made.map(({ id }) => id).reverse());
    expect(await all(payee.strife.transfers.list())).toEqual([]);
  });
});

describe('an id that others try too', () => {
  it.each(['alpha', 'beta'])('still answers with the payment that was made inside a bank under it, after a stranger at %s tried it', async (bank) => {
    const [payer, payee] = await two('alpha', 'alpha');
    const stranger = await cluster.person(bank);
    const payment: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(400n) };
    await payer.strife.transfers.create(payment);
    const far = await cluster.person('beta');
    const attempt = { id: payment.id!, to: bank === 'alpha' ? far.account : payer.account, amount: eur(1n) };
    expect(await failureOf(stranger.strife.transfers.create(attempt), ConflictError)).toMatchObject({ field: 'id' });
    expect(await payer.strife.transfers.create(payment)).toMatchObject({ state: 'succeeded', replayed: true, amount: eur(400n) });
    expect(await failureOf(stranger.strife.transfers.create(attempt), ConflictError)).toMatchObject({ field: 'id' });
    expect([await payer.posted(), await payee.posted(), await stranger.posted()]).toEqual([99_600n, 100_400n, 100_000n]);
  });

  it('still answers with what it was used for first, after its payer used it for something else', async () => {
    const [payer, payee] = await two('alpha', 'alpha');
    const far = await cluster.person('beta');
    const made: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(400n) };
    const declined: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(400_000n) };
    await payer.strife.transfers.create(made);
    await failureOf(payer.strife.transfers.create(declined), TransferDeclinedError);
    for (const first of [made, declined]) {
      const error = await failureOf(payer.strife.transfers.create({ ...first, to: far.account }), ConflictError);
      expect(error).toMatchObject({ field: 'to', outcome: 'not_applied' });
    }
    expect(await payer.strife.transfers.create(made)).toMatchObject({ state: 'succeeded', replayed: true });
    expect(await failureOf(payer.strife.transfers.create(declined), TransferDeclinedError)).toMatchObject({ reason: 'insufficient_funds', transfer: { replayed: true } });
    expect([await payer.posted(), await payee.posted(), await far.posted()]).toEqual([99_600n, 100_400n, 100_000n]);
  });
});

describe('declines', () => {
  interface Cause {
    readonly reason: string;
    /** Makes the payment fail; returns how to take the cause away, if that can be done. */
    readonly arrange: (payer: Person, payee: Person) => Promise<{ payment: Partial<NewTransfer>; undo: (() => Promise<unknown>) | undefined }>;
  }

  const frozen = (who: 'payer' | 'payee'): Cause => ({
    reason: `${who}_frozen`,
    async arrange(payer, payee) {
      const { bank, name } = who === 'payer' ? payer : payee;
      const admin = await operator(bank);
      await admin.freezeAccount({ account: name, frozen: true });
      return { payment: {}, undo: () => admin.freezeAccount({ account: name, frozen: false }) };
    },
  });

  const causes: Cause[] = [
    {
      reason: 'insufficient_funds',
      async arrange(payer) {
        const admin = await operator(payer.bank);
        const undo = () => admin.deposit({ id: newTransferId(), account: payer.name, amount: eur(1_000_000n) });
        return { payment: { amount: eur(100_001n) }, undo };
      },
    },
    {
      reason: 'no_such_payee',
      async arrange(_payer, payee) {
        const admin = await operator(payee.bank);
        const username = `late-${newTransferId()}`;
        const undo = () => admin.openAccount({ username, password: 'late', currency: 'EUR', openingMinor: 0n });
        return { payment: { to: `${payee.bank}/${username}` }, undo };
      },
    },
    frozen('payer'),
    frozen('payee'),
    {
      reason: 'payer_currency',
      async arrange(_payer, { bank }) {
        const { account } = await cluster.person(bank, { currency: 'USD' });
        return { payment: { to: account, amount: { currency: 'USD', minorUnits: 1n } }, undo: undefined };
      },
    },
  ];

  describe.each([['across banks', 'beta'], ['inside one bank', 'alpha']])('%s', (_where, to) => {
    it.each(causes.map((cause) => [cause.reason, cause] as const))('%s is for ever: the id gets the same answer after the cause is gone', async (reason, cause) => {
      const [payer, payee] = await two('alpha', to);
      const { payment, undo } = await cause.arrange(payer, payee);
      const asked: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(100n), ...payment };
      const first = await failureOf(payer.strife.transfers.create(asked), TransferDeclinedError);
      expect(first).toMatchObject({ reason, outcome: 'not_applied', retryable: false, transferId: asked.id, transfer: { state: 'declined', replayed: false } });
      await undo?.();
      // On a busy machine the payer's bank hears of the decline a moment after the answer.
      while ((await all(payer.strife.transfers.list())).length === 0 || (await payer.strife.balance()).held.minorUnits > 0n) await delay(20);
      const before = [await payer.strife.balance(), await payee.strife.balance()];

      const again = await failureOf(payer.strife.transfers.create(asked), TransferDeclinedError);
      expect(again).toMatchObject({ reason, transfer: { state: 'declined', declineReason: reason, replayed: true } });
      expect(await payer.strife.transfers.get(asked.id!)).toMatchObject({ state: 'declined', declineReason: reason });
      expect((await all(payer.strife.transfers.list())).map(({ id }) => id)).toEqual([asked.id]);
      expect([await payer.strife.balance(), await payee.strife.balance()]).toEqual(before);
      expect(before.map(({ held }) => held.minorUnits)).toEqual([0n, 0n]);

      if (undo === undefined) return;
      // It was the id that was declined, not the payment.
      expect(await payer.strife.transfers.create({ ...asked, id: newTransferId() })).toMatchObject({ state: 'succeeded' });
    });

    it('declines a payee whose account is in another currency, and holds nothing', async () => {
      const payer = await cluster.person('alpha');
      const payee = await cluster.person(to, { currency: 'USD' });
      const asked: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(100n) };
      for (let time = 0; time < 2; time += 1) {
        expect(await failureOf(payer.strife.transfers.create(asked), TransferDeclinedError)).toMatchObject({ reason: 'payee_currency' });
      }
      expect(await payer.strife.balance()).toMatchObject({ posted: eur(100_000n), held: eur(0n) });
      expect(await payee.posted()).toBe(100_000n);
    });
  });

  it('declines what would pass the most that an account can hold', async () => {
    const rich = await cluster.person('beta', { currency: 'KWD', openingMinor: 9n * 10n ** 18n });
    const payer = await cluster.person('alpha', { currency: 'KWD' });
    const error = await failureOf(payer.strife.transfers.create({ to: rich.account, amount: { currency: 'KWD', minorUnits: 1n } }), TransferDeclinedError);
    expect(error.reason).toBe('limit_exceeded');
    expect([await payer.posted(), await rich.posted()]).toEqual([100_000n, 9n * 10n ** 18n]);
  });

  it('spends the last cent and not one more', async () => {
    const [payer, payee] = await two();
    const results = await payer.strife.transfers.createMany(Array.from({ length: 5 }, () => ({ to: payee.account, amount: eur(30_000n) })));
    expect(results.filter(({ ok }) => ok)).toHaveLength(3);
    await payer.strife.transfers.create({ to: payee.account, amount: eur(10_000n) });
    expect((await failureOf(payer.strife.transfers.create({ to: payee.account, amount: eur(1n) }), TransferDeclinedError)).reason).toBe('insufficient_funds');
    expect([await payer.posted(), await payee.posted()]).toEqual([0n, 200_000n]);
  });
});

describe('a batch', () => {
  it('gives each payment its own result, in order', async () => {
    const [payer, payee] = await two();
    const near = await cluster.person('alpha');
    const taken = newTransferId();
    await payer.strife.transfers.create({ id: taken, to: payee.account, amount: eur(1n) });
    const results = await payer.strife.transfers.createMany([
      { to: payee.account, amount: eur(10n) },
      { to: payee.account, amount: eur(999_999n) },
      { to: near.account, amount: eur(20n) },
      { to: 'nowhere/nobody', amount: eur(1n) },
      { id: taken, to: payee.account, amount: eur(1n) },
      { id: taken, to: payee.account, amount: eur(2n) },
      { to: payer.account, amount: eur(1n) },
      { to: `${payee.bank}/nobody`, amount: eur(1n) },
      { to: payee.account, amount: eur(30n) },
    ]);
    const said = results.map((result) => (result.ok ? `${result.transfer.amount.minorUnits}${result.transfer.replayed ? ' replayed' : ''}` : `${result.error.code} ${result.error.field ?? ''}`.trim()));
    expect(said).toEqual([
      '10', 'TRANSFER_DECLINED', '20', 'UNKNOWN_BANK to.bank', '1 replayed', 'ID_TAKEN amount.minor_units', 'OWN_ACCOUNT to', 'TRANSFER_DECLINED', '30',
    ]);
    expect([await payer.posted(), await payee.posted(), await near.posted()]).toEqual([99_939n, 100_041n, 100_020n]);
  });

  it.each([['across banks', 'beta'], ['inside one bank', 'alpha']])('with one id twice pays once, %s', async (_where, to) => {
    const [payer, payee] = await two('alpha', to);
    const payment = { id: newTransferId(), to: payee.account, amount: eur(5n) };
    const results = await payer.strife.transfers.createMany([payment, payment]);
    expect(results.map((result) => result.ok && result.transfer.state)).toEqual(['succeeded', 'succeeded']);
    expect([await payer.posted(), await payee.posted()]).toEqual([99_995n, 100_005n]);
  });

  it.each([['across banks', 'beta'], ['inside one bank', 'alpha']])('with one id for two bodies applies one of them, %s', async (_where, to) => {
    const [payer, payee] = await two('alpha', to);
    const id = newTransferId();
    const results = await payer.strife.transfers.createMany([
      { id, to: payee.account, amount: eur(5n) },
      { id, to: payee.account, amount: eur(6n) },
    ]);
    expect(results).toMatchObject([{ ok: true }, { ok: false, error: { code: 'ID_TAKEN', field: 'amount.minor_units', outcome: 'not_applied' } }]);
    expect([await payer.posted(), await payee.posted()]).toEqual([99_995n, 100_005n]);
  });
});

describe('history and waiting', () => {
  it('pages through everything once, newest first, with a running balance', async () => {
    const [payer, payee] = await two();
    await payer.strife.transfers.createMany(Array.from({ length: 23 }, (_, index) => ({ to: payee.account, amount: eur(BigInt(index + 1)), memo: `no ${index}` })));
    const all = await entries(payer);
    expect(await entries(payer, 5)).toEqual(all);
    expect(all).toHaveLength(24);
    expect(all.at(-1)).toMatchObject({ amount: eur(100_000n), posted: eur(100_000n), memo: '' });
    expect(all.at(-1)).not.toHaveProperty('counterparty');
    let posted = 0n;
    for (const entry of all.toReversed()) {
      posted += entry.amount.minorUnits;
      expect(entry.posted.minorUnits).toBe(posted);
    }
    expect(posted).toBe(await payer.posted());
  });

  it("does not take one user's page token from another", async () => {
    const [payer, payee] = await two();
    await payer.strife.transfers.createMany(Array.from({ length: 3 }, () => ({ to: payee.account, amount: eur(1n) })));
    const stranger = await cluster.person('alpha');
    const accounts = await cluster.callers.client(AccountServiceDefinition, cluster.service('g1').address, 'client/dev');
    const page = await accounts.listEntries({ pageSize: 1 }, { metadata: bearer(payer.strife.session!.token) });
    expect(page.nextPageToken).not.toBe('');
    const stolen = accounts.listEntries({ pageToken: page.nextPageToken }, { metadata: bearer(stranger.strife.session!.token) });
    expect(await refusalOf(stolen)).toMatchObject({ status: 'INVALID_ARGUMENT', field: 'page_token' });
  });

  it('shows a settled payment in balances and histories as soon as it is answered', async () => {
    const [payer, payee] = await two();
    for (let count = 1n; count <= 10n; count += 1n) {
      await payer.strife.transfers.create({ to: payee.account, amount: eur(1n), wait: 'settled' });
      expect(await payer.strife.balance()).toMatchObject({ posted: eur(100_000n - count), held: eur(0n) });
      expect(await payee.posted()).toBe(100_000n + count);
    }
  });

  it('does not let a payer spend again what a decided payment has taken', async () => {
    const [payer, payee] = await two();
    for (let count = 1n; count <= 10n; count += 1n) {
      expect(await payer.strife.transfers.create({ to: payee.account, amount: eur(1n), wait: 'decided' })).toMatchObject({ state: 'succeeded' });
      expect((await payer.strife.balance()).available).toEqual(eur(100_000n - count));
    }
    // A settled payment of the same link goes after all that were decided before it.
    await payer.strife.transfers.create({ to: payee.account, amount: eur(1n) });
    expect(await payer.strife.balance()).toMatchObject({ posted: eur(99_989n), held: eur(0n) });
    expect(await payee.posted()).toBe(100_011n);
  });

  it('lets a payer spend what a declined payment held as soon as the decline is told', async () => {
    const [payer, payee] = await two();
    const amount = eur(100_000n);
    await expect(payer.strife.transfers.create({ to: 'beta/nobody', amount, wait: 'decided' })).rejects.toThrow("the payee's account does not exist");
    expect(await payer.strife.transfers.create({ to: payee.account, amount, wait: 'decided' })).toMatchObject({ state: 'succeeded' });
  });

  it('takes an unspecified wait for a settled one', async () => {
    const [payer, payee] = await two();
    const [bank = '', account = ''] = payee.account.split('/');
    const transfers = await cluster.callers.client(TransferServiceDefinition, cluster.service('g1').address, 'client/dev');
    const request = { id: newTransferId(), to: { bank, account }, amount: eur(1n), waitFor: WaitFor.UNSPECIFIED };
    await transfers.createTransfer(request, { metadata: bearer(payer.strife.session!.token) });
    expect(await payee.posted()).toBe(100_001n);
  });
});

describe('many at once', () => {
  it.each([['across banks', 'beta'], ['inside one bank', 'alpha']])('50 payments both ways conserve the money, %s', async (_where, to) => {
    const [one, other] = await two('alpha', to);
    const payments = Array.from({ length: 50 }, (_, index) => {
      const [payer, payee] = index % 2 === 0 ? [one, other] : [other, one];
      return payer.strife.transfers.create({ to: payee.account, amount: eur(BigInt(100 + index)) });
    });
    const transfers = await Promise.all(payments);
    const moved = transfers.reduce((sum, { from, amount }) => sum + (from === one.account ? -amount.minorUnits : amount.minorUnits), 0n);
    expect(await one.strife.balance()).toMatchObject({ posted: eur(100_000n + moved), held: eur(0n) });
    expect(await other.strife.balance()).toMatchObject({ posted: eur(100_000n - moved), held: eur(0n) });
  });

  it('ends with clean books', async () => {
    await expectCleanBooks(cluster);
  });
});
