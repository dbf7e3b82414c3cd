// What the loads that pay share: whom to pay, and how failures are counted.

import type { Payees, SdkBatchJob } from './job.ts';

/** Any of the payees, each as likely, but for the payer, written `alpha/u1`: nobody may pay to their own account. */
export function anyPayee({ bank, first, last }: Payees, payer?: string): string {
  const account = `u${first + Math.floor(Math.random() * (last - first + 1))}`;
  return `${bank}/${account}` === payer ? `u${payer.endsWith(`/u${last}`) ? first : last}` : account;
}

/** Whom this payer, written `alpha/u1`, pays. */
export function payeesOf({ payees, back }: Pick<SdkBatchJob, 'payees' | 'back'>, payer: string | undefined): Payees {
  return back !== undefined && payer?.startsWith(`${payees.bank}/`) === true ? back : payees;
}

/** Counts failures by class. */
export function tally(classes: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of classes) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** How an error is counted: by its code where it has one. */
export function classOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'unknown';
}
