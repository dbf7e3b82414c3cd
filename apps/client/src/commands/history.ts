// `strife history`

import type { Entry } from '@strife/sdk';
import type { Context } from '../context.ts';
import { UsageError } from '../failure.ts';
import { entryDocument, moneyText, printable, signedMoneyText, timeText } from '../format.ts';
import { withSession } from '../gateway.ts';
import type { Colors } from '../output.ts';

const LIMIT = 20;
const LIMIT_MAX = 100_000;

/** Newest first. With --json one document for each entry, as they come. */
export async function history(context: Context, options: { limit?: string }): Promise<void> {
  const { output } = context;
  const limit = readLimit(options.limit);
  await withSession(context, async (strife) => {
    const entries: Entry[] = [];
    for await (const entry of strife.history({ limit, pageSize: Math.min(limit, 1000) })) {
      if (output.json) output.result({ entry: entryDocument(entry) }, () => '');
      else entries.push(entry);
    }
    if (output.json) return;
    const table = await historyTable(entries, output.colors);
    output.result({}, () => table);
    if (entries.length === limit) output.message(`The newest ${limit}. More: strife history --limit <n>`);
  });
}

/** The entries as an aligned table. */
export async function historyTable(entries: readonly Entry[], colors: Colors): Promise<string> {
  if (entries.length === 0) return 'No entries yet.';
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: ['When', 'Amount', 'With', 'Balance', 'Memo'].map((title) => colors.bold(title)),
    colAligns: ['left', 'right', 'left', 'right', 'left'],
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  for (const { amount, counterparty, posted, memo, settledAt } of entries) {
    const paint = amount.minorUnits < 0n ? colors.red : colors.green;
    const partner = counterparty === undefined ? '-' : printable(counterparty);
    table.push([timeText(settledAt), paint(signedMoneyText(amount)), partner, moneyText(posted), printable(memo)]);
  }
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

function readLimit(text: string | undefined): number {
  if (text === undefined) return LIMIT;
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new UsageError(`limit: must be a whole number from 1 to ${LIMIT_MAX}`, { field: 'limit' });
}
