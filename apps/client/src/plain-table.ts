// Rows as an aligned table without lines. It is never cut: a narrow terminal wraps.

import type { Colors } from './output.ts';

export async function plainTable(head: readonly string[], rows: readonly (readonly string[])[], colors: Colors, rightAligned: readonly string[] = ['Amount', 'Balance']): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: head.map((title) => colors.bold(title)),
    colAligns: head.map((title) => (rightAligned.includes(title) ? 'right' : 'left')),
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const NO_LINES = Object.fromEntries(
  ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
    .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'])
    .map((part) => [part, '']),
);
