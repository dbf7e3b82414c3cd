// The registry for one machine: a directory with one file an instance, kept alive by heartbeats and by the owner's pid.
// All processes must see the same directory and the same pids; for more than one machine there is Consul.

import { access, constants, mkdir } from 'node:fs/promises';
import { beat, claimFile, instanceFile, removeOwnFile, replaceOwnFile, sweepLeftovers } from './instance-files.ts';
import { observeService } from './instance-observer.ts';
import { createTurns } from './one-at-a-time.ts';
import { createOnceReporter } from './problem-reporter.ts';
import { ownIdentity } from './process-identity.ts';
import {
  readInstance,
  RegistryError,
  type Instance,
  type Registration,
  type Registry,
  type RegistryProblem,
  type Watch,
} from './registry.ts';

export interface EmbeddedRegistryOptions {
  /** Made when it is not there. */
  readonly directory: string;
  readonly heartbeatIntervalMs?: number;
  /** An instance whose heartbeat is older is gone, although its process lives: it hangs. */
  readonly ttlMs?: number;
  /** Watchers hear of files at once and look by themselves this often, since nobody tells them of a process's death. */
  readonly pollIntervalMs?: number;
  readonly nowMs?: () => number;
  /** Told once of each damaged file, of a directory that cannot be read any more, and of a registration that was lost. */
  readonly onProblem?: (problem: RegistryProblem) => void;
}

/** @throws RegistryError REGISTRY_UNAVAILABLE when the directory cannot be made or read */
export async function openEmbeddedRegistry({
  directory, heartbeatIntervalMs = 300, ttlMs = 3000, pollIntervalMs = 200, nowMs = Date.now, onProblem = () => {},
}: EmbeddedRegistryOptions): Promise<Registry> {
  await available(directory, async () => {
    await mkdir(directory, { recursive: true });
    await access(directory, constants.R_OK | constants.X_OK);
  });
  const registrations = new Set<Registration>();
  const watches = new Set<Watch>();
  let isClosed = false;
  const refuseWhenClosed = () => {
    if (isClosed) throw new RegistryError('REGISTRY_CLOSED', 'the registry was closed');
  };

  return {
    async register(candidate) {
      refuseWhenClosed();
      const instance = readInstance(candidate);
      if ('wrong' in instance) throw new RegistryError('INSTANCE_INVALID', `cannot register: ${instance.wrong}`);
      const text = await claim(directory, instance, nowMs());
      const kept = keepFile({ directory, instance, text, heartbeatIntervalMs, nowMs, onProblem });
      const leave = async () => {
        await available(directory, async () => removeOwnFile(directory, instance, await kept.stop()));
        registrations.delete(registration);
      };
      let leaving: Promise<void> | undefined;
      const registration: Registration = {
        async update(meta) {
          if (leaving) throw new RegistryError('REGISTRY_CLOSED', `${instance.service} "${instance.id}" has left`);
          const updated = readInstance({ ...instance, meta });
          if ('wrong' in updated) throw new RegistryError('INSTANCE_INVALID', `cannot update: ${updated.wrong}`);
          await available(directory, () => kept.replace(updated));
        },
        leave: () => (leaving ??= leave()),
      };
      registrations.add(registration);
      // Closed while the file was being claimed.
      if (isClosed) {
        await registration.leave();
        refuseWhenClosed();
      }
      return registration;
    },

    watch(service, onChange) {
      refuseWhenClosed();
      const watch = observeService({ directory, service, ttlMs, pollIntervalMs, nowMs, onProblem, onChange });
      watches.add(watch);
      return {
        get instances() {
          return watch.instances;
        },
        close() {
          watches.delete(watch);
          watch.close();
        },
      };
    },

    async close() {
      isClosed = true;
      for (const watch of watches) watch.close();
      watches.clear();
      await Promise.all([...registrations].map((registration) => registration.leave()));
    },
  };
}

async function claim(directory: string, instance: Instance, nowMs: number): Promise<string> {
  return available(directory, async () => {
    await sweepLeftovers(directory, instance.service);
    const claimed = await claimFile(directory, instance, ownIdentity(), nowMs);
    if (claimed.kind === 'claimed') return claimed.text;
    const holder = claimed.by.pid === process.pid ? 'this process' : `process ${claimed.by.pid}`;
    throw new RegistryError('ALREADY_REGISTERED',
      `${instance.service} "${instance.id}" is registered already, by ${holder}; stop it, or use another name (${instanceFile(directory, instance)})`);
  });
}

/**
 * Beats until stopped. Stopping resolves after what is under way, which could bring the file back, with the text of the file that then stands for the
 * instance. A file that somebody removed is made again; one that somebody else's has replaced is reported and left alone.
 */
function keepFile({ directory, instance: first, text: firstText, heartbeatIntervalMs, nowMs, onProblem }: {
  directory: string;
  instance: Instance;
  text: string;
  heartbeatIntervalMs: number;
  nowMs: () => number;
  onProblem: (problem: RegistryProblem) => void;
}): { replace(updated: Instance): Promise<void>; stop(): Promise<string> } {
  const report = createOnceReporter(instanceFile(directory, first), onProblem);
  const inTurn = createTurns();
  let instance = first;
  let text = firstText;

  async function beatOnce(): Promise<void> {
    let result = await beat(directory, instance, text, nowMs());
    if (result === 'gone') {
      const claimed = await claimFile(directory, instance, ownIdentity(), nowMs());
      if (claimed.kind === 'claimed') text = claimed.text;
      else result = 'replaced';
    }
    report(result === 'replaced' ? 'now belongs to another process; watchers no longer see this one' : undefined);
  }

  let isBeating = false;
  const timer = setInterval(() => {
    if (isBeating) return;
    isBeating = true;
    void inTurn(beatOnce)
      .catch((error: unknown) => report(`no heartbeat: ${describe(error)}`))
      .finally(() => { isBeating = false; });
  }, heartbeatIntervalMs).unref();

  return {
    replace: (updated) => inTurn(async () => {
      instance = updated;
      // When the file is gone, it is made anew with what it says now.
      text = (await replaceOwnFile(directory, updated, text, ownIdentity(), nowMs())) ?? (await claim(directory, updated, nowMs()));
    }),
    async stop() {
      clearInterval(timer);
      await inTurn(async () => {});
      return text;
    },
  };
}

async function available<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    throw new RegistryError('REGISTRY_UNAVAILABLE',
      `the registry's directory ${directory} cannot be used: ${describe(error)}; it must be a directory that this user may read and write`);
  }
}

function describe(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return message ?? code ?? String(error);
}
