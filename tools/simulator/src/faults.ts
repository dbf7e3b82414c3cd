// Makes the planned faults happen.

import type { FaultPlan } from './plan.ts';
import { FOR_EVER } from './scheduler.ts';
import type { World } from './world.ts';

export function applyFaults(world: World): void {
  for (const fault of world.plan.faults) world.scheduler.at(fault.atMs, FOR_EVER, () => strike(world, fault));
}

function strike(world: World, fault: FaultPlan): void {
  const { scheduler, network, trace } = world;
  switch (fault.kind) {
    case 'crash':
      return crash(world, fault);
    case 'disk':
      world.failSync(world.processes.get(fault.process)!, fault.syncs, fault.kept, fault.downMs);
      return undefined;
    case 'cut':
      network.cut(fault.one, fault.other);
      scheduler.after(fault.forMs, FOR_EVER, network.heal);
      return undefined;
    case 'jump':
      trace?.(`the clock of ${fault.process} jumps by ${fault.byMs.toFixed(0)} ms`);
      world.processes.get(fault.process)!.skewMs += fault.byMs;
      return undefined;
    case 'freeze':
      freeze(world, fault.bank, fault.account, true);
      scheduler.after(fault.forMs, FOR_EVER, () => freeze(world, fault.bank, fault.account, false));
      return undefined;
  }
}

/** Before its n-th event from now on. */
function crash(world: World, { process, events, downMs }: FaultPlan & { kind: 'crash' }): void {
  const { life } = world.processes.get(process)!;
  if (life === undefined) return;
  life.eventsLeft = events;
  life.downMs = downMs;
}

function freeze(world: World, bank: string, account: string, frozen: boolean): void {
  world.trace?.(`${bank}/${account} is ${frozen ? 'frozen' : 'thawed'}`);
  world.bankLife(bank)?.books.setFrozen(account, frozen);
}
