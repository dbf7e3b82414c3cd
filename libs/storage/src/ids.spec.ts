import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { blobToHex, blobToId, hexToBlob, idToBlob, isId } from './ids.ts';

describe('ids', () => {
  it('come back from bytes as they were', () => {
    fc.assert(fc.property(fc.uuid(), (id) => expect(blobToId(idToBlob(id))).toBe(id)));
    fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => expect([...idToBlob(blobToId(bytes))]).toEqual([...bytes])));
  });

  it('have one spelling', () => {
    const id = '0197b2a0-0000-7abc-8000-000000000001';
    expect(isId(id)).toBe(true);
    for (const other of [id.toUpperCase(), id.replaceAll('-', ''), `{${id}}`, `${id}\n`, '']) {
      expect(isId(other)).toBe(false);
      expect(() => idToBlob(other)).toThrow(RangeError);
    }
  });

  it('keep the order of their text', () => {
    fc.assert(fc.property(fc.uuid(), fc.uuid(), (one, other) => {
      expect(Math.sign(Buffer.compare(idToBlob(one), idToBlob(other)))).toBe(one === other ? 0 : one < other ? -1 : 1);
    }));
  });
});

describe('fingerprints', () => {
  it('come back from bytes as they were, and are exactly 16 of them', () => {
    const hex = '00112233445566778899aabbccddeeff';
    expect(blobToHex(hexToBlob(hex))).toBe(hex);
    for (const wrong of ['', hex.slice(2), `${hex}00`, hex.replace('f', 'g')]) expect(() => hexToBlob(wrong)).toThrow(RangeError);
  });
});
