// What the lean generator reads in an answer is what the stubs would have read.
import { expect, it } from '@jest/globals';
import { BatchCreateTransfersResponse } from '@strife/stubs/gateway';
import type { DeepPartial } from '@strife/stubs/gateway';
import { TransferState } from '@strife/stubs/type';
import { outcomesIn } from './lean-payments.ts';

const transfer = { id: 'I'.repeat(36), from: { bank: 'alpha', account: 'u1' }, to: { bank: 'beta', account: 'u2' }, amount: { currency: 'EUR', minorUnits: 1n }, createdAtUnixMs: 1n };
const paid = (state: TransferState): DeepPartial<BatchCreateTransfersResponse['results'][number]> => ({ result: { $case: 'transfer', value: { ...transfer, state, decidedAtUnixMs: 2n } } });
const encode = (results: readonly DeepPartial<BatchCreateTransfersResponse['results'][number]>[]): Uint8Array =>
  BatchCreateTransfersResponse.encode(BatchCreateTransfersResponse.fromPartial({ results: [...results] })).finish();

it('has a state for each payment, in order, or why there is none', () => {
  const failure = { result: { $case: 'failure' as const, value: { code: 14, message: 'no', reason: 'BANK_UNAVAILABLE', retryable: true } } };
  const results = [paid(TransferState.SUCCEEDED), failure, paid(TransferState.DECLINED), { result: undefined }, paid(TransferState.UNSPECIFIED), paid(TransferState.SUCCEEDED)];
  expect(outcomesIn(encode(results))).toEqual([TransferState.SUCCEEDED, 'BANK_UNAVAILABLE', TransferState.DECLINED, 'NOTHING', TransferState.UNSPECIFIED, TransferState.SUCCEEDED]);
});

it.each([0, 1, 1000])('has %i states for as many payments', (count) => {
  expect(outcomesIn(encode(Array.from({ length: count }, () => paid(TransferState.SUCCEEDED))))).toEqual(Array.from({ length: count }, () => TransferState.SUCCEEDED));
});
