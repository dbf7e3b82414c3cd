// One run of the benchmark: opens what the scenarios need, measures all probes round by round, stops everything, audits the books.

import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { loadTls } from '@strife/certs';
import { startEmptyCallServer } from './floors/empty-call-server.ts';
import type { Sample } from './measure/sample.ts';
import { startPeer, type PostgresPeer } from './peers/postgres-peer.ts';
import { formatCount } from './report/format.ts';
import type { BenchResult, Machine, StageAudit } from './result.ts';
import { floorProbes } from './scenarios/floors.ts';
import { growthProbes } from './scenarios/growth.ts';
import { batchProbes, coalescedProbes, hotAccountProbes, sameBankProbes, unaryProbes } from './scenarios/payments.ts';
import { peerProbes } from './scenarios/peer.ts';
import type { Probe, Profile, ScenarioLetter, Setting } from './scenarios/probe.ts';
import { loginProbes, readProbes } from './scenarios/reads-and-logins.ts';
import { recoveryProbes } from './scenarios/recovery.ts';
import { createSetting } from './setting.ts';

export interface BenchOptions {
  readonly profile: Profile;
  readonly scenarios: readonly ScenarioLetter[];
  /** Books are kept here, and a run works in a folder of its own below it. */
  readonly directory: string;
  readonly command: string;
  readonly onProgress: (text: string) => void;
  readonly onSample: (round: number, probe: Probe, sample: Sample) => void;
  /** Ends the run early; what it started is stopped. */
  readonly signal: AbortSignal;
  /** The services of the first stage write CPU profiles here when they stop. */
  readonly profilesDirectory?: string | undefined;
}

/** @throws Error when something cannot be started or measured, or the reason of `signal`; everything is stopped then, too */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const { profile, scenarios, signal } = options;
  const startedAt = new Date();
  await using run = await openRun(options);
  const { setting } = run;
  const probes = [
    ...run.floors,
    ...(run.peer === undefined ? [] : peerProbes(setting, run.peer)),
    ...(await scenarioProbes(scenarios, setting, run.cache)),
  ];
  const results = probes.map((probe) => ({ probe, samples: [] as (Sample | null)[] }));
  for (let round = 0; round < profile.rounds; round++) {
    for (const { probe, samples } of results) {
      const isDue = round < (probe.roundsMax ?? profile.rounds);
      const sample = isDue ? await orAborted(probe.measure(), signal) : null;
      samples.push(sample);
      if (sample !== null) options.onSample(round, probe, sample);
    }
  }
  const peer = run.peer === undefined
    ? { kind: 'missing' as const, why: run.whyNoPeer }
    : { kind: 'ran' as const, version: run.peer.version, fault: await run.peer.findFault() };
  const audits = await orAborted(run.close(), signal);
  return {
    version: 1,
    profile: profile.name,
    command: options.command,
    commit: commitOf(),
    startedAt: startedAt.toISOString(),
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    machine: machine(),
    inDoubt: profile.inDoubt,
    probes: results.map(({ probe: { key, title, unit, floor }, samples }) => ({ key, title, unit, floor, samples })),
    audits, peer,
    notes: run.notes,
  };
}

interface Run extends AsyncDisposable {
  readonly setting: Setting;
  readonly floors: readonly Probe[];
  readonly peer: PostgresPeer | undefined;
  readonly whyNoPeer: string;
  readonly cache: string;
  readonly notes: readonly string[];
  /** Stops every cluster and audits its books. */
  close(): Promise<StageAudit[]>;
}

async function openRun(options: BenchOptions): Promise<Run> {
  const { profile, directory } = options;
  await using opened = new AsyncDisposableStack();
  const cache = resolve(directory);
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'run-'));
  // The peer's servers run as another user when this process is root's.
  await chmod(folder, 0o711);
  const open = createSetting({ ...options, folder, cache });
  // Removed when nothing of worth is in it: the stores of an audit that is not clean stay.
  opened.defer(async () => {
    if (open.audits.every(({ clean }) => clean)) await rm(folder, { recursive: true, force: true });
  });
  opened.defer(open.abandonStages);
  const stage = await open.openStage(`${formatCount(profile.accounts)} accounts a bank, all other scenarios`, { accounts: profile.accounts, pastPayments: 0 }, profile.payers);
  const setting: Setting = { ...open, stage };

  const { certs } = stage.cluster.directories;
  const server = await startEmptyCallServer(certs);
  opened.defer(() => server.stop());
  const floors = floorProbes(setting, { directory: folder, server, tls: await loadTls(certs, 'client/dev') });
  const { peer, whyNoPeer } = await openPeer(options, join(folder, 'postgres'));
  if (peer !== undefined) opened.defer(peer.stop);
  // Last, so that they stop first: a load whose server goes away would complain.
  opened.defer(open.stopLoads);
  const owned = opened.move();
  return {
    setting, floors, peer, whyNoPeer, cache,
    notes: open.notes,
    close: open.closeStages,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openPeer({ profile, onProgress }: BenchOptions, directory: string): Promise<{ peer: PostgresPeer | undefined; whyNoPeer: string }> {
  if (profile.peerSingle.length + profile.peerBulk.length === 0) return { peer: undefined, whyNoPeer: 'it was not asked for' };
  try {
    return { peer: await startPeer(directory, profile.accounts), whyNoPeer: '' };
  } catch (error) {
    const whyNoPeer = (error as Error).message;
    onProgress(`there is no PostgreSQL to compare with: ${whyNoPeer}`);
    return { peer: undefined, whyNoPeer };
  }
}

async function scenarioProbes(scenarios: readonly ScenarioLetter[], setting: Setting, cache: string): Promise<Probe[]> {
  const probesOf: Record<ScenarioLetter, () => Probe[] | Promise<Probe[]>> = {
    a: () => coalescedProbes(setting), b: () => batchProbes(setting), c: () => unaryProbes(setting), d: () => sameBankProbes(setting),
    e: () => readProbes(setting), f: () => loginProbes(setting), g: () => growthProbes(setting, cache), h: () => recoveryProbes(setting),
    i: () => hotAccountProbes(setting),
  };
  const probes: Probe[] = [];
  for (const letter of scenarios) probes.push(...(await probesOf[letter]()));
  return probes;
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // Whoever loses the race may still reject when everything is stopped.
  work.catch(() => {});
  signal.throwIfAborted();
  const listening = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { signal: listening.signal });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    listening.abort();
  }
}

function commitOf(): string {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`;
  } catch {
    return 'unknown';
  }
}

function machine(): Machine {
  const [cpu] = cpus();
  return {
    cpus: cpus().length, cpuModel: cpu?.model.trim() ?? 'unknown', memoryBytes: totalmem(), system: `${platform()} ${release()} ${arch()}`, node: process.version,
  };
}
