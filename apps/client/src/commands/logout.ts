// `strife logout`

import type { Context } from '../context.ts';
import { timeText } from '../format.ts';
import { isOver, withQueue } from '../gateway.ts';
import { agreeToKeep } from '../keep-queue.ts';
import { forgetLogin, readSession, sessionEndMs } from '../session-file.ts';

/**
 * Revokes the session at the gateway and deletes it here. If it may not have been revoked it stays: nothing else could revoke it later. Queued
 * payments are never dropped: they wait for the next login, once the person has said so.
 */
export async function logout(context: Context, { keepQueue = false }: { keepQueue?: boolean } = {}): Promise<void> {
  const { output, settings } = context;
  const session = readSession(settings.sessionFile);
  if (!session) {
    output.result({ session: null }, () => 'Nobody is logged in.');
    return;
  }
  await withQueue(context, { background: false }, async (strife) => {
    const { account } = session;
    const pending = await strife.queue.pending(account);
    await agreeToKeep(context, { account, pending, keepQueue, question: 'Log out?', keepCommand: 'strife logout --keep-queue' });
    try {
      if (!isOver(session)) await strife.logout({ keepQueue: true });
    } catch (error) {
      const until = timeText(new Date(sessionEndMs(session)));
      output.message(`Still logged in as ${session.account}. Repeat: strife logout. Without it the session lives until ${until}.`);
      throw error;
    }
    await forgetLogin(settings.sessionFile, session.account);
  });
  output.result({ session: null, account: session.account }, () => `Logged out ${session.account}.`);
}
