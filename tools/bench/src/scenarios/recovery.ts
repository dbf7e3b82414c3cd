// Scenario h: how long after a restart nothing is in doubt any more.

import { PAYEE_BANK, PAYER_BANK, GATEWAY } from '../books/make-books.ts';
import { cpuMicros, cpuMicrosBetween, peakRssBytes } from '../measure/process-usage.ts';
import type { Sample } from '../measure/sample.ts';
import { formatCount } from '../report/format.ts';
import type { Stage } from '../stage.ts';
import { decideUndelivered, putInDoubt, untilNothingInDoubt } from './in-doubt.ts';
import type { Probe, RecoveryVariant, Setting } from './probe.ts';

interface Variant {
  readonly title: string;
  /** The gateway decided and told nobody; otherwise it never decided. */
  readonly isDecided: boolean;
  /** Who goes down and is started again. */
  readonly restarted: readonly string[];
}

const VARIANTS: Readonly<Record<RecoveryVariant, Variant>> = {
  undecided: { title: 'in doubt, never decided; the gateway restarts', isDecided: false, restarted: [GATEWAY] },
  undelivered: { title: 'in doubt, decided and undelivered; the gateway restarts', isDecided: true, restarted: [GATEWAY] },
  all: { title: 'in doubt, decided and undelivered; gateway and banks restart', isDecided: true, restarted: [PAYER_BANK, PAYEE_BANK, GATEWAY] },
};

export function recoveryProbes(setting: Setting): Probe[] {
  const { profile } = setting;
  return profile.recovery.map((name) => ({
    key: `h.${name}`, title: `${formatCount(profile.inDoubt)} ${VARIANTS[name].title}`, unit: 'payments', roundsMax: profile.recoveryRounds,
    async measure() {
      const variant = VARIANTS[name];
      const stage = await setting.openStage(variant.title, { accounts: profile.accounts, pastPayments: 0 }, 1);
      const sample = await recover(stage, variant, profile.inDoubt);
      await setting.closeStage(stage);
      return sample;
    },
  }));
}

async function recover(stage: Stage, { isDecided, restarted }: Variant, payments: number): Promise<Sample> {
  const { cluster } = stage;
  const proposals = await putInDoubt(stage, payments);
  if (isDecided) await decideUndelivered(stage, proposals);
  await Promise.all(restarted.map((name) => cluster.service(name).kill('SIGKILL')));
  // A process that is gone has used nothing: its successor begins at zero.
  const before = cpuMicros(Object.values(stage.watched()).flat());
  const startedAt = performance.now();
  // Whether the gateway is ready first or nothing is in doubt first: both must be, and the store is asked, not the log.
  await Promise.all([...restarted.map((name) => cluster.service(name).restart()), untilNothingInDoubt(stage)]);
  const seconds = (performance.now() - startedAt) / 1000;
  const processes = Object.fromEntries(Object.entries(stage.watched()).map(([name, pids]) => {
    const used = cpuMicrosBetween(before, cpuMicros(pids));
    return [name, { cpuMicrosPerItem: used === undefined ? undefined : used / payments, peakRssBytes: peakRssBytes(pids) }];
  }));
  return { count: payments, seconds, perSecond: payments / seconds, latencyMs: undefined, failures: {}, processes };
}
