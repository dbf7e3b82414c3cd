// What a run has open while it measures: stages and load processes, opened as scenarios ask for them.

import { join } from 'node:path';
import { startLoad, type LoadProcess } from './load/load-process.ts';
import { takeSample } from './measure/sample.ts';
import type { StageAudit } from './result.ts';
import type { Profile, Setting } from './scenarios/probe.ts';
import { openStage, type Stage } from './stage.ts';

export interface SettingOptions {
  readonly profile: Profile;
  /** Of this run. */
  readonly folder: string;
  /** Where books are kept from run to run. */
  readonly cache: string;
  readonly onProgress: (text: string) => void;
  readonly signal: AbortSignal;
  /** The services of the first stage write CPU profiles here when they stop. */
  readonly profilesDirectory?: string | undefined;
}

export interface OpenSetting extends Omit<Setting, 'stage'> {
  /** What was left out or went otherwise than asked for. */
  readonly notes: readonly string[];
  /** Of the stages that were closed. */
  readonly audits: readonly StageAudit[];
  /** Closes the stages that are still open, and returns all audits. */
  closeStages(): Promise<StageAudit[]>;
  /** Stops the stages that are still open, without an audit. */
  abandonStages(): Promise<void>;
  stopLoads(): Promise<void>;
}

/** An audit of large books takes gigabytes. */
const AUDITS_AT_ONCE = 2;

export function createSetting({ profile, folder, cache, onProgress, signal, profilesDirectory }: SettingOptions): OpenSetting {
  const stages = new Set<Stage>();
  const audits: StageAudit[] = [];
  const notes: string[] = [];
  const loads = new Map<string, Promise<LoadProcess>>();
  let stagesOpened = 0;

  async function closeStage(stage: Stage): Promise<void> {
    stages.delete(stage);
    audits.push({ stage: stage.name, ...(await stage.close()) });
  }

  return {
    profile, notes, audits, closeStage,
    progress: onProgress,
    note(text) {
      notes.push(text);
      onProgress(text);
    },
    async openStage(name, plan, payers) {
      const profiles = stagesOpened === 0 ? profilesDirectory : undefined;
      stagesOpened += 1;
      const directory = join(folder, `stage-${stagesOpened}`);
      const stage = await openStage({ name, plan, payers, directory, cache, signal, profilesDirectory: profiles });
      stages.add(stage);
      return stage;
    },
    async sample(name, job, watched, seconds = profile.seconds) {
      let load = loads.get(name);
      if (load === undefined) {
        load = startLoad();
        loads.set(name, load);
      }
      return takeSample(await load, job, { warmupMs: profile.warmupMs, seconds }, watched);
    },
    async closeStages() {
      const waiting = [...stages].values();
      await Promise.all(Array.from({ length: AUDITS_AT_ONCE }, async () => {
        for (const stage of waiting) await closeStage(stage);
      }));
      return audits;
    },
    async abandonStages() {
      await Promise.all([...stages].map((stage) => stage.abandon()));
    },
    async stopLoads() {
      await Promise.all([...loads.values()].map(async (load) => (await load).stop()));
    },
  };
}
