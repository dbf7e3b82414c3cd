// Storing a new login where there may be an old one.

import type { Session } from '@strife/sdk';
import type { Context } from './context.ts';
import { timeText } from './format.ts';
import { isOver, withOldSession, withQueue } from './gateway.ts';
import { agreeToKeep, type Leaving } from './keep-queue.ts';
import { readSession, sessionEndMs, storeLogin } from './session-file.ts';

/**
 * To be called before `account` logs in: whoever is logged in here will be logged out by that. Throws UsageError if payments of that one are
 * queued, unless the person wants them to wait.
 */
export async function agreeToReplace(context: Context, account: string, how: Pick<Leaving, 'keepQueue' | 'keepCommand'>): Promise<void> {
  const old = readSession(context.settings.sessionFile);
  if (!old || old.account === account) return;
  const question = `Log in as ${account}?`;
  await withQueue(context, { background: false }, async ({ queue }) =>
    agreeToKeep(context, { ...how, account: old.account, pending: await queue.pending(old.account), question }),
  );
}

/**
 * Revokes the session that was stored here, if any, and stores the new one. That the old one could not be revoked is said
 * with the time when it ends by itself, and does not stop the new one. What another account has queued waits for its next login.
 */
export async function replaceSession(context: Context, session: Session): Promise<void> {
  const { output, settings } = context;
  const old = readSession(settings.sessionFile);
  if (old && !isOver(old)) {
    try {
      await withOldSession(context, old, { withQueue: old.account !== session.account }, (strife) => strife.logout({ keepQueue: true }));
      output.message(`Logged out ${old.account} first.`);
    } catch {
      const until = timeText(new Date(sessionEndMs(old)));
      output.message(`The session of ${old.account} before could not be revoked; it is forgotten here and lives until ${until}.`);
    }
  }
  await storeLogin(settings.sessionFile, session);
}
