// Watching the files of one service in the embedded registry: who lives, who is gone, and what is damaged.

import { watch as watchDirectory, type FSWatcher } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { instanceFile, readService, removeDeadFile } from './instance-files.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { createProblemReporter } from './problem-reporter.ts';
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.ts';
import { sortInstances, type Instance, type RegistryProblem, type ServiceName, type Watch } from './registry.ts';

export interface ObserverOptions {
  readonly directory: string;
  readonly service: ServiceName;
  readonly ttlMs: number;
  readonly pollIntervalMs: number;
  readonly nowMs: () => number;
  readonly onProblem: (problem: RegistryProblem) => void;
  readonly onChange: (instances: readonly Instance[]) => void;
}

/** Of the polls, so many find out only whether the processes live, which is all that nobody tells; the next one looks at the files, too. */
const POLLS_A_LOOK = 5;

/**
 * Looks at once, whenever a file comes or goes, and, by polls every `pollIntervalMs`, when a process is gone and every POLLS_A_LOOK polls;
 * with every poll where the system does not tell of files. One look at a time. Does not keep the process alive.
 */
export function observeService(options: ObserverOptions): Watch {
  const { directory, service, pollIntervalMs, onChange } = options;
  const report = createProblemReporter(options.onProblem);
  let instances: readonly Instance[] = [];
  let owners: readonly ProcessIdentity[] = [];
  let told: string | undefined;
  let polls = 0;
  let isClosed = false;

  const look = oneAtATime(async () => {
    let live: readonly Instance[];
    try {
      ({ live, owners } = await findLive(options, instances, report));
    } catch (error) {
      // The last list stays, and a later look may succeed.
      report(new Map([[join(directory, service), `cannot be read: ${(error as Error).message}`]]));
      return;
    }
    const text = JSON.stringify(live);
    if (isClosed || text === told) return;
    told = text;
    instances = live;
    onChange(live);
  });

  const listener = listen(join(directory, service), look);
  const timer = setInterval(() => {
    polls += 1;
    if (polls % POLLS_A_LOOK === 0 || !listener.hears() || !owners.every(isAlive)) look();
  }, pollIntervalMs).unref();
  look();

  return {
    get instances() {
      return instances;
    },
    close() {
      isClosed = true;
      clearInterval(timer);
      listener.stop();
    },
  };
}

async function findLive(
  { directory, service, ttlMs, nowMs }: ObserverOptions,
  before: readonly Instance[],
  report: (problems: ReadonlyMap<string, string>) => void,
): Promise<{ live: readonly Instance[]; owners: readonly ProcessIdentity[] }> {
  const live: Instance[] = [];
  const owners: ProcessIdentity[] = [];
  const problems = new Map<string, string>();
  for (const [id, found] of await readService(directory, service)) {
    if (found.kind === 'absent') continue;
    if (found.kind !== 'record') {
      // What cannot be read now, as when this process is out of file handles, says nothing about who lives.
      const known = found.kind === 'unreadable' ? before.find((instance) => instance.id === id) : undefined;
      if (known !== undefined) live.push(known);
      problems.set(instanceFile(directory, { service, id }), `${found.problem}; ${known === undefined ? 'ignored' : 'the last known entry stays'}`);
    } else if (!isAlive(found.owner)) {
      // Only tidiness: whoever may not write here ignores the file all the same.
      await removeDeadFile(directory, found.instance, found.text, ownIdentity()).catch(() => {});
    } else if (nowMs() - found.heartbeatAtMs <= ttlMs) {
      live.push(found.instance);
      owners.push(found.owner);
    }
  }
  report(problems);
  return { live: sortInstances(live), owners };
}

/** Calls when a file comes or goes. Where the system cannot tell, nothing is lost: the poll finds it. */
function listen(folder: string, onChange: () => void): { hears(): boolean; stop(): void } {
  let watcher: FSWatcher | undefined;
  let isStopped = false;
  const start = async () => {
    await mkdir(folder, { recursive: true });
    if (isStopped) return;
    // Heartbeats are `change` events, and of no interest.
    watcher = watchDirectory(folder, { persistent: false }, (event, name) => {
      if (event === 'rename' && name?.endsWith('.json')) onChange();
    });
    watcher.on('error', () => {
      watcher?.close();
      watcher = undefined;
    });
    // For what came between the first look and now.
    onChange();
  };
  start().catch(() => {});
  return {
    hears: () => watcher !== undefined,
    stop() {
      isStopped = true;
      watcher?.close();
    },
  };
}
