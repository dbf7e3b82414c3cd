// The faults of a round: a seed chooses what breaks, whom and how; several break at once, each service by one fault at a time.

import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ServiceProcess } from '@strife/cluster';
import type { SeededRandom } from '../seeded-random.ts';
import { attachStrace, SYNCS } from '../strace.ts';
import type { TcpProxy } from '../tcp-proxy.ts';
import type { Stage } from './stage.ts';

const run = promisify(execFile);

/** How often each happens, by weight. */
const WEIGHTS = { 'kill service': 46, 'kill client': 16, 'break link': 22, 'fail disk': 8, 'no handles': 3, 'stop service': 3, 'jump clock': 4 } as const;
export type FaultKind = keyof typeof WEIGHTS;

export type FaultCounts = Record<FaultKind, number>;

export interface Faults {
  /** How many of each kind there were. */
  readonly counts: FaultCounts;
  /** Begins no new ones, and resolves when those under way are over: every service runs, every link is whole, every clock is right. */
  end(): Promise<void>;
}

const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 800;
const DOWN_MAX_MS = 600;
/** Longer than every timeout on a payment's way: votes, deliveries, inquiries, and how long a gateway may not be heard. */
const STOPPED_MS = 7000;
/** How long a disk fault is waited for; a service that writes nothing meets none. */
const DISK_WAIT_MS = 4000;
const CLOCK_JUMP_MS = 4000;
const STARTS_MAX = 3;

export interface FaultsOptions {
  readonly stage: Stage;
  readonly random: SeededRandom;
  /** Absent: no faults of disks. */
  readonly strace: string | undefined;
  /** Told of each fault, and of what should not have happened. */
  readonly onFault: (text: string) => void;
  /** Told each time when a service has come back. */
  readonly onRestart: () => void;
  readonly onProblem: (problem: string) => void;
}

export function startFaults({ stage, random, strace, onFault, onRestart, onProblem }: FaultsOptions): Faults {
  const counts = Object.fromEntries(Object.keys(WEIGHTS).map((kind) => [kind, 0])) as FaultCounts;
  const busy = new Set<unknown>();
  const underWay = new Set<Promise<void>>();
  const ending = new AbortController();
  const kinds = (Object.keys(WEIGHTS) as FaultKind[]).filter(
    (kind) => (kind !== 'jump clock' || stage.setClock !== undefined) && (kind !== 'fail disk' || strace !== undefined),
  );

  /** Waits, but not beyond the end of the faults. */
  const pause = (ms: number): Promise<void> => delay(ms, undefined, { signal: ending.signal }).catch(() => undefined);

  async function breakThings(): Promise<void> {
    while (!ending.signal.aborted) {
      await pause(random.between(PAUSE_MIN_MS, PAUSE_MAX_MS));
      if (ending.signal.aborted) return;
      const kind = pickKind();
      // All choices are made here and now, so that they do not depend on how long anything takes.
      const fault = faults[kind]();
      if (busy.has(fault.target)) continue;
      busy.add(fault.target);
      counts[kind] += 1;
      onFault(`${kind}: ${fault.text}`);
      const work = fault.run().catch((error: unknown) => onProblem(`${kind}, ${fault.text}: ${String(error)}`)).finally(() => {
        busy.delete(fault.target);
        underWay.delete(work);
      });
      underWay.add(work);
    }
  }

  function pickKind(): FaultKind {
    let at = random.next() * kinds.reduce((sum, kind) => sum + WEIGHTS[kind], 0);
    return kinds.find((kind) => (at -= WEIGHTS[kind]) < 0) ?? kinds[0]!;
  }

  interface Fault {
    readonly target: unknown;
    readonly text: string;
    run(): Promise<void>;
  }

  const faults: Record<FaultKind, () => Fault> = {
    'kill service': () => {
      const service = random.pick(stage.services);
      const downMs = random.between(0, DOWN_MAX_MS);
      return {
        target: service, text: `${service.name} for ${downMs} ms`,
        async run() {
          await service.kill('SIGKILL');
          await pause(downMs);
          await startAgain(service);
        },
      };
    },
    'kill client': () => {
      const payer = random.pick(stage.payers);
      return { target: payer, text: payer.name, run: () => payer.killAndRestart() };
    },
    'break link': () => {
      const [name, proxy] = random.pick(Object.entries(stage.proxies));
      const { text, begin, forMs } = linkFault(proxy, random);
      return {
        target: proxy, text: `${name}, ${text} for ${forMs} ms`,
        async run() {
          begin();
          await pause(forMs);
          proxy.heal();
        },
      };
    },
    'fail disk': () => {
      const service = random.pick(stage.services);
      const calls = random.pick([SYNCS, 'pwrite64']);
      const fault = random.pick(['error=EIO', 'error=ENOSPC', 'signal=SIGKILL']);
      const inject = `${calls}:${fault}:when=${random.between(1, calls === 'pwrite64' ? 40 : 8)}`;
      return { target: service, text: `${service.name}, ${inject}`, run: () => failDisk(service, calls, inject) };
    },
    'no handles': () => {
      const service = random.pick(stage.services);
      return { target: service, text: service.name, run: () => takeHandles(service) };
    },
    'stop service': () => {
      const service = random.pick(stage.services);
      return {
        target: service, text: `${service.name} for ${STOPPED_MS} ms`,
        async run() {
          process.kill(service.pid, 'SIGSTOP');
          await pause(STOPPED_MS);
          process.kill(service.pid, 'SIGCONT');
        },
      };
    },
    'jump clock': () => {
      const service = random.pick(stage.services);
      const hours = random.pick([-5, -2, 2, 7]);
      return {
        target: service, text: `${service.name} by ${hours} h`,
        async run() {
          await stage.setClock?.(service.name, hours * 3600);
          await pause(CLOCK_JUMP_MS);
          await stage.setClock?.(service.name, 0);
        },
      };
    },
  };

  async function failDisk(service: ServiceProcess, calls: string, inject: string): Promise<void> {
    const file = join(stage.cluster.directories.logs, `trace-${service.name}`);
    const trace = await attachStrace({ strace: strace!, pid: service.pid, file, trace: calls.split(','), inject });
    await Promise.race([service.exited, pause(DISK_WAIT_MS)]);
    await trace.detach();
    if (!service.running) await startAgain(service);
  }

  async function takeHandles(service: ServiceProcess): Promise<void> {
    const limit = async (soft: number): Promise<void> => void (await run('prlimit', ['--pid', String(service.pid), `--nofile=${soft}:`]));
    const { length } = await readdir(`/proc/${service.pid}/fd`);
    await limit(length);
    await Promise.race([service.exited, pause(1500)]);
    if (service.running) await limit(4096);
    else await startAgain(service);
  }

  /** A start may meet what the fault left, such as a port that is not free yet, but not for ever. */
  async function startAgain(service: ServiceProcess): Promise<void> {
    for (let starts = 1; ; starts += 1) {
      try {
        await service.restart();
        return onRestart();
      } catch (error) {
        if (starts === STARTS_MAX) throw error;
        onFault(`start of ${service.name} failed: ${(error as Error).message.split('\n')[1]?.trim() ?? String(error)}`);
      }
    }
  }

  const breaking = breakThings();
  return {
    counts,
    async end() {
      ending.abort();
      await breaking;
      await Promise.all(underWay);
      for (const service of stage.services) {
        if (service.running) continue;
        onProblem(`${service.name} ended by itself (log: ${service.logFile})`);
        await startAgain(service);
      }
    },
  };
}

function linkFault(proxy: TcpProxy, random: SeededRandom): { text: string; begin: () => void; forMs: number } {
  const direction = random.pick(['in', 'out'] as const);
  const gone = random.pick(['caller', 'service'] as const);
  const delayMs = random.between(20, 400);
  const bytes = random.between(0, 6000);
  const forMs = random.between(300, 3000);
  const choices: readonly [string, () => void][] = [
    ['cut', () => proxy.cut()],
    [`stall ${direction}`, () => proxy.hold(direction)],
    ['stall both ways', () => (['in', 'out'] as const).forEach((one) => proxy.hold(one))],
    [`half-open without the ${gone}`, () => proxy.halfOpen(gone)],
    [`delay ${delayMs} ms`, () => proxy.delay(delayMs)],
    [`reset after ${bytes} bytes ${direction}`, () => proxy.resetAfter(direction, bytes)],
    ['refuse', () => {
      proxy.refuse();
      proxy.cut();
    }],
  ];
  const [text, begin] = random.pick(choices);
  return { text, begin, forMs };
}
