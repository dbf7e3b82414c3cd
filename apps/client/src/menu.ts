// `strife` alone on a terminal, or `strife <bank> <user>`: the interactive menu.

import type { Entry, Session, Strife } from '@strife/sdk';
import { readAmount } from './amount.ts';
import { balanceText } from './commands/balance.ts';
import { historyTable } from './commands/history.ts';
import { paidText } from './commands/pay.ts';
import type { Context } from './context.ts';
import { describeFailure, UsageError } from './failure.ts';
import { isOver, withStrife } from './gateway.ts';
import { askPassword } from './password.ts';
import { reportPayment } from './payment-report.ts';
import { promptChoice, promptText } from './prompts.ts';
import { replaceSession } from './replace-session.ts';
import { deleteSession, readSession } from './session-file.ts';

const HISTORY_ITEMS = 20;

const CHOICES = [
  { value: 'balance', label: 'Balance' },
  { value: 'pay', label: 'Pay' },
  { value: 'history', label: 'History' },
  { value: 'logout', label: 'Log out' },
  { value: 'quit', label: 'Quit, and stay logged in' },
] as const;

/** Runs until the person logs out or quits. A failed action is told, and the menu goes on. */
export async function menu(context: Context, bank?: string, username?: string): Promise<void> {
  if (!context.isInteractive) {
    throw new UsageError('the menu needs a terminal', { hint: 'Name a command; see strife --help' });
  }
  const stored = usableSession(context, bank, username);
  const session = stored ?? (await logInAtTerminal(context, bank, username));
  if (!session) return;
  context.output.message(`Hello ${session.account}.`);
  await withStrife(context, session, async (strife) => {
    for (;;) {
      const choice = await promptChoice('What would you like to do?', CHOICES);
      if (choice === undefined || choice === 'quit') return;
      const isOut = await attempt(context, () => act(context, strife, choice));
      if (isOut) return;
    }
  });
}

/** The stored session, unless it is over or of somebody else than was asked for. */
function usableSession({ settings }: Context, bank?: string, username?: string): Session | undefined {
  const stored = readSession(settings.sessionFile);
  const isWanted = bank === undefined || stored?.account === `${bank}/${username}`;
  return stored && isWanted && !isOver(stored) ? stored : undefined;
}

async function logInAtTerminal(context: Context, bank?: string, username?: string): Promise<Session | undefined> {
  const atBank = bank ?? (await promptText('Your bank', { placeholder: 'alpha' }));
  const asUser = atBank && (username ?? (await promptText('Your user name', { placeholder: 'alice' })));
  if (!atBank || !asUser) return undefined;
  const password = await askPassword(context, `${atBank}/${asUser}`, false);
  const session = await withStrife(context, undefined, (strife) =>
    strife.login({ bank: atBank, username: asUser, password }),
  );
  await replaceSession(context, session);
  return session;
}

/** True when the person is logged out afterwards. */
async function act(context: Context, strife: Strife, choice: (typeof CHOICES)[number]['value']): Promise<boolean> {
  const { output } = context;
  switch (choice) {
    case 'balance': {
      const balance = await strife.balance();
      output.result({}, () => balanceText(balance));
      return false;
    }
    case 'pay':
      await payAtTerminal(context, strife);
      return false;
    case 'history': {
      const entries: Entry[] = [];
      for await (const entry of strife.history({ limit: HISTORY_ITEMS })) entries.push(entry);
      const table = await historyTable(entries, output.colors);
      output.result({}, () => table);
      return false;
    }
    default:
      await strife.logout();
      deleteSession(context.settings.sessionFile);
      output.message('Logged out.');
      return true;
  }
}

async function payAtTerminal({ output }: Context, strife: Strife): Promise<void> {
  const currency = strife.session?.currency ?? '';
  const to = await promptText('Pay whom?', { placeholder: 'beta/bob' });
  const amountText = to && (await promptText(`How much, in ${currency}?`, { placeholder: '12.50' }));
  if (!to || !amountText) return;
  const memo = await promptText('Memo', { placeholder: 'none', optional: true });
  if (memo === undefined) return;
  const amount = readAmount(amountText, currency);
  try {
    const transfer = await strife.transfers.create({ to, amount, memo });
    output.result({}, () => paidText(transfer));
  } catch (error) {
    const report = reportPayment(error, { to, amount, memo });
    if (!report || (error as Error).name === 'AuthenticationError') throw error;
    output.failure(report.failure, error);
  }
}

/** Runs an action and tells its failure. True to leave the menu: the person is logged out, or wants to stop. */
async function attempt({ output, settings, signal }: Context, action: () => Promise<boolean>): Promise<boolean> {
  try {
    return await action();
  } catch (error) {
    output.failure(describeFailure(error), error);
    if ((error as Error).name !== 'AuthenticationError') return signal.aborted;
    deleteSession(settings.sessionFile);
    return true;
  }
}
