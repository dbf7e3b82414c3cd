// `strife transfer explain <id>`

import type { MissingPlace, TransferEvent, TransferTimeline } from '@strife/sdk';
import type { Context } from '../context.ts';
import { moneyDocument, printable, timeText } from '../format.ts';
import { withSession } from '../gateway.ts';
import type { Colors } from '../output.ts';
import { plainTable } from '../plain-table.ts';
import { transferText } from './transfer-show.ts';

/** A place that did not answer is named, and is no failure: what is known is shown. */
export async function explainTransfer(context: Context, id: string): Promise<void> {
  const { output } = context;
  const { transfer, events, missing } = await withSession(context, (strife) => strife.transfers.explain(id));
  const text = output.json ? '' : await timelineText({ transfer, events, missing }, output.colors);
  output.result({ timeline: { transfer: { ...transfer, amount: moneyDocument(transfer.amount) }, events, missing } }, () => text);
}

async function timelineText({ transfer, events, missing }: TransferTimeline, colors: Colors): Promise<string> {
  const table = await plainTable(['When', 'Where', 'Attempt', 'What', 'Detail'], events.map(eventRow), colors, ['Attempt']);
  return [transferText(transfer), '', table, ...missing.map((place) => missingText(place, colors))].join('\n');
}

function eventRow({ at, place, kind, attempt, detail }: TransferEvent): string[] {
  return [at === undefined ? '-' : momentText(at), printable(place), attempt === undefined ? '' : String(attempt), kind, printable(detail)];
}

/** `2026-11-23 09:05:07.042`, in the local time zone. */
function momentText(at: Date): string {
  return `${timeText(at)}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

function missingText({ place, detail }: MissingPlace, colors: Colors): string {
  return `${colors.yellow('missing:')} ${printable(place)}: ${printable(detail)}`;
}
