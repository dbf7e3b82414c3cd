// What is measured: probes, grouped by scenario, and the setting that they are measured in.

import type { Job } from '../load/job.ts';
import type { Sample, Watched } from '../measure/sample.ts';
import type { Stage } from '../stage.ts';

/** The scenarios by their letters, and what they are compared with. */
export const SCENARIOS = {
  a: 'coalesced: single payments of many callers through one SDK client',
  b: 'batch RPC, 1,000 payments a call',
  c: 'unary: one RPC a payment',
  d: 'inside one bank, 1,000 payments a call',
  e: 'reads: balance and history',
  f: 'logins, and payments while logins flood',
  g: 'growth: more accounts, more past payments',
  h: 'recovery: payments in doubt at a restart',
  i: 'hot account: every payment from, or to, one account',
} as const;

export type ScenarioLetter = keyof typeof SCENARIOS;

/** One thing that is measured, once a round. */
export interface Probe {
  /** Stable, for programs: `c.lean.64`, `peer.single.32`, `floor.fdatasync`. */
  readonly key: string;
  readonly title: string;
  readonly unit: 'payments' | 'reads' | 'logins' | 'calls' | 'syncs';
  /** The floor that its throughput is compared with, by key. */
  readonly floor?: string;
  /** For probes that take long: in so many rounds only. */
  readonly roundsMax?: number;
  measure(): Promise<Sample>;
}

/** Never decided; decided and undelivered; the same with the banks restarted, too. */
export type RecoveryVariant = 'undecided' | 'undelivered' | 'all';

/**
 * Both ways, as money goes between banks: the books of both are large, and any customer of either is paid. One way, as on a payday: all that is paid is at
 * one bank, whose one thread all others wait for.
 */
export type Ways = 'both' | 'one';

/** How much of everything: quick, full, or tiny for the test of the benchmark itself. */
export interface Profile {
  readonly name: 'quick' | 'full' | 'tiny';
  readonly rounds: number;
  readonly seconds: number;
  readonly warmupMs: number;
  readonly accounts: number;
  readonly payers: number;
  /** Of (a). */
  readonly callers: readonly number[];
  readonly batchItems: number;
  /** Concurrencies of (c) from the lean generator, and from the SDK. */
  readonly unary: readonly number[];
  readonly unarySdk: readonly number[];
  readonly growth: readonly { readonly accounts: number; readonly pastPayments: number }[];
  /** Of (g). */
  readonly ways: readonly Ways[];
  readonly inDoubt: number;
  readonly recovery: readonly RecoveryVariant[];
  readonly recoveryRounds: number;
  /** Connections at once; none leaves the peer out. */
  readonly peerSingle: readonly number[];
  readonly peerBulk: readonly number[];
}

/** What probes are made of. */
export interface Setting {
  readonly profile: Profile;
  /** The cluster of all scenarios but (g) and (h). */
  readonly stage: Stage;
  /** Another cluster; it is stopped and audited at the end, unless it was closed before. */
  openStage(name: string, plan: Stage['plan'], payers: number): Promise<Stage>;
  /** Closes a stage now, and notes what its audit says. */
  closeStage(stage: Stage): Promise<void>;
  /** Runs a job, for `seconds` or as long as the profile says, in the load process of this name, which is started when it is first needed. */
  sample(load: string, job: Job, watched: Watched, seconds?: number): Promise<Sample>;
  /** Tells the person who waits. */
  progress(text: string): void;
  /** Tells, and writes into the result, what was left out or went otherwise than asked for. */
  note(text: string): void;
}
