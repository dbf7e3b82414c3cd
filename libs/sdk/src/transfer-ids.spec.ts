// The ids that the SDK makes.

import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { parse, stringify, validate, version } from 'uuid';
import { newTransferId } from './transfer-ids.ts';

afterEach(() => {
  jest.restoreAllMocks();
});

describe('new transfer ids', () => {
  it('are UUIDv7 in canonical form, all different, each above the one before it', () => {
    const ids = Array.from({ length: 20_000 }, newTransferId);
    for (const id of ids) {
      expect(validate(id) && version(id) === 7).toBe(true);
      expect(stringify(parse(id))).toBe(id);
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(ids.toSorted());
  });

  it('say when they were made', () => {
    const soonMs = Date.now() + 1000;
    jest.spyOn(Date, 'now').mockReturnValue(soonMs);
    const first = newTransferId();
    const second = newTransferId();
    expect([timeOf(first), timeOf(second)]).toEqual([soonMs, soonMs]);
  });

  it('rise also when the clock is set back', () => {
    const before = newTransferId();
    jest.spyOn(Date, 'now').mockReturnValue(1_000_000);
    const after = [newTransferId(), newTransferId()];
    expect([before, ...after]).toEqual([before, ...after].toSorted());
    expect(timeOf(after[1]!)).toBe(timeOf(before));
  });

  it('share no random part', () => {
    const parts = Array.from({ length: 5000 }, () => newTransferId().slice(-10));
    expect(new Set(parts).size).toBe(parts.length);
  });
});

function timeOf(id: string): number {
  return Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);
}
