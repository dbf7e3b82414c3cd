// `strife` alone on a terminal, or `strife <bank> <user>`: the interactive menu. Payments go through the offline queue, which works
// behind it: what it has to tell appears by itself.

import type { Entry, Session, Strife } from '@strife/sdk';
import { readAmount } from './amount.ts';
import { balanceText } from './commands/balance.ts';
import { historyTable } from './commands/history.ts';
import type { Context } from './context.ts';
import { openDialog, type Dialog } from './dialog.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { describeFailure, UsageError } from './failure.ts';
import { printable } from './format.ts';
import { isOver, withQueue, withStranger } from './gateway.ts';
import { menuInput, type MenuInput } from './menu-input.ts';
import { followResults, type ResultFeed } from './menu-results.ts';
import { queuedText } from './offline-payment.ts';
import { passwordVariable } from './password.ts';
import { promptPassword, promptText } from './prompts.ts';
import { agreeToReplace, replaceSession } from './replace-session.ts';
import { forgetLogin, readSession } from './session-file.ts';

const HISTORY_ITEMS = 20;
/** So long the menu waits for a payment's result before it goes on; the result then comes as a notice. */
const PATIENCE_MS = 3000;

const CHOICES = ['balance', 'pay', 'history', 'offline payments', 'log out', 'quit'] as const;
type Choice = (typeof CHOICES)[number];
/** Said by a gateway, or by the SDK after it: this login is over for good. */
const SESSION_IS_OVER: ReadonlySet<unknown> = new Set(['TOKEN_REVOKED', 'SESSION_ENDED', 'SESSION_REVOKED', 'NOT_LOGGED_IN']);
const QUESTION = `${CHOICES.map((choice, index) => `${index + 1} ${choice}`).join('   ')}\n> `;

/** Runs until the person logs out, quits or has no more to say. A failed action is told, and the menu goes on. */
export async function menu(context: Context, bank?: string, username?: string): Promise<ExitCode> {
  const input = await menuInput(context, bank !== undefined);
  try {
    const isLoggedIn = await logInIfNeeded(context, input, bank, username);
    if (!isLoggedIn) return EXIT.interrupted;
    return await withQueue(context, {}, (strife) => converse(context, input, strife));
  } finally {
    input.end();
  }
}

/** What one run of the menu works with. */
interface Conversation {
  readonly context: Context;
  readonly dialog: Dialog;
  readonly strife: Strife;
  readonly account: string;
  readonly results: ResultFeed;
  /** Aborts at the first Ctrl-C. */
  readonly interruption: AbortSignal;
}

/** The dialog reads the keyboard from here on, and only from here: what reads a password must be alone with it. */
async function converse(context: Context, input: MenuInput, strife: Strife): Promise<ExitCode> {
  const dialog = openDialog(input.stream, input.answers);
  const interruption = new AbortController();
  dialog.onInterrupt(() => {
    if (interruption.signal.aborted) process.exit(EXIT.interrupted);
    interruption.abort();
  });
  context.signal.addEventListener('abort', () => dialog.close(), { once: true });
  try {
    using results = followResults(strife.queue, (payment) => dialog.say(queuedText(payment)), (error) => dialog.say(describeFailure(error).message));
    const account = strife.session?.account ?? '';
    dialog.say(`Hello ${account}.`);
    return await serve({ context, dialog, strife, account, results, interruption: interruption.signal });
  } finally {
    dialog.close();
  }
}

async function serve(conversation: Conversation): Promise<ExitCode> {
  const { context, dialog, interruption } = conversation;
  for (;;) {
    const typed = interruption.aborted ? undefined : await dialog.ask(QUESTION);
    if (context.signal.aborted) return EXIT.interrupted;
    if (interruption.aborted) return await leave(conversation);
    if (typed === undefined) return await sayQueued(conversation);
    const choice = choiceOf(typed);
    if (choice === undefined) {
      dialog.say(`Type a number or a word: ${CHOICES.join(', ')}.`);
      continue;
    }
    if (choice === 'quit') return await sayQueued(conversation);
    const exitCode = await attempt(conversation, () => act(conversation, choice));
    if (exitCode !== undefined) return exitCode;
  }
}

/** `2`, `pay`, or the beginning of one word only. */
function choiceOf(typed: string): Choice | undefined {
  const word = typed.toLowerCase();
  if (/^\d+$/.test(word)) return CHOICES[Number(word) - 1];
  const meant = word === '' ? [] : CHOICES.filter((choice) => choice.startsWith(word));
  return meant.length === 1 ? meant[0] : undefined;
}

/** False if the person left. */
async function logInIfNeeded(context: Context, { password }: MenuInput, bank?: string, username?: string): Promise<boolean> {
  if (password === undefined && usableSession(context, bank, username)) return true;
  const atBank = bank ?? (await promptText('Your bank', { placeholder: 'alpha' }));
  const asUser = atBank && (username ?? (await promptText('Your user name', { placeholder: 'alice' })));
  if (!atBank || !asUser) return false;
  await agreeToReplace(context, `${atBank}/${asUser}`, { keepQueue: false, keepCommand: 'strife logout --keep-queue' });
  const secret = password ?? passwordVariable() ?? (await promptPassword(`Password of ${atBank}/${asUser}`));
  const session = await withStranger(context, (strife) => strife.login({ bank: atBank, username: asUser, password: secret }));
  await replaceSession(context, session);
  return true;
}

/** The stored session, unless it is over or of somebody else than was asked for. */
function usableSession({ settings }: Context, bank?: string, username?: string): Session | undefined {
  const stored = readSession(settings.sessionFile);
  const isWanted = bank === undefined || stored?.account === `${bank}/${username}`;
  return stored && isWanted && !isOver(stored) ? stored : undefined;
}

/** The exit code when the person is logged out afterwards. */
async function act(conversation: Conversation, choice: Exclude<Choice, 'quit'>): Promise<ExitCode | undefined> {
  const { context, dialog, strife, interruption: signal } = conversation;
  switch (choice) {
    case 'balance':
      dialog.show(balanceText(await strife.balance({ signal })));
      return undefined;
    case 'pay':
      await payAtMenu(conversation);
      return undefined;
    case 'history': {
      const entries: Entry[] = [];
      for await (const entry of strife.history({ limit: HISTORY_ITEMS, signal })) entries.push(entry);
      dialog.show(await historyTable(entries, context.output.colors));
      return undefined;
    }
    case 'offline payments': {
      const payments = await strife.queue.list();
      dialog.show(payments.length === 0 ? 'There are no offline payments.' : payments.map(queuedText).join('\n'));
      return undefined;
    }
    case 'log out':
      return (await logOut(conversation)) ? EXIT.ok : undefined;
  }
}

async function payAtMenu({ dialog, strife, results }: Conversation): Promise<void> {
  const currency = strife.session?.currency ?? '';
  const to = await dialog.ask('Pay whom, such as beta/bob? ');
  const amountText = to && (await dialog.ask(`How much, in ${currency}? `));
  if (!to || !amountText) return;
  const amount = readAmount(amountText, currency);
  const memo = await dialog.ask('Memo, or nothing: ');
  if (memo === undefined) return;
  const queued = await strife.queue.enqueue({ to, amount, memo });
  const isTold = await results.told(queued.id, PATIENCE_MS);
  if (!isTold) dialog.say(`${queuedText(await strife.queue.get(queued.id))} It is saved, and you will be told.`);
}

/** True if the person is logged out now. */
async function logOut({ context, dialog, strife, account, interruption: signal }: Conversation): Promise<boolean> {
  const pending = await strife.queue.pending(account);
  if (pending > 0) {
    const answer = await dialog.ask(`${pending} of your payments ${pending === 1 ? 'is' : 'are'} still queued and would wait for your next login. Log out? (yes/no) `);
    if (!/^y(es)?$/i.test(answer ?? '')) return false;
  }
  await strife.logout({ keepQueue: true, signal });
  await forgetLogin(context.settings.sessionFile, account);
  dialog.say('Logged out.');
  return true;
}

/** Ctrl-C: logs out, unless something is queued, which needs the login to be delivered. */
async function leave(conversation: Conversation): Promise<ExitCode> {
  const { context, dialog, strife, account } = conversation;
  if ((await strife.queue.pending(account)) > 0) {
    await sayQueued(conversation);
    return EXIT.interrupted;
  }
  dialog.say('Logging out. Ctrl-C again leaves at once.');
  try {
    await strife.logout({ keepQueue: true });
  } catch {
    // The only copy of what can revoke the session stays.
    dialog.say('The gateway could not be told, so you are still logged in. Repeat: strife logout');
    return EXIT.interrupted;
  }
  await forgetLogin(context.settings.sessionFile, account);
  dialog.say('Logged out.');
  return EXIT.interrupted;
}

async function sayQueued({ dialog, strife, account }: Conversation): Promise<ExitCode> {
  const pending = await strife.queue.pending(account);
  if (pending === 0) return EXIT.ok;
  dialog.say(`${pending === 1 ? '1 payment stays' : `${pending} payments stay`} queued, and you stay logged in. Deliver: strife queue flush`);
  return EXIT.queued;
}

/** Runs an action and tells its failure. Returns an exit code to leave the menu with: the person is logged out. */
async function attempt({ context, dialog, account, interruption }: Conversation, action: () => Promise<ExitCode | undefined>): Promise<ExitCode | undefined> {
  const { output, settings, signal } = context;
  try {
    return await action();
  } catch (error) {
    if (interruption.aborted || signal.aborted) return undefined;
    const { message, hint, document, exitCode } = describeFailure(error);
    const advice = error instanceof UsageError && hint !== undefined ? `\n${hint}` : '';
    dialog.say(`${output.colors.red('error:')} ${printable(message)}${advice}`);
    if (!SESSION_IS_OVER.has(document['code'])) return undefined;
    await forgetLogin(settings.sessionFile, account);
    return exitCode;
  }
}
