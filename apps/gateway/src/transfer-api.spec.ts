// What a payer is told of a payment that was not applied now, where an earlier send of it may have been.

import { describe, expect, it } from '@jest/globals';
import type { CreateTransferRequest, TransferFailure } from '@strife/stubs/gateway';
import { Outcome } from '@strife/stubs/type';
import type { TransferResult } from '@strife/two-phase-commit';
import { createTransferApi } from './transfer-api.ts';
import type { TransferApiOptions } from './transfer-api.ts';

type NotApplied = Extract<TransferResult, { kind: 'not-applied' }>['why'];

/** The failure of a payment of alpha/alice that ends like this. */
async function failure(why: NotApplied, bank: string, earlierSendsAnswered: boolean): Promise<TransferFailure | undefined> {
  const api = createTransferApi({
    coordinator: { createAll: () => Promise.resolve([{ kind: 'not-applied', why }]) },
    network: { find: () => 'here' },
    clock: { nowMs: () => 1000 },
    areRevocationsFresh: () => true, count: () => undefined,
  } as unknown as TransferApiOptions);
  const request: CreateTransferRequest = {
    id: '0197b2a0-0000-7000-8000-000000000001', to: { bank, account: 'bob' }, amount: { currency: 'EUR', minorUnits: 100n }, memo: '',
    waitFor: 0, expiresAtUnixMs: 0n, earlierSendsAnswered,
  };
  const context = { session: { account: { bank: 'alpha', account: 'alice' }, grant: 'g' } } as unknown as Parameters<typeof api.batchCreateTransfers>[1];
  const { results } = await api.batchCreateTransfers({ items: [request] }, context);
  const result = results[0]?.result;
  return result?.$case === 'failure' ? result.value : undefined;
}

describe('a payment that was not applied', () => {
  it.each<NotApplied>(['unreachable', 'overloaded', 'unauthorized', 'invalid'])('inside one bank, which did not look the id up (%s), may have been applied by an earlier send', async (why) => {
    expect(await failure(why, 'alpha', false)).toMatchObject({ outcome: Outcome.UNKNOWN });
    expect(await failure(why, 'alpha', true)).toMatchObject({ outcome: Outcome.NOT_APPLIED });
  });

  it('between banks is known to the log: nothing moved', async () => {
    expect(await failure('invalid', 'beta', false)).toMatchObject({ reason: 'BANK_REFUSED_LEG', outcome: Outcome.NOT_APPLIED });
  });
});
