// What becomes of queued payments when their payer is logged out. None is ever dropped: they wait, once the person has said so.

import type { Context } from './context.ts';
import { UsageError } from './failure.ts';
import { printable } from './format.ts';

export interface Leaving {
  /** Who is logged out. */
  readonly account: string;
  /** How many payments of that account are queued. */
  readonly pending: number;
  /** The person has said already that they are to wait. */
  readonly keepQueue: boolean;
  /** To ask at a terminal: `Log out?` */
  readonly question: string;
  /** The command with which the person says so. */
  readonly keepCommand: string;
}

/** Says what stays queued. Throws UsageError unless nothing does, or the person wants to leave all the same. */
export async function agreeToKeep({ isInteractive, output }: Context, { account, pending, keepQueue, question, keepCommand }: Leaving): Promise<void> {
  if (pending === 0) return;
  const payer = printable(account);
  const payments = `${pending === 1 ? '1 payment' : `${pending} payments`} of ${payer}`;
  const what = `${payments} ${pending === 1 ? 'is' : 'are'} still queued and would wait for the next login of ${payer}`;
  if (!keepQueue) {
    const isAgreed = isInteractive && (await (await import('./prompts.ts')).promptYesNo(`${what}. ${question}`));
    if (!isAgreed) {
      const dropThem = 'Or drop what was never sent: strife queue list, then strife queue drop <id>';
      throw new UsageError(what, { field: 'keep-queue', hint: `Deliver them: strife queue flush\nOr keep them: ${keepCommand}\n${dropThem}` });
    }
  }
  output.message(`${payments} ${pending === 1 ? 'stays' : 'stay'} queued until ${payer} logs in.`);
}
