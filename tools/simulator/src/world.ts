// One simulated world: gateways, banks and clients of a plan, what befalls them, and the watch over their promises.

import { deposit, mayCredit, mayDebit } from '@strife/ledger';
import type { BankName, LogId } from '@strife/two-phase-commit';
import { applyFaults } from './faults.ts';
import { createNetwork } from './network.ts';
import type { Network } from './network.ts';
import { bootBank } from './nodes/bank.ts';
import type { BankLife } from './nodes/bank.ts';
import { createClient } from './nodes/client.ts';
import type { Client } from './nodes/client.ts';
import { bootGateway } from './nodes/gateway.ts';
import type { GatewayLife } from './nodes/gateway.ts';
import type { WorldPlan } from './plan.ts';
import { createBooksDisk, openMemoryBooks } from './ports/memory-books.ts';
import type { BooksDisk } from './ports/memory-books.ts';
import { createDecisionDisk } from './ports/memory-decision-log.ts';
import type { DecisionDisk } from './ports/memory-decision-log.ts';
import { DiskFailure, soundSync } from './ports/sync.ts';
import { driftFrom, killProcess, startProcess } from './processes.ts';
import type { Life, Process } from './processes.ts';
import { createRandom } from './random.ts';
import type { Random } from './random.ts';
import { createScheduler, FOR_EVER } from './scheduler.ts';
import type { Scheduler, SimulatedEvent } from './scheduler.ts';
import { createTrace } from './trace.ts';
import type { Trace } from './trace.ts';
import { auditAtRest } from './watch/final-audit.ts';
import { createWatch } from './watch/watch.ts';
import type { Watch } from './watch/watch.ts';

export interface World {
  readonly plan: WorldPlan;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly watch: Watch;
  readonly trace: Trace | undefined;
  readonly processes: ReadonlyMap<string, Process>;
  readonly clients: readonly Client[];
  bankLife(name: string): BankLife | undefined;
  gatewayLife(name: string): GatewayLife | undefined;
  /** A gateway that a bank would ask about a leg of this log: one that the registry shows. */
  gatewayServing(log: LogId, asker: Life): Process | undefined;
  /** Whether a bank refuses this call because its queue is full. */
  refusesCall(): boolean;
  /** What of a call's items arrives. */
  garbled<Item>(items: readonly Item[]): readonly Item[];
  /** Resolves when a disk has taken its time. */
  diskTime(life: Life): Promise<void>;
  /** One sync of this process's disk; may fail, and then it has killed the process. */
  sync(life: Life, apply: () => void): void;
  /** The n-th sync of the process fails; the process is started again after `downMs`. */
  failSync(process: Process, syncs: number, kept: boolean, downMs: number): void;
  start(process: Process): void;
  kill(process: Process): void;
  nowReady(process: Process): void;
  clientIsDone(): void;
  /** Lets the next thing happen; false when the world has ended. All microtasks must have run before the next step. */
  step(): boolean;
  // No getters: their closures would keep each world until the next full collection of garbage.
  steps: number;
  /** It came to rest, or a promise was broken. */
  ended: boolean;
}

const REGISTRY_DELAY_MS = 20;
/** A world in which so much happens has no end. */
const STEPS_MAX = 200_000;

export function createWorld(plan: WorldPlan, write?: (line: string) => void): World {
  const random = createRandom(plan.seed, 2);
  const scheduler = createScheduler();
  const trace = write === undefined ? undefined : createTrace(scheduler, write);
  const network = createNetwork(scheduler, random, plan.network, trace);
  const logs = new Map<LogId, DecisionDisk>();
  const books = new Map<BankName, BooksDisk>();
  const bankLives = new Map<string, BankLife>();
  const gatewayLives = new Map<string, GatewayLife>();
  const processes = new Map<string, Process>();
  const gateways: Process[] = [];
  const banks: Process[] = [];
  const clients: Client[] = [];
  const openings = openAccounts(plan, books);
  const watch = createWatch({ books, logs, openings, trace });
  const failing = new Map<Process, { syncs: number; kept: boolean; downMs: number }>();
  let waiting = plan.payments.length;
  let calm = false;
  let insisting = false;
  let settleByMs: number | undefined;

  const world: World = {
    plan, random, scheduler, network, watch, trace, processes, clients, steps: 0, ended: false,
    bankLife: (name) => bankLives.get(name),
    gatewayLife: (name) => gatewayLives.get(name),
    gatewayServing(log, asker) {
      const serving = gateways.filter((gateway) => gateway.ready && logOf(gateway) === log);
      return serving.length === 0 || !asker.alive ? undefined : random.pick(serving);
    },
    refusesCall: () => !calm && random.chance(plan.overloaded),
    garbled: (items) => (!calm && random.chance(plan.garbled) ? items.slice(0, -1) : items),
    diskTime: (life) =>
      new Promise((resolve) => {
        if (life.alive) scheduler.after(random.between(0, plan.diskMs), life, resolve);
      }),
    sync,
    failSync: (process, syncs, kept, downMs) => void failing.set(process, { syncs, kept, downMs }),
    start,
    kill,
    nowReady,
    clientIsDone: () => void (waiting -= 1),
    step() {
      if (!world.ended) world.ended = !step();
      return !world.ended;
    },
  };

  function logOf(gateway: Process): LogId {
    return plan.gateways.find(({ name }) => name === gateway.name)!.log;
  }

  function sync(life: Life, apply: () => void): void {
    if (!life.alive) throw new DiskFailure('the process has stopped');
    const fault = failing.get(life.process);
    if (fault !== undefined) {
      fault.syncs -= 1;
      if (fault.syncs <= 0) {
        failing.delete(life.process);
        trace?.(`${life.process.name}: a sync fails; what was written is ${fault.kept ? 'there all the same' : 'lost'}`);
        if (fault.kept) apply();
        kill(life.process);
        scheduler.after(fault.downMs, FOR_EVER, () => start(life.process));
        throw new DiskFailure('the sync failed');
      }
    }
    apply();
  }

  function start(process: Process): void {
    if (process.life !== undefined) return;
    trace?.(`${process.name} starts`);
    startProcess(scheduler, process);
  }

  function kill(process: Process): void {
    if (process.life === undefined) return;
    trace?.(`${process.name} is killed`);
    killProcess(process);
    announce(process, false);
  }

  function nowReady(process: Process): void {
    trace?.(`${process.name} is ready`);
    process.ready = true;
    announce(process, true);
    for (const other of process.role === 'bank' ? gateways : banks) if (other.ready) introduce(process, other);
  }

  /** The registry tells everyone whom it concerns, a little later. */
  function announce(process: Process, isThere: boolean): void {
    for (const other of process.role === 'bank' ? gateways : banks) {
      const { life } = other;
      if (life !== undefined) scheduler.after(random.between(0, REGISTRY_DELAY_MS), life, () => introduce(other, process, isThere));
    }
  }

  function introduce(one: Process, other: Process, isThere = true): void {
    if (isThere !== other.ready) return;
    if (one.role === 'gateway') gatewayLives.get(one.name)?.meet(other, isThere);
    else if (isThere) bankLives.get(one.name)?.inquirer.wake(logOf(other));
  }

  function addProcess(name: string, role: Process['role'], boot: (life: Life) => void): void {
    const process: Process = { name, role, life: undefined, ready: false, rate: driftFrom(random), skewMs: 0, boot, callsServed: new Set() };
    processes.set(name, process);
    (role === 'bank' ? banks : gateways).push(process);
  }

  /** From here on nothing fails any more, and everything must settle. */
  function endFaults(): void {
    trace?.(`the faults end${plan.restartsAll ? ', and everything is started anew' : ''}`);
    calm = true;
    network.calm();
    failing.clear();
    for (const process of processes.values()) {
      if (plan.restartsAll) kill(process);
      if (process.life !== undefined) process.life.eventsLeft = Infinity;
      start(process);
    }
    settleByMs = scheduler.nowMs + boundMs(plan);
    for (const client of clients) client.pause();
    // Where a bank never asks, what it holds in doubt waits for the client.
    if (plan.silentBanks.length > 0) insist();
  }

  /** Nothing is left from before: now the clients ask until they know. */
  function insist(): void {
    insisting = true;
    settleByMs = scheduler.nowMs + CLIENTS_LONGER_MS;
    for (const client of clients) client.insist();
  }

  function step(): boolean {
    if (watch.violation !== undefined) return false;
    if (!insisting && settleByMs !== undefined && isQuiet()) insist();
    if (insisting && waiting === 0 && isQuiet()) {
      for (const broken of auditAtRest({ books, logs: [...logs.values()], clients, said: watch.said })) watch.fail(broken);
      return false;
    }
    const event = scheduler.next();
    if (event === undefined) {
      watch.fail('the world goes on for as long as something is open');
      return false;
    }
    world.steps += 1;
    if (world.steps > STEPS_MAX || (settleByMs !== undefined && scheduler.nowMs > settleByMs)) {
      watch.fail(`6: once nothing fails any more, everything settles in time: ${watch.inDoubt} legs in doubt, ${waiting} clients wait, ${describeLoad()}`);
      return false;
    }
    run(event);
    return true;
  }

  function run({ owner, run: happen }: SimulatedEvent): void {
    if (owner !== FOR_EVER) {
      const life = owner as Life;
      life.eventsLeft -= 1;
      if (life.eventsLeft <= 0) {
        kill(life.process);
        scheduler.after(life.downMs, FOR_EVER, () => start(life.process));
        return;
      }
    }
    happen();
  }

  /** Nothing is in doubt, undecided or undelivered. */
  function isQuiet(): boolean {
    if (watch.inDoubt > 0) return false;
    for (const gateway of gateways) {
      const load = gatewayLives.get(gateway.name)?.coordinator.load();
      if (!gateway.ready || load === undefined || load.undecided + load.undelivered > 0) return false;
    }
    for (const { undelivered } of logs.values()) {
      if (undelivered.size === 0) continue;
      for (const id of undelivered) if (!gateways.some(({ name }) => gatewayLives.get(name)!.hasFinished(id))) return false;
    }
    return true;
  }

  function describeLoad(): string {
    return [...gatewayLives].map(([name, { coordinator }]) => `${name} ${JSON.stringify(coordinator.load())}`).join(', ');
  }

  const shared = new Set(plan.gateways.filter(({ log }, index) => plan.gateways.some((other, at) => at !== index && other.log === log)).map(({ log }) => log));
  for (const { name, log } of plan.gateways) {
    const disk = logs.get(log) ?? createDecisionDisk(log);
    logs.set(log, disk);
    addProcess(name, 'gateway', (life) => void gatewayLives.set(name, bootGateway(world, disk, !shared.has(log), life)));
  }
  for (const bank of plan.banks) {
    const disk = books.get(bank)!;
    addProcess(bank, 'bank', (life) => {
      bankLives.set(bank, bootBank(world, disk, life));
      scheduler.after(0, life, () => nowReady(life.process));
    });
  }
  const people: Process = { name: 'clients', role: 'gateway', life: undefined, ready: false, rate: 1, skewMs: 0, boot: () => undefined, callsServed: new Set() };
  const life = startProcess(scheduler, people);
  for (const payment of plan.payments) clients.push(createClient(world, payment, life, gateways));
  for (const process of processes.values()) start(process);
  applyFaults(world);
  scheduler.at(plan.safetyMs, FOR_EVER, endFaults);
  return world;
}

/** Clients with two bodies under one id may get in each other's way for some rounds. */
const CLIENTS_LONGER_MS = 60_000;

/**
 * How long something may stay in doubt after the faults. One second after everything was started anew. Otherwise what was on its way has
 * to time out first: an attempt's votes, a call with decisions (5 s), or a bank's next question. Where gateways share a log, a bank waits for
 * the attempt's deadline too.
 */
function boundMs({ restartsAll, prepareTimeoutMs, gateways }: WorldPlan): number {
  const shares = new Set(gateways.map(({ log }) => log)).size < gateways.length;
  const restarted = 1000 + REGISTRY_DELAY_MS + (shares ? 2 * prepareTimeoutMs : 0);
  return (restartsAll ? restarted : restarted + prepareTimeoutMs + 7000) * 1.06;
}

function openAccounts(plan: WorldPlan, books: Map<BankName, BooksDisk>): ReadonlyMap<BankName, ReadonlyMap<string, bigint>> {
  const openings = new Map<BankName, ReadonlyMap<string, bigint>>();
  for (const bank of plan.banks) {
    const disk = createBooksDisk(bank);
    books.set(bank, disk);
    const mine = plan.accounts.filter((account) => account.bank === bank);
    const users = mine.map(({ name, openingMinor }) => ({ username: name, passwordHash: '', currency: 'EUR', openingMinor }));
    openMemoryBooks({ disk, nowMs: () => 0, ledger: { deposit, mayCredit, mayDebit }, sync: soundSync }).createUsers(users);
    openings.set(bank, new Map(mine.map(({ name, openingMinor }) => [name, openingMinor])));
  }
  return openings;
}
