// Scenarios e and f: reads; and logins, which cost the bank tens of milliseconds each by design, beside payments.

import { PAYER_BANK } from '../books/make-books.ts';
import type { LoginJob, UnaryJob } from '../load/job.ts';
import { PASSWORD } from '../stage.ts';
import type { Probe, Setting } from './probe.ts';

const READERS = 64;
const LOGINS_AT_ONCE = 16;
/** Far below what the cluster can do, so that waiting, and not being full, is what the flood changes. */
const CALM_PAYMENTS_PER_SECOND = 200;
const CALM_PAYERS = 64;
/** So much longer is the window: at this rate the one payment in a hundred that p99 is about comes by twice a second. */
const CALM_WINDOWS = 4;

export function readProbes({ stage, sample }: Setting): Probe[] {
  return (['balance', 'history'] as const).map((call) => ({
    key: `e.${call}`, title: `${call}, ${READERS} at once`, unit: 'reads', floor: 'floor.call.64',
    measure: async () => sample('lean', { kind: 'read', target: await stage.target(), call, concurrency: READERS }, stage.watched),
  }));
}

export function loginProbes({ profile, stage, sample }: Setting): Probe[] {
  const seconds = CALM_WINDOWS * profile.seconds;
  const logins = async (): Promise<LoginJob> => ({
    kind: 'login', target: await stage.target(), concurrency: LOGINS_AT_ONCE, bank: PAYER_BANK, users: stage.plan.accounts, password: PASSWORD,
  });
  const payments = async (): Promise<UnaryJob> => ({
    kind: 'unary', target: await stage.target(), payees: stage.payees('payee'), wait: 'settled', concurrency: CALM_PAYERS, perSecond: CALM_PAYMENTS_PER_SECOND,
  });
  return [
    {
      key: 'f.logins', title: `logins, ${LOGINS_AT_ONCE} at once`, unit: 'logins',
      measure: async () => sample('sdk', await logins(), stage.watched),
    },
    {
      key: 'f.calm', title: `${CALM_PAYMENTS_PER_SECOND} payments a second arrive`, unit: 'payments',
      measure: async () => sample('lean', await payments(), stage.watched, seconds),
    },
    {
      key: 'f.flood', title: `the same while ${LOGINS_AT_ONCE} log in at once`, unit: 'payments',
      async measure() {
        const [paid, loggedIn] = await Promise.all([
          sample('lean', await payments(), stage.watched, seconds),
          sample('sdk', await logins(), () => ({}), seconds),
        ]);
        return { ...paid, processes: { ...paid.processes, ...prefixed(loggedIn.processes) }, extra: { loginsPerSecond: loggedIn.perSecond } };
      },
    },
  ];
}

function prefixed<Value>(record: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [`login ${name}`, value]));
}
