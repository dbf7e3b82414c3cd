// Storing a new login where there may be an old one.

import type { Session } from '@strife/sdk';
import type { Context } from './context.ts';
import { isOver, withStrife } from './gateway.ts';
import { readSession, writeSession } from './session-file.ts';

/**
 * Revokes the session that was stored here, if any, and stores the new one. That the old one could not be revoked is said
 * and does not stop the new one: it ends by itself.
 */
export async function replaceSession(context: Context, session: Session): Promise<void> {
  const { output, settings } = context;
  const old = readSession(settings.sessionFile);
  if (old && !isOver(old)) {
    try {
      await withStrife(context, old, (strife) => strife.logout());
      output.message(`Logged out ${old.account} first.`);
    } catch {
      output.message(`The session of ${old.account} before could not be revoked; it is forgotten here and ends by itself.`);
    }
  }
  writeSession(settings.sessionFile, session);
}
