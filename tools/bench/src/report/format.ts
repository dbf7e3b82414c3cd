// Figures for people. Pure.

/** `12,345`; small numbers keep what tells them apart. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 });
}

export function formatMs(value: number | undefined): string {
  if (value === undefined) return '-';
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);
}

export function formatMegabytes(bytes: number | undefined): string {
  return bytes === undefined ? '-' : (bytes / 1e6).toFixed(0);
}

export function formatRatio(value: number | undefined): string {
  if (value === undefined) return '-';
  return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} x`;
}

/** Each name with its count: `UNAVAILABLE 3`; "none" when there are none. */
export function formatFailures(failures: Readonly<Record<string, number>>): string {
  return Object.entries(failures).map(([name, count]) => `${name} ${count}`).join(', ') || 'none';
}
