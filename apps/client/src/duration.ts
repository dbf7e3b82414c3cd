// Durations as people type them.

import { UsageError } from './failure.ts';

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `90s`, `15m`, `2h` or `3d` in milliseconds; undefined stays. Throws UsageError naming the option. */
export function readDuration(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text.trim()) ?? [];
  if (number !== undefined && Number(number) > 0) return Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS];
  throw new UsageError(`${option}: must be a time such as 90s, 15m, 2h or 3d`, { field: option });
}
