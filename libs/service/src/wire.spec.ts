import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fingerprintFromWire, fingerprintToWire, parseTransferId, readTransferId, transferIdFromWire, transferIdToWire } from './wire.ts';

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

  it('are read from texts in either case, with their bytes', () => {
    fc.assert(fc.property(sixteen, fc.integer({ min: 0, max: 2 ** 31 - 1 }), (bytes, capitals) => {
      const id = transferIdFromWire(bytes);
      const mixed = [...id].map((char, index) => ((capitals >> (index % 31)) & 1 ? char.toUpperCase() : char)).join('');
      const read = new Uint8Array(16);
      expect([readTransferId(mixed, read), parseTransferId(mixed), [...read]]).toEqual([id, id, [...bytes]]);
    }));
  });

  it('are no texts with one character more, less or another', () => {
    const id = '0190f8a2-7c1e-7d3a-9f6b-2b1c3d4e5f60';
    const others = ['', `${id}0`, `${id}\n`, ` ${id}`, id.slice(1), id.replaceAll('-', ''), `{${id}}`];
    for (let at = 0; at < id.length; at += 1) {
      for (const char of ['g', 'G', '@', '`', '/', ':', '_', ' ', '\u0130', '\u0660', '\uff10', id[at] === '-' ? '0' : '-']) others.push(id.slice(0, at) + char + id.slice(at + 1));
    }
    expect(others.filter((text) => parseTransferId(text) !== undefined || readTransferId(text, new Uint8Array(16)) !== undefined)).toEqual([]);
  });
});
