// Two gateways with decision logs of their own, between the same banks: one id still has one effect and one answer.

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadTls } from '@strife/certs';
import { ConflictError, connect, newTransferId, TransferDeclinedError } from '@strife/sdk';
import type { NewTransfer, Strife } from '@strife/sdk';
import { AdminServiceDefinition } from '@strife/stubs/bank';
import { expectCleanBooks } from '../support/books.ts';
import { failureOf } from '../support/refusal.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { Person, TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;
const clients: Strife[] = [];

beforeAll(async () => {
  cluster = await startTestCluster({ gateways: ['g1', 'g2'] });
}, 60_000);
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await cluster?.end();
});

const eur = (minorUnits: bigint) => ({ currency: 'EUR', minorUnits });

/** The person's one session, used at one gateway only, and at the other. */
async function atBoth({ strife: { session } }: Person): Promise<[Strife, Strife]> {
  const tls = await loadTls(cluster.directories.certs, 'client/dev');
  const [one, other] = await Promise.all(['g1', 'g2'].map((gateway) => connect({ gateways: [cluster.service(gateway).address], tls, session })));
  clients.push(one!, other!);
  return [one!, other!];
}

describe('two gateways with decision logs of their own', () => {
  it.each([['across banks', 'beta'], ['inside one bank', 'alpha']])('apply one id once, one after the other and at once, %s', async (_where, to) => {
    const [payer, payee] = await Promise.all([cluster.person('alpha'), cluster.person(to)]);
    const [one, other] = await atBoth(payer);
    const payment: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(100n) };
    expect(await one.transfers.create(payment)).toMatchObject({ state: 'succeeded', replayed: false });
    expect(await other.transfers.create(payment)).toMatchObject({ state: 'succeeded', replayed: true });

    const ids = Array.from({ length: 10 }, () => newTransferId());
    const answers = await Promise.all(ids.flatMap((id) => [one, other].map((strife) => strife.transfers.create({ ...payment, id }))));
    expect(answers.map(({ state }) => state)).toEqual(new Array(20).fill('succeeded'));
    expect([await payer.posted(), await payee.posted()]).toEqual([98_900n, 101_100n]);
  });

  it('decline one id for the same reason, for ever', async () => {
    const [payer, payee] = await Promise.all([cluster.person('alpha'), cluster.person('beta')]);
    const [one, other] = await atBoth(payer);
    const payment: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(100_001n) };
    expect((await failureOf(one.transfers.create(payment), TransferDeclinedError)).reason).toBe('insufficient_funds');
    const operator = await cluster.callers.client(AdminServiceDefinition, cluster.service('alpha').address, 'operator/root');
    await operator.deposit({ id: newTransferId(), account: payer.name, amount: eur(1_000_000n) });
    expect(await failureOf(other.transfers.create(payment), TransferDeclinedError)).toMatchObject({ reason: 'insufficient_funds', transfer: { replayed: true } });
  });

  it('know a payment that the other made, after they were asked for something else under its id', async () => {
    const [payer, payee] = await Promise.all([cluster.person('alpha'), cluster.person('beta')]);
    const [one, other] = await atBoth(payer);
    const payment: NewTransfer = { id: newTransferId(), to: payee.account, amount: eur(100n) };
    await one.transfers.create(payment);
    expect(await failureOf(other.transfers.create({ ...payment, amount: eur(200n) }), ConflictError)).toMatchObject({ field: 'amount.minor_units' });
    expect(await other.transfers.create(payment)).toMatchObject({ state: 'succeeded', replayed: true });
    expect([await payer.posted(), await payee.posted()]).toEqual([99_900n, 100_100n]);
  });

  it('ends with clean books', async () => {
    await expectCleanBooks(cluster);
  });
});
