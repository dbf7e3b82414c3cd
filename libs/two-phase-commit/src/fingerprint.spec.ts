import { createHash } from 'node:crypto';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fingerprintOf, writeFingerprint } from './fingerprint.ts';

const bodies = fc.record({
  from: fc.record({ bank: fc.string(), account: fc.string() }), to: fc.record({ bank: fc.string(), account: fc.string() }),
  currency: fc.string(), amountMinor: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), memo: fc.string({ unit: 'binary' }),
});

it('is the beginning of SHA-256 over the fields as a JSON array, as text and as bytes', () => {
  fc.assert(fc.property(bodies, (body) => {
    const { from, to, currency, amountMinor, memo } = body;
    const canonical = JSON.stringify([from.bank, from.account, to.bank, to.account, currency, String(amountMinor), memo]);
    const digest = createHash('sha256').update(canonical).digest().subarray(0, 16);
    const bytes = new Uint8Array(16);
    expect([fingerprintOf(body), writeFingerprint(body, bytes)]).toEqual([digest.toString('hex'), digest.toString('hex')]);
    expect([...bytes]).toEqual([...digest]);
  }));
});

it('is for ever the same for the same body', () => {
  const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1250n, memo: 'lunch' };
  expect(fingerprintOf(body)).toBe('a47cf8d8cecaa9f9cf7a8e35cd030648');
});
