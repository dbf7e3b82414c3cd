import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CURRENCY_DIGITS } from './currencies.ts';
import { AMOUNT_MINOR_MAX, BALANCE_MINOR_MAX, MoneyError, checkTransferAmount, currencyDigits, formatAmount, isCurrency, money, parseAmount } from './money.ts';

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof MoneyError) return `${error.field}: ${error.code}`;
    throw error;
  }
  return undefined;
}

describe('currencies', () => {
  it('knows the digits of ISO 4217, where they are not two as well', () => {
    expect(['EUR', 'JPY', 'KWD', 'CLF', 'HUF', 'IQD'].map(currencyDigits)).toEqual([2, 0, 3, 4, 2, 3]);
  });

  it('knows each code once, all of three upper-case letters', () => {
    const codes = [...CURRENCY_DIGITS.keys()];
    expect(codes.every((code) => /^[A-Z]{3}$/.test(code))).toBe(true);
    expect(codes.length).toBe(167);
  });

  it('refuses what is not a currency, and names the field', () => {
    for (const code of ['eur', 'EURO', '', 'XXX', 'XAU', 'constructor', '\u0415UR']) {
      expect(isCurrency(code)).toBe(false);
      expect(codeOf(() => parseAmount('1', code))).toBe('currency: unknown_currency');
    }
  });
});

describe('parseAmount', () => {
  it.each([
    ['12.50', 'EUR', 1250n],
    ['12', 'EUR', 1200n],
    ['12.5', 'EUR', 1250n],
    ['0.5', 'EUR', 50n],
    ['0', 'EUR', 0n],
    ['007', 'EUR', 700n],
    ['1250', 'JPY', 1250n],
    ['1.250', 'KWD', 1250n],
    ['10000000000000.00', 'EUR', AMOUNT_MINOR_MAX],
  ])('reads %s %s', (text, currency, minorUnits) => {
    expect(parseAmount(text, currency)).toEqual({ currency, minorUnits });
  });

  it.each([
    ['', 'empty'],
    ['1,000.00', 'grouping'],
    ['1.000.00', 'grouping'],
    ['1 000', 'grouping'],
    ['1\u00a0000', 'grouping'],
    ["1'000", 'grouping'],
    ['1_000', 'grouping'],
    ['12,50', 'grouping'],
    ['-3', 'sign'],
    ['+3', 'sign'],
    ['\u22123', 'sign'],
    ['1e5', 'not_a_number'],
    ['0x10', 'not_a_number'],
    ['.5', 'not_a_number'],
    ['12.', 'not_a_number'],
    [' 12', 'not_a_number'],
    ['12\n', 'not_a_number'],
    ['NaN', 'not_a_number'],
    ['\u0661\u0662', 'not_a_number'],
    ['\uff11\uff12', 'not_a_number'],
    ['12 EUR', 'not_a_number'],
    ['12.505', 'too_precise'],
    ['12.500', 'too_precise'],
    ['10000000000000.01', 'too_large'],
    ['9'.repeat(33), 'too_large'],
  ])('refuses %j as %s', (text, code) => {
    expect(codeOf(() => parseAmount(text, 'EUR'))).toBe(`amount: ${code}`);
  });

  it('tells people how to write it, with the digits of their currency', () => {
    expect(() => parseAmount('1,000.00', 'EUR')).toThrow('write "1,000.00" without grouping and with a point for decimals, such as 1000.00');
    expect(() => parseAmount('1,000', 'JPY')).toThrow('such as 1000');
    expect(() => parseAmount('1.5', 'JPY')).toThrow('JPY has no digits after the point');
  });

  it('never shows control characters or long texts back', () => {
    expect(() => parseAmount('\u001b[31m12', 'EUR')).toThrow('" [31m12" is not an amount');
    expect(() => parseAmount('1', 'x'.repeat(1000))).toThrow(`"${'x'.repeat(32)}…" is not`);
  });

  it('reads back every amount that formatAmount writes', () => {
    fc.assert(
      fc.property(fc.constantFrom(...CURRENCY_DIGITS.keys()), fc.bigInt(0n, AMOUNT_MINOR_MAX), (currency, minorUnits) => {
        expect(parseAmount(formatAmount({ currency, minorUnits }), currency)).toEqual({ currency, minorUnits });
      }),
    );
  });
});

describe('formatAmount', () => {
  it.each([
    [1250n, 'EUR', '12.50'],
    [-300n, 'EUR', '-3.00'],
    [5n, 'EUR', '0.05'],
    [-5n, 'KWD', '-0.005'],
    [0n, 'JPY', '0'],
    [-1250n, 'JPY', '-1250'],
  ])('writes %s of %s as %s', (minorUnits, currency, text) => {
    expect(formatAmount({ currency, minorUnits })).toBe(text);
  });
});

describe('limits', () => {
  it('lets a transfer move one minor unit up to the largest amount', () => {
    const check = (minorUnits: bigint) => codeOf(() => checkTransferAmount({ currency: 'EUR', minorUnits }));
    expect([1n, AMOUNT_MINOR_MAX].map(check)).toEqual([undefined, undefined]);
    expect([0n, -1n].map(check)).toEqual(['amount: not_positive', 'amount: not_positive']);
    expect(check(AMOUNT_MINOR_MAX + 1n)).toBe('amount: too_large');
  });

  it('makes money of any balance and no more, in known currencies', () => {
    expect(money('EUR', -BALANCE_MINOR_MAX).minorUnits).toBe(-BALANCE_MINOR_MAX);
    expect(codeOf(() => money('EUR', BALANCE_MINOR_MAX + 1n))).toBe('amount: too_large');
    expect(codeOf(() => money('EUR', -BALANCE_MINOR_MAX - 1n))).toBe('amount: too_large');
    expect(codeOf(() => money('EURO', 1n))).toBe('currency: unknown_currency');
  });

  it('keeps every balance inside the 64 bits of a database integer', () => {
    expect(BALANCE_MINOR_MAX).toBeLessThan(2n ** 63n);
  });
});
