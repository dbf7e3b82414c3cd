// `strife pay <bank>/<user> <amount>`

import type { Transfer } from '@strife/sdk';
import { readAmount } from '../amount.ts';
import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { moneyText, printable, transferDocument } from '../format.ts';
import { withSession } from '../gateway.ts';
import { reportPayment } from '../payment-report.ts';

export interface PayOptions {
  currency?: string;
  memo?: string;
  id?: string;
  wait?: 'decided' | 'settled';
  profile?: string;
}

export async function pay(context: Context, to: string, amountText: string, options: PayOptions): Promise<ExitCode> {
  const { output } = context;
  return withSession(context, async (strife, session) => {
    const amount = readAmount(amountText, options.currency ?? session.currency);
    const { memo, id, wait, profile } = options;
    try {
      const transfer = await strife.transfers.create({ to, amount, memo, id, wait });
      output.result({ transfer: transferDocument(transfer) }, () => paidText(transfer));
      output.message(`See it again: strife transfer show ${transfer.id}`);
      return EXIT.ok;
    } catch (error) {
      const report = reportPayment(error, { to, amount, memo, wait, profile });
      if (!report) throw error;
      output.failure(report.failure, error, report.result);
      return report.failure.exitCode;
    }
  });
}

/** `Paid 12.50 EUR to beta/bob (transfer 0198...).` */
export function paidText({ id, to, amount, replayed }: Transfer): string {
  const replay = replayed ? '\nThis id had been paid before; nothing moved now.' : '';
  return `Paid ${moneyText(amount)} to ${printable(to)} (transfer ${id}).${replay}`;
}
