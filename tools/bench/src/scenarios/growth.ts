// Scenario g: the same batches over books with more accounts, and after more payments. The books are in the system's memory as far as they fit:
// other books that are measured in between would push them out.

import { hasRoomFor } from '../books/cached-books.ts';
import { formatCount } from '../report/format.ts';
import type { Stage } from '../stage.ts';
import { BATCH_CALLERS } from './payments.ts';
import type { Probe, Setting } from './probe.ts';

/** Payers on each stage: enough that no account is hot, few enough that logging in is quick. */
const PAYERS = 16;

/** The key of the probe over these books: `g.1000000`, `g.10000.past.10000000`. */
export function growthKey({ accounts, pastPayments }: Stage['plan']): string {
  return `g.${accounts}${pastPayments === 0 ? '' : `.past.${pastPayments}`}`;
}

/** Each size on a cluster of its own, so that rounds can take turns. What the disk has no room for is left out, and said. */
export async function growthProbes(setting: Setting, cache: string): Promise<Probe[]> {
  const { profile, sample } = setting;
  const probes: Probe[] = [];
  for (const plan of profile.growth) {
    const name = describe(plan);
    if (!(await hasRoomFor(cache, plan))) {
      setting.note(`growth to ${name} is left out: the disk has no room for it`);
      continue;
    }
    setting.progress(`books of ${name}`);
    const stage = await setting.openStage(name, plan, PAYERS);
    probes.push({
      key: growthKey(plan), title: `batches over ${name}`, unit: 'payments', floor: 'floor.sqlite',
      async measure() {
        const target = await stage.target();
        await stage.readStores();
        return sample('sdk', {
          kind: 'sdk-batch', target, payees: stage.payees('payee'), wait: 'settled', callers: BATCH_CALLERS, batchItems: profile.batchItems,
        }, stage.watched);
      },
    });
  }
  return probes;
}

function describe({ accounts, pastPayments }: Stage['plan']): string {
  const past = pastPayments === 0 ? '' : `, ${formatCount(pastPayments)} past payments`;
  return `${formatCount(accounts)} accounts a bank${past}`;
}
