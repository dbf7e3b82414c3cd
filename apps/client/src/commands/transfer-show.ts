// `strife transfer show <id>`

import { describeDecline, type TransferTimeline } from '@strife/sdk';
import type { Context } from '../context.ts';
import { moneyText, printable, timeText, transferDocument } from '../format.ts';
import { withSession } from '../gateway.ts';

export async function showTransfer(context: Context, id: string): Promise<void> {
  const transfer = await withSession(context, (strife) => strife.transfers.get(id));
  context.output.result({ transfer: transferDocument(transfer) }, () => transferText(transfer));
}

/** The transfer, a line for each of its facts. */
export function transferText(transfer: TransferTimeline['transfer']): string {
  const { id, from, to, amount, memo, state, declineReason, createdAt, decidedAt } = transfer;
  const lines: [string, string][] = [
    ['transfer', id],
    ['state', declineReason === undefined ? state.replace('_', ' ') : `${state}: ${describeDecline(declineReason)}`],
    ['from', printable(from)],
    ['to', printable(to)],
    ['amount', moneyText(amount)],
    ...(memo === '' ? [] : [['memo', printable(memo)] as [string, string]]),
    ['created', timeText(createdAt)],
    ...(decidedAt ? [['decided', timeText(decidedAt)] as [string, string]] : []),
  ];
  return lines.map(([name, value]) => `${name.padEnd(9)} ${value}`).join('\n');
}
