import { describe, expect, it } from '@jest/globals';
import { readAmount } from './amount.ts';
import { UsageError } from './failure.ts';

describe('an amount', () => {
  it.each([
    ['12.50', 'EUR', 1250n],
    ['12.5', 'eur', 1250n],
    ['12', 'EUR', 1200n],
    [' 12 ', ' EUR ', 1200n],
    ['12,50', 'EUR', 1250n],
    ['1000', 'EUR', 100_000n],
    ['1,000.00', 'EUR', 100_000n],
    ['1.000,00', 'EUR', 100_000n],
    ['1 000,00', 'EUR', 100_000n],
    ['1\u00a0234\u00a0567,89', 'EUR', 123_456_789n],
    ["1'234.50", 'CHF', 123_450n],
    ['1,234,567', 'EUR', 123_456_700n],
    ['1250', 'JPY', 1250n],
    ['1,250', 'JPY', 1250n],
    ['1.250', 'JPY', 1250n],
    ['1.250', 'KWD', 1250n],
    ['1,250.125', 'KWD', 1_250_125n],
  ])('%j in %s is read', (text, currency, minorUnits) => {
    expect(readAmount(text, currency)).toEqual({ currency: currency.trim().toUpperCase(), minorUnits });
  });

  it.each([
    ['1,000', 'EUR', '"1,000" can be read as 1.000 and as 1000 EUR'],
    ['1.000', 'EUR', '"1.000" can be read as 1.000 and as 1000 EUR'],
    ['1,250', 'KWD', '"1,250" can be read as 1.250 and as 1250 KWD'],
  ])('%j in %s is refused, since it could be two amounts', (text, currency, why) => {
    expect(() => readAmount(text, currency)).toThrow(expect.objectContaining({ name: 'UsageError', field: 'amount', message: `amount: ${why}`, hint: expect.stringContaining('digits after it') }));
  });

  it.each([
    ['1234.505', 'EUR', 'amount: EUR has at most 2 digits after the point'],
    ['12,505,5', 'EUR', 'amount: write'],
    ['1.5', 'JPY', 'amount: JPY has no digits after the point'],
    ['1.2345', 'KWD', 'amount: KWD has at most 3 digits after the point'],
    ['-1', 'EUR', 'amount: the amount must have no sign'],
    ['0', 'EUR', 'amount: the amount must be above zero'],
    ['0,00', 'EUR', 'amount: the amount must be above zero'],
    ['', 'EUR', 'amount: the amount is empty'],
    ['ten', 'EUR', 'amount: "ten" is not an amount'],
    ['1e3', 'EUR', 'amount: "1e3" is not an amount'],
    ['1,00,000', 'EUR', 'amount: write'],
    ['.5', 'EUR', 'amount: ".5" is not an amount'],
    ['9'.repeat(40), 'EUR', 'amount: the amount is longer than'],
    ['1', 'EURO', 'currency: "EURO" is not an ISO 4217'],
  ])('%j in %s is refused, and it is said why', (text, currency, why) => {
    const act = () => readAmount(text, currency);
    expect(act).toThrow(UsageError);
    expect(act).toThrow(why);
  });
});
