// Scenarios a, b, c, d and i: payments in every way in which they can be sent.

import { PAYEE_BANK } from '../books/make-books.ts';
import type { Payees } from '../load/job.ts';
import { formatCount } from '../report/format.ts';
import type { Probe, Setting } from './probe.ts';

/** Calls of a batch that are under way at once. */
export const BATCH_CALLERS = 8;

/** Coalesced: the callers share one client, and thereby one payer. */
export function coalescedProbes({ profile, stage, sample }: Setting): Probe[] {
  return profile.callers.map((callers) => ({
    key: `a.${callers}`, title: `${formatCount(callers)} callers, one client, create`, unit: 'payments', floor: 'floor.sqlite',
    measure: async () => sample('sdk', {
      kind: 'sdk-create', target: await stage.target(), payees: stage.payees('payee'), wait: 'settled', callers, coalesce: true,
    }, stage.watched),
  }));
}

/** From the lean generator, and from the SDK. */
export function batchProbes(setting: Setting): Probe[] {
  const payees = setting.stage.payees('payee');
  return [batchProbe(setting, 'b', 'between banks', { payees }), batchProbe(setting, 'b.sdk', 'between banks, createMany', { payees, generator: 'sdk' })];
}

export function sameBankProbes(setting: Setting): Probe[] {
  return [batchProbe(setting, 'd', 'inside one bank', { payees: setting.stage.payees('payer') })];
}

export function hotAccountProbes(setting: Setting): Probe[] {
  return [
    batchProbe(setting, 'i.from', 'all from one account', { payees: setting.stage.payees('payee'), onePayer: true }),
    batchProbe(setting, 'i.to', 'all to one account', { payees: { bank: PAYEE_BANK, first: 1, last: 1 } }),
  ];
}

/** One RPC a payment: from the lean generator, waiting as short as can be and as usual; and from the SDK. */
export function unaryProbes({ profile, stage, sample }: Setting): Probe[] {
  const lean = (concurrency: number, wait: 'decided' | 'settled'): Probe => ({
    key: `c.lean.${concurrency}${wait === 'decided' ? '.decided' : ''}`,
    title: `lean generator, ${concurrency} at once, ${wait}`, unit: 'payments', floor: concurrency === 1 ? 'floor.call.1' : 'floor.call.64',
    measure: async () => sample('lean', {
      kind: 'unary', target: await stage.target(), payees: stage.payees('payee'), wait, concurrency,
    }, stage.watched),
  });
  const sdk = (concurrency: number): Probe => ({
    key: `c.sdk.${concurrency}`, title: `SDK without coalescing, ${concurrency} at once, settled`, unit: 'payments', floor: 'floor.call.64',
    measure: async () => sample('sdk', {
      kind: 'sdk-create', target: await stage.target(), payees: stage.payees('payee'), wait: 'settled', callers: concurrency, coalesce: false,
    }, stage.watched),
  });
  return [lean(1, 'decided'), ...profile.unary.map((concurrency) => lean(concurrency, 'settled')), ...profile.unarySdk.map(sdk)];
}

interface BatchTerms {
  readonly payees: Payees;
  readonly onePayer?: boolean;
  readonly generator?: 'lean' | 'sdk';
}

function batchProbe({ profile, stage, sample }: Setting, key: string, title: string, { payees, onePayer = false, generator = 'lean' }: BatchTerms): Probe {
  const { batchItems } = profile;
  const callers = BATCH_CALLERS;
  return {
    key, title: `${title}, ${callers} callers of ${formatCount(batchItems)}`, unit: 'payments', floor: 'floor.sqlite',
    async measure() {
      const all = await stage.target();
      const target = onePayer ? { ...all, sessions: all.sessions.slice(0, 1) } : all;
      return sample(generator, { kind: `${generator}-batch`, target, payees, wait: 'settled', callers, batchItems }, stage.watched);
    },
  };
}
