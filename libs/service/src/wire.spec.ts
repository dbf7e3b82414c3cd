import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fingerprintFromWire, fingerprintToWire, transferIdFromWire, transferIdToWire } from './wire.ts';

const sixteen = fc.uint8Array({ minLength: 16, maxLength: 16 });

describe('identifiers on the wire', () => {
  it('are canonical texts and back, the same bytes', () => {
    fc.assert(fc.property(sixteen, (bytes) => {
      const hex = Buffer.from(bytes).toString('hex');
      expect(fingerprintFromWire(bytes)).toBe(hex);
      expect(transferIdFromWire(bytes)).toBe(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));
      expect([...fingerprintToWire(hex)]).toEqual([...bytes]);
      expect([...transferIdToWire(transferIdFromWire(bytes))]).toEqual([...bytes]);
    }));
  });

  it('are read out of the middle of a message', () => {
    const message = Uint8Array.from({ length: 32 }, (_, index) => index);
    expect(transferIdFromWire(message.subarray(8, 24))).toBe('08090a0b-0c0d-0e0f-1011-121314151617');
    expect(fingerprintFromWire(message.subarray(8, 24))).toBe('08090a0b0c0d0e0f1011121314151617');
  });

  it('are refused unless they are 16 bytes', () => {
    for (const length of [0, 15, 17]) {
      expect(() => transferIdFromWire(new Uint8Array(length))).toThrow(RangeError);
      expect(() => fingerprintFromWire(new Uint8Array(length))).toThrow(RangeError);
    }
  });
});
