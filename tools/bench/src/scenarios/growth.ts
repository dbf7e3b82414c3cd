// Scenario g: the same batches over books with more accounts, and after more payments. The books are in the system's memory as far as they fit:
// other books that are measured in between would push them out.

import { hasRoomFor } from '../books/cached-books.ts';
import { formatCount } from '../report/format.ts';
import type { Stage } from '../stage.ts';
import { BATCH_CALLERS } from './payments.ts';
import type { Probe, Setting, Ways } from './probe.ts';

/** Payers of a bank on each stage: enough that no account is hot, few enough that logging in is quick. */
const PAYERS = 16;

/** The key of the probe over these books: `g.1000000`, `g.10000.past.10000000`; `g.1000000.oneway`. */
function growthKey({ accounts, pastPayments }: Stage['plan'], ways: Ways): string {
  return `g.${accounts}${pastPayments === 0 ? '' : `.past.${pastPayments}`}${ways === 'both' ? '' : '.oneway'}`;
}

/** Each size on a cluster of its own, so that rounds can take turns. What the disk has no room for is left out, and said. */
export async function growthProbes(setting: Setting, cache: string): Promise<Probe[]> {
  const { profile } = setting;
  const probes: Probe[] = [];
  for (const plan of profile.growth) {
    const name = describe(plan);
    if (!(await hasRoomFor(cache, plan))) {
      setting.note(`growth to ${name} is left out: the disk has no room for it`);
      continue;
    }
    setting.progress(`books of ${name}`);
    const stage = await setting.openStage(name, plan, PAYERS);
    for (const ways of profile.ways) probes.push(growthProbe(setting, stage, name, ways));
  }
  return probes;
}

function growthProbe({ profile, sample }: Setting, stage: Stage, name: string, ways: Ways): Probe {
  const [from, back, title] = ways === 'both' ? (['both', stage.payees('payer'), 'batches both ways'] as const) : (['payer', undefined, 'all one way'] as const);
  return {
    key: growthKey(stage.plan, ways), title: `${title} over ${name}`, unit: 'payments', floor: 'floor.sqlite',
    async measure() {
      const target = await stage.target(from);
      await stage.readStores();
      return sample('sdk', {
        kind: 'sdk-batch', target, payees: stage.payees('payee'), back, wait: 'settled', callers: BATCH_CALLERS, batchItems: profile.batchItems,
      }, stage.watched);
    },
  };
}

function describe({ accounts, pastPayments }: Stage['plan']): string {
  const past = pastPayments === 0 ? '' : `, ${formatCount(pastPayments)} past payments`;
  return `${formatCount(accounts)} accounts a bank${past}`;
}
