import { expect, it } from '@jest/globals';
import { anyPayee, payeesOf } from './payments.ts';

const ofBeta = { bank: 'beta', first: 1, last: 2 };
const ofAlpha = { bank: 'alpha', first: 1, last: 2 };

it('sends money both ways when it is told whom the payees pay, and one way when it is not', () => {
  expect(payeesOf({ payees: ofBeta, back: ofAlpha }, 'alpha/u1')).toBe(ofBeta);
  expect(payeesOf({ payees: ofBeta, back: ofAlpha }, 'beta/u1')).toBe(ofAlpha);
  expect(payeesOf({ payees: ofBeta }, 'alpha/u1')).toBe(ofBeta);
  expect(payeesOf({ payees: ofBeta }, 'beta/u1')).toBe(ofBeta);
});

it('never has a payer pay to their own account', () => {
  const paid = new Set(Array.from({ length: 100 }, () => anyPayee(ofAlpha, 'alpha/u1')));
  expect([...paid]).toEqual(['u2']);
  expect(new Set(Array.from({ length: 100 }, () => anyPayee(ofAlpha, 'beta/u1')))).toEqual(new Set(['u1', 'u2']));
});
