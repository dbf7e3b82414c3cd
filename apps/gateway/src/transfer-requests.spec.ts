import { describe, expect, it } from '@jest/globals';
import type { CreateTransferRequest } from '@strife/stubs/gateway';
import { WaitFor } from '@strife/stubs/gateway';
import { checkTransferRequest, expiryOf } from './transfer-requests.ts';

const payer = { bank: 'alpha', account: 'alice' };
const good: CreateTransferRequest = {
  id: '0190F8A2-7C1E-7D3A-9F6B-2B1C3D4E5F60',
  to: { bank: 'beta', account: 'bob' },
  amount: { currency: 'EUR', minorUnits: 1250n },
  memo: 'lunch',
  waitFor: WaitFor.SETTLED,
  earlierSendsAnswered: false,
  expiresAtUnixMs: 0n,
};

it('takes a good request, with the id in canonical form and the payer from the session', () => {
  expect(checkTransferRequest(good, payer, 7)).toMatchObject({
    kind: 'ok',
    value: { id: '0190f8a2-7c1e-7d3a-9f6b-2b1c3d4e5f60', createdAtMs: 7, body: { from: payer, to: good.to, currency: 'EUR', amountMinor: 1250n, memo: 'lunch' } },
  });
});

it('takes any expiry from 0, which is never, to the end of time', () => {
  expect([0n, 1n, 1_800_000_000_000n, 2n ** 63n - 1n].map((expiresAtUnixMs) => expiryOf({ expiresAtUnixMs }))).toEqual([undefined, 1, 1_800_000_000_000, 8.64e15]);
});

describe('names the field that is wrong', () => {
  const cases: [string, Partial<CreateTransferRequest>, string][] = [
    ['an expiry before 1970', { expiresAtUnixMs: -1n }, 'expires_at_unix_ms'],
    ['a malformed id', { id: 'abc' }, 'id'],
    ['an id with more behind it', { id: `${good.id}0` }, 'id'],
    ['an empty id', { id: '' }, 'id'],
    ['no payee', { to: undefined }, 'to'],
    ['a malformed bank', { to: { bank: 'Be ta', account: 'bob' } }, 'to.bank'],
    ['an empty account', { to: { bank: 'beta', account: '' } }, 'to.account'],
    ['the own account', { to: payer }, 'to'],
    ['no amount', { amount: undefined }, 'amount'],
    ['an unknown currency', { amount: { currency: 'EURO', minorUnits: 1n } }, 'amount.currency'],
    ['zero', { amount: { currency: 'EUR', minorUnits: 0n } }, 'amount.minor_units'],
    ['a negative amount', { amount: { currency: 'EUR', minorUnits: -1n } }, 'amount.minor_units'],
    ['an amount that is too large', { amount: { currency: 'EUR', minorUnits: 10n ** 15n + 1n } }, 'amount.minor_units'],
    ['a memo that is too long', { memo: 'x'.repeat(141) }, 'memo'],
    ['a memo of two lines', { memo: 'a\nb' }, 'memo'],
  ];
  it.each(cases)('%s', (_name, change, field) => {
    const checked = checkTransferRequest({ ...good, ...change }, payer, 0);
    expect(checked).toMatchObject({ kind: 'wrong', failure: { field, outcome: 'not_applied', retryable: false } });
    expect(checked.kind === 'wrong' && checked.failure.message.startsWith(`${field}: `)).toBe(true);
  });
});
