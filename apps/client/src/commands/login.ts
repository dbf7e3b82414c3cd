// `strife login <bank> <user>`

import type { Context } from '../context.ts';
import { timeText } from '../format.ts';
import { withStranger } from '../gateway.ts';
import { askPassword } from '../password.ts';
import { agreeToReplace, replaceSession } from '../replace-session.ts';
import { sessionEndMs } from '../session-file.ts';
import { commandLine } from '../shell-words.ts';

/** Whoever was logged in here is logged out. What that one has queued is never dropped: it waits, once the person has said so. */
export async function login(
  context: Context,
  bank: string,
  username: string,
  options: { passwordStdin?: boolean; keepQueue?: boolean },
): Promise<void> {
  const { output } = context;
  const keepCommand = commandLine(['strife', 'login', bank, username, '--keep-queue']);
  await agreeToReplace(context, `${bank}/${username}`, { keepQueue: options.keepQueue ?? false, keepCommand });
  const password = await askPassword(context, `${bank}/${username}`, options.passwordStdin ?? false);
  const session = await withStranger(context, (strife) => strife.login({ bank, username, password }));
  await replaceSession(context, session);
  const { account, currency } = session;
  const expiresAt = new Date(sessionEndMs(session));
  output.result(
    { session: { account, currency, expiresAt } },
    () => `Logged in as ${account}, until ${timeText(expiresAt)}.`,
  );
  output.message('Next: strife balance, or strife pay <bank>/<user> <amount>');
}
