// Storing a new login where there may be an old one.

import type { Session } from '@strife/sdk';
import type { Context } from './context.ts';
import { timeText } from './format.ts';
import { isOver, withOldSession } from './gateway.ts';
import { readSession, sessionEndMs, storeLogin } from './session-file.ts';

/**
 * Revokes the session that was stored here, if any, and stores the new one. That the old one could not be revoked is said
 * with the time when it ends by itself, and does not stop the new one.
 */
export async function replaceSession(context: Context, session: Session): Promise<void> {
  const { output, settings } = context;
  const old = readSession(settings.sessionFile);
  if (old && !isOver(old)) {
    try {
      await withOldSession(context, old, (strife) => strife.logout());
      output.message(`Logged out ${old.account} first.`);
    } catch {
      const until = timeText(new Date(sessionEndMs(old)));
      output.message(`The session of ${old.account} before could not be revoked; it is forgotten here and lives until ${until}.`);
    }
  }
  await storeLogin(settings.sessionFile, session);
}
