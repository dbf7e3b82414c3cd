// `strife logout`

import type { Context } from '../context.ts';
import { timeText } from '../format.ts';
import { isOver, withStrife } from '../gateway.ts';
import { deleteSession, readSession } from '../session-file.ts';

/** Revokes the session at the gateway and deletes it here. It is deleted here even if the gateway cannot be told. */
export async function logout(context: Context): Promise<void> {
  const { output, settings } = context;
  const session = readSession(settings.sessionFile);
  if (!session) {
    output.result({ session: null }, () => 'Nobody is logged in.');
    return;
  }
  try {
    if (!isOver(session)) await withStrife(context, session, (strife) => strife.logout());
  } catch (error) {
    const until = timeText(new Date(session.expiresAtMs));
    output.message(`Logged out here, but the gateway could not be told: the token is valid until ${until}.`);
    throw error;
  } finally {
    deleteSession(settings.sessionFile);
  }
  output.result({ session: null, account: session.account }, () => `Logged out ${session.account}.`);
}
