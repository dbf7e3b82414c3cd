// `strife whoami`

import type { Context } from '../context.ts';
import { timeText } from '../format.ts';
import { currentSession } from '../gateway.ts';

/** Tells from what is stored here; asks no gateway. */
export async function whoami({ output, settings }: Context): Promise<void> {
  const { account, currency, expiresAtMs } = currentSession(settings);
  const expiresAt = new Date(expiresAtMs);
  output.result({ session: { account, currency, expiresAt } }, () => account);
  output.message(`Logged in until ${timeText(expiresAt)}; the account is in ${currency}.`);
}
