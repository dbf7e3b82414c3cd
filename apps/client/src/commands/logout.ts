// `strife logout`

import type { Context } from '../context.ts';
import { UsageError } from '../failure.ts';
import { timeText } from '../format.ts';
import { isOver, withQueue } from '../gateway.ts';
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
    await agreeToKeep(context, session.account, keepQueue, await strife.queue.pending(session.account));
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

/** Throws UsageError unless nothing is queued, or the person wants to log out all the same. */
async function agreeToKeep({ isInteractive }: Context, account: string, keepQueue: boolean, pending: number): Promise<void> {
  if (pending === 0 || keepQueue) return;
  const what = `${pending === 1 ? '1 payment' : `${pending} payments`} of ${account} ${pending === 1 ? 'is' : 'are'} still queued and would wait for the next login`;
  if (isInteractive) {
    const { promptYesNo } = await import('../prompts.ts');
    if (await promptYesNo(`${what}. Log out?`)) return;
  }
  throw new UsageError(what, { field: 'keep-queue', hint: 'Deliver them: strife queue flush\nOr keep them: strife logout --keep-queue' });
}
