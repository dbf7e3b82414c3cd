// `strife pay <bank>/<user> <amount>`

import type { Transfer } from '@strife/sdk';
import { readAmount } from '../amount.ts';
import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { readExpiry } from '../expiry.ts';
import { UsageError } from '../failure.ts';
import { moneyText, printable, transferDocument } from '../format.ts';
import { withSession } from '../gateway.ts';
import { payOffline } from '../offline-payment.ts';
import { reportPayment } from '../payment-report.ts';

export interface PayOptions {
  currency?: string;
  memo?: string;
  id?: string;
  wait?: 'decided' | 'settled';
  offline?: boolean;
  expiresIn?: string;
  expiresAt?: string;
}

export async function pay(context: Context, to: string, amountText: string, options: PayOptions): Promise<ExitCode> {
  const { currency, memo, wait, offline = false } = options;
  const id = options.id?.trim();
  const expiry = readExpiry(options);
  if (offline) {
    if (wait !== undefined) throw new UsageError('wait: an offline payment does not wait; leave --wait out', { field: 'wait' });
    return payOffline(context, { to: to.trim(), amountText, currency, memo, id, ...expiry });
  }
  const { output, settings } = context;
  const { expiresInMs, expiresAt = expiresInMs === undefined ? undefined : new Date(Date.now() + expiresInMs) } = expiry;
  return withSession(context, async (strife, session) => {
    const amount = readAmount(amountText, currency ?? session.currency);
    try {
      const transfer = await strife.transfers.create({ to: to.trim(), amount, memo, id, wait, expiresAt });
      output.result({ transfer: transferDocument(transfer) }, () => paidText(transfer));
      output.message(`See it again: strife transfer show ${transfer.id}`);
      return EXIT.ok;
    } catch (error) {
      const report = reportPayment(error, { to: to.trim(), amount, memo, wait, expiresAt, typedFlags: settings.typedFlags, id });
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
