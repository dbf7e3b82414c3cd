// `strife history`

import { setTimeout as delay } from 'node:timers/promises';
import type { Entry, Strife, StrifeError } from '@strife/sdk';
import type { Context } from '../context.ts';
import { UsageError } from '../failure.ts';
import { entryDocument, moneyText, printable, signedMoneyText, timeText } from '../format.ts';
import { withSession } from '../gateway.ts';
import type { Colors } from '../output.ts';
import { plainTable } from '../plain-table.ts';

const LIMIT = 20;
const LIMIT_MAX = 100_000;
const FOLLOW_INTERVAL_MS = 1000;
const FOLLOW_PAGE = 50;

/** Newest first; with --follow, what comes from now on. With --json one document for each entry, as they come. */
export async function history(context: Context, options: { limit?: string; follow?: boolean }): Promise<void> {
  const { output } = context;
  const limit = readLimit(options.limit);
  await withSession(context, async (strife) => {
    if (options.follow) return follow(context, strife);
    const entries: Entry[] = [];
    for await (const entry of strife.history({ limit, pageSize: Math.min(limit, 1000) })) {
      if (output.isReaderGone) return;
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
  const rows = entries.map((entry) => {
    const paint = entry.amount.minorUnits < 0n ? colors.red : colors.green;
    const partner = entry.counterparty === undefined ? '-' : printable(entry.counterparty);
    return [timeText(entry.settledAt), paint(signedMoneyText(entry.amount)), partner, moneyText(entry.posted), printable(entry.memo)];
  });
  return plainTable(['When', 'Amount', 'With', 'Balance', 'Memo'], rows, colors);
}

/** One entry on a line of its own. */
function entryLine({ amount, counterparty, posted, memo, settledAt }: Entry): string {
  const parts = [timeText(settledAt), signedMoneyText(amount), counterparty === undefined ? '-' : printable(counterparty), `balance ${moneyText(posted)}`, printable(memo)];
  return parts.filter((part) => part !== '').join('  ');
}

/** Tells entries as they come, until it is interrupted; those that are there already are not told. A gateway that is away is waited for. */
async function follow({ output, signal }: Context, strife: Strife): Promise<void> {
  let newest = await firstOf(strife.history({ limit: 1 }));
  output.message('Waiting for entries. Ctrl-C ends.');
  let isAway = false;
  while (!output.isReaderGone) {
    await delay(FOLLOW_INTERVAL_MS, undefined, { signal });
    const fresh: Entry[] = [];
    try {
      for await (const entry of strife.history({ pageSize: FOLLOW_PAGE })) {
        if (newest !== undefined && isSame(entry, newest)) break;
        fresh.push(entry);
      }
      if (isAway) output.message('The gateway is back.');
      isAway = false;
    } catch (error) {
      if (signal.aborted || !(error as StrifeError).retryable) throw error;
      if (!isAway) output.message(`${(error as Error).message}; waiting for it.`);
      isAway = true;
      continue;
    }
    for (const entry of fresh.toReversed()) output.result({ entry: entryDocument(entry) }, () => entryLine(entry));
    newest = fresh[0] ?? newest;
  }
}

async function firstOf(entries: AsyncIterable<Entry>): Promise<Entry | undefined> {
  for await (const entry of entries) return entry;
  return undefined;
}

/** An entry has no id; a transfer has one entry in an account, and a deposit changes the balance that it leaves. */
function isSame(one: Entry, other: Entry): boolean {
  return (
    one.transferId === other.transferId &&
    one.settledAt.getTime() === other.settledAt.getTime() &&
    one.posted.minorUnits === other.posted.minorUnits &&
    one.amount.minorUnits === other.amount.minorUnits
  );
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return LIMIT;
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new UsageError(`limit: must be a whole number from 1 to ${LIMIT_MAX}`, { field: 'limit' });
}
