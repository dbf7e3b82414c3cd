// Payments in lists: made together, and listed.

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Status } from 'nice-grpc-common';
import { connect, eur, usd, type Strife } from './index.ts';
import { startTestGateway, TEST_PASSWORD, type TestGateway } from './testing/index.ts';

const toBob = { to: 'beta/bob', amount: eur('12.50') };

let gateway: TestGateway;
let strife: Strife;

beforeEach(async () => {
  gateway = await startTestGateway();
  strife = await connect({ gateways: [gateway.address], tls: gateway.tls });
  await strife.login({ bank: 'alpha', username: 'alice', password: TEST_PASSWORD });
});

afterEach(async () => {
  await strife.close();
  gateway.kill();
});

describe('many payments', () => {
  it('gives one result for each, in their order', async () => {
    const used = await strife.transfers.create(toBob);
    const results = await strife.transfers.createMany([
      { ...toBob, memo: 'first' },
      { to: 'beta/bea', amount: eur('1.00') },
      { ...toBob, id: used.id, amount: eur('99.00') },
      { to: 'nowhere', amount: eur('1.00') },
      { to: 'beta/bob', amount: usd('1.00') },
      { ...toBob, memo: 'last' },
    ]);
    expect(results).toMatchObject([
      { ok: true, transfer: { memo: 'first', state: 'succeeded' } },
      { ok: false, error: { name: 'TransferDeclinedError', reason: 'payee_currency' } },
      { ok: false, error: { name: 'ConflictError', outcome: 'not_applied', transferId: used.id } },
      { ok: false, error: { name: 'InvalidArgumentError', field: 'to' } },
      { ok: false, error: { name: 'TransferDeclinedError', reason: 'payer_currency' } },
      { ok: true, transfer: { memo: 'last' } },
    ]);
    expect(gateway.calls.filter((call) => call === 'batchCreateTransfers')).toHaveLength(1);
  });

  it('sends again only what has no certain answer', async () => {
    gateway.failNext('batchCreateTransfers', async (proceed) => {
      const response = (await proceed()) as { results: object[] };
      const failure = { code: Status.UNAVAILABLE, message: 'lost', reason: 'LOST', field: '', outcome: 3, retryable: true, transferId: '' };
      return { results: [response.results[0], { result: { $case: 'failure', value: failure } }] };
    });
    const results = await strife.transfers.createMany([toBob, { ...toBob, memo: 'again' }]);
    expect(results).toMatchObject([
      { ok: true, transfer: { replayed: false } },
      { ok: true, transfer: { replayed: true, memo: 'again' } },
    ]);
    expect(gateway.payments.map(({ memo }) => memo)).toEqual(['', 'again', 'again']);
  });

  it('cuts lists that are longer than one message may be', async () => {
    const results = await strife.transfers.createMany(Array.from({ length: 1_002 }, () => ({ ...toBob, amount: eur('0.01') })));
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(gateway.calls.filter((call) => call === 'batchCreateTransfers')).toHaveLength(2);
  });

  it('are those of the list as it was given, whatever the caller does to it meanwhile', async () => {
    const list = Array.from({ length: 5_002 }, () => ({ ...toBob, amount: eur('0.01') }));
    const made = strife.transfers.createMany(list);
    list.length = 1;
    expect(await made).toHaveLength(5_002);
  });

  it('lists them page by page, newest first', async () => {
    await strife.transfers.createMany(['1', '2', '3', '4', '5'].map((memo) => ({ to: 'beta/bob', amount: eur('1'), memo })));
    const memos = [];
    for await (const { memo } of strife.transfers.list({ pageSize: 2 })) memos.push(memo);
    expect(memos).toEqual(['5', '4', '3', '2', '1']);
    expect(gateway.calls.filter((call) => call === 'listTransfers')).toHaveLength(3);
  });

  it('goes on over a page that shows nothing and is not the last', async () => {
    await strife.transfers.create(toBob);
    gateway.failNext('listTransfers', async () => ({ transfers: [], nextPageToken: '0' }));
    const ids = [];
    for await (const { id } of strife.transfers.list()) ids.push(id);
    expect(ids).toEqual([gateway.payments[0]!.id]);
  });
});
