// `strife whoami`

import type { Context } from '../context.ts';
import { timeText } from '../format.ts';
import { currentSession } from '../gateway.ts';
import { sessionEndMs } from '../session-file.ts';

/** Tells from what is stored here; asks no gateway. */
export async function whoami({ output, settings }: Context): Promise<void> {
  const session = currentSession(settings);
  const { account, currency } = session;
  const expiresAt = new Date(sessionEndMs(session));
  output.result({ session: { account, currency, expiresAt } }, () => account);
  output.message(`Logged in until ${timeText(expiresAt)}; the account is in ${currency}.`);
}
