import { describe, expect, it } from '@jest/globals';
import { readExpiry } from './expiry.ts';
import { UsageError } from './failure.ts';

describe('an expiry', () => {
  it.each([
    ['90s', 90_000],
    [' 15m ', 900_000],
    ['2h', 7_200_000],
    ['3d', 259_200_000],
  ])('is read from %j as a time from now', (expiresIn, expiresInMs) => {
    expect(readExpiry({ expiresIn })).toEqual({ expiresInMs });
  });

  it.each([
    ['2026-11-24T18:00:00Z', '2026-11-24T18:00:00.000Z'],
    [' 2026-11-24T18:00:00.123Z ', '2026-11-24T18:00:00.123Z'],
    ['2026-11-24T18:00+01:00', '2026-11-24T17:00:00.000Z'],
    ['2024-02-29T23:30:00-05:00', '2024-03-01T04:30:00.000Z'],
    ['1999-12-31T00:00Z', '1999-12-31T00:00:00.000Z'],
  ])('is read from %j as a moment, past or to come', (expiresAt, iso) => {
    expect(readExpiry({ expiresAt })).toEqual({ expiresAt: new Date(iso) });
  });

  it('is never, where none is given', () => {
    expect(readExpiry({})).toEqual({});
  });

  it.each([
    [{ expiresIn: 'soon' }, 'expires-in'],
    [{ expiresIn: '0s' }, 'expires-in'],
    [{ expiresIn: '1.5h' }, 'expires-in'],
    [{ expiresAt: '2026-11-24' }, 'expires-at'],
    [{ expiresAt: '2026-11-24T18:00:00' }, 'expires-at'],
    [{ expiresAt: '2026-02-30T18:00:00Z' }, 'expires-at'],
    [{ expiresAt: '2026-13-01T18:00:00Z' }, 'expires-at'],
    [{ expiresAt: '2026-11-24T25:00:00Z' }, 'expires-at'],
    [{ expiresAt: '60s' }, 'expires-at'],
    [{ expiresIn: '60s', expiresAt: '2026-11-24T18:00:00Z' }, 'expires-at'],
  ])('is refused as %j, naming the option', (typed, field) => {
    expect(() => readExpiry(typed)).toThrow(UsageError);
    expect(() => readExpiry(typed)).toThrow(expect.objectContaining({ field, message: expect.stringContaining(field) }));
  });
});
