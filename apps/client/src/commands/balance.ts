// `strife balance`

import type { Balance } from '@strife/sdk';
import type { Context } from '../context.ts';
import { balanceDocument, moneyText } from '../format.ts';
import { withSession } from '../gateway.ts';

export async function balance(context: Context): Promise<void> {
  const current = await withSession(context, (strife) => strife.balance());
  context.output.result({ balance: balanceDocument(current) }, () => balanceText(current));
}

/** What may be spent; what is held too, if anything is. */
export function balanceText({ account, posted, held, available }: Balance): string {
  const line = `${account}: ${moneyText(available)}`;
  if (held.minorUnits === 0n) return line;
  return `${line} available (${moneyText(posted)} posted, ${moneyText(held)} held for payments under way)`;
}
