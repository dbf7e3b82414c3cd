// What a payer is told of a payment that was not applied now, where an earlier send of it may have been.

import { describe, expect, it } from '@jest/globals';
import type { CreateTransferRequest, TransferFailure } from '@strife/stubs/gateway';
import { Outcome, TransferState } from '@strife/stubs/type';
import { fingerprintOf } from '@strife/two-phase-commit';
import type { DecisionRow, TransferBody, TransferResult } from '@strife/two-phase-commit';
import { Status } from 'nice-grpc-common';
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

describe('a payment whose id is another one\'s in the log', () => {
  const id = '0197b2a0-0000-7000-8000-000000000001';
  const from = { bank: 'alpha', account: 'alice' };
  const to = { bank: 'beta', account: 'bob' };

  /** The answer to alice, who pays bob, when the log has this under her id and her bank has applied what she asks for. */
  async function answer(other: Pick<TransferBody, 'from' | 'to'>, outcome: 'committed' | 'aborted'): Promise<unknown> {
    const body: TransferBody = { ...other, currency: 'EUR', amountMinor: 100n, memo: '' };
    const verdict = outcome === 'committed' ? { outcome } : { outcome, retryable: true, why: 'unreachable' };
    const row = { id, attempt: 1, fingerprint: fingerprintOf(body), body, createdAtMs: 1, decidedAtMs: 2, verdict } as unknown as DecisionRow;
    const record = { transferId: Buffer.alloc(16), from, to, amount: { currency: 'EUR', minorUnits: 100n }, memo: '', state: TransferState.SUCCEEDED };
    const api = createTransferApi({
      coordinator: { createAll: () => Promise.resolve([{ kind: 'mismatch', field: 'to' }]) },
      log: { find: () => Promise.resolve([row]) },
      network: { find: () => ({ getTransfer: () => Promise.resolve({ transfer: { ...record, declineReason: 0, preparedAtUnixMs: 1n, endedAtUnixMs: 2n } }) }) },
      clock: { nowMs: () => 1000 },
      areRevocationsFresh: () => true, count: () => undefined,
    } as unknown as TransferApiOptions);
    const request: CreateTransferRequest = {
      id, to, amount: { currency: 'EUR', minorUnits: 100n }, memo: '', waitFor: 0, expiresAtUnixMs: 0n, earlierSendsAnswered: false,
    };
    const context = { session: { account: from, grant: 'g' }, signal: new AbortController().signal };
    const { results } = await api.batchCreateTransfers({ items: [request] }, context as unknown as Parameters<typeof api.batchCreateTransfers>[1]);
    return results[0]?.result;
  }

  it.each(['committed', 'aborted'] as const)('is the payer\'s bank\'s to tell where the other is between banks that it does not touch (%s)', async (outcome) => {
    expect(await answer({ from: { bank: 'gamma', account: 'mallory' }, to: { bank: 'delta', account: 'eve' } }, outcome))
      .toMatchObject({ $case: 'transfer', value: { state: TransferState.SUCCEEDED, replayed: true } });
  });

  it.each([
    ['the payer\'s', { from: { bank: 'alpha', account: 'carol' }, to: { bank: 'gamma', account: 'dave' } }],
    ['the payee\'s', { from: { bank: 'gamma', account: 'dave' }, to: { bank: 'beta', account: 'bob' } }],
  ])('cannot be applied once the other is committed at %s bank', async (_, other) => {
    expect(await answer(other, 'committed')).toMatchObject({ $case: 'failure', value: { outcome: Outcome.NOT_APPLIED, field: 'to' } });
  });
});

describe('a gateway that does not hear of logouts', () => {
  const context = { session: { account: { bank: 'alpha', account: 'alice' }, grant: 'g' } } as never;
  const api = createTransferApi({ areRevocationsFresh: () => false } as unknown as TransferApiOptions);
  const item = (earlierSendsAnswered: boolean): CreateTransferRequest => ({
    id: '0197b2a0-0000-7000-8000-000000000001', to: { bank: 'beta', account: 'bob' }, amount: { currency: 'EUR', minorUnits: 100n }, memo: '',
    waitFor: 0, expiresAtUnixMs: 0n, earlierSendsAnswered,
  });

  /** It has not read its log, in which an earlier send may be committed. */
  it.each([
    ['unknown', [false]], ['not_applied', [true]], ['unknown', [true, false]], ['not_applied', [true, true]],
  ])('says %s where earlier sends are known to be answered as %j', async (outcome, answered) => {
    const info = expect.objectContaining({ reason: 'REVOCATIONS_STALE', metadata: expect.objectContaining({ outcome, retryable: 'true' }) });
    const [first] = answered;
    if (answered.length === 1) await expect(api.createTransfer(item(first!), context)).rejects.toMatchObject({ code: Status.UNAVAILABLE, extra: [info] });
    await expect(api.batchCreateTransfers({ items: answered.map(item) }, context)).rejects.toMatchObject({ code: Status.UNAVAILABLE, extra: [info] });
  });
});
