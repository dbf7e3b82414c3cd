// Until when a payment is wanted, as people type it.

import { UsageError } from './failure.ts';

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** ISO 8601 with its time zone, without which it would be another moment elsewhere. */
const MOMENT = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/;

/** One of the two, or neither for never. */
export interface Expiry {
  readonly expiresInMs?: number | undefined;
  readonly expiresAt?: Date | undefined;
}

/** From `90s`, `15m`, `2h` or `3d`, or from a moment such as `2026-11-24T18:00:00Z`, which may be past. Throws UsageError naming the option. */
export function readExpiry({ expiresIn, expiresAt }: { expiresIn?: string | undefined; expiresAt?: string | undefined }): Expiry {
  if (expiresIn !== undefined && expiresAt !== undefined) {
    throw new UsageError('expires-at: give --expires-at or --expires-in, not both', { field: 'expires-at' });
  }
  if (expiresIn !== undefined) return { expiresInMs: durationMs(expiresIn.trim()) };
  return expiresAt === undefined ? {} : { expiresAt: moment(expiresAt.trim()) };
}

function durationMs(text: string): number {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (number !== undefined && Number(number) > 0) return Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS];
  throw new UsageError('expires-in: must be a time such as 90s, 15m, 2h or 3d', { field: 'expires-in' });
}

function moment(text: string): Date {
  const date = new Date(text);
  const [, day = ''] = MOMENT.exec(text) ?? [];
  // JavaScript takes the 30th of February for a day in March.
  const isThere = day !== '' && !Number.isNaN(date.getTime()) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
  if (isThere) return date;
  throw new UsageError('expires-at: must be a moment with its time zone, such as 2026-11-24T18:00:00Z', { field: 'expires-at' });
}
