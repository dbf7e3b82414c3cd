// A simulated gateway: the real coordinator and lines to the banks over a decision log in memory.

import { createBankLine, createCoordinator, mayReplace } from '@strife/two-phase-commit';
import type { BankLine, BankLink, BankName, BankPort, Coordinator, DecisionLog, TransferId, TransferResult } from '@strife/two-phase-commit';
import { openMemoryDecisionLog } from '../ports/memory-decision-log.ts';
import type { DecisionDisk } from '../ports/memory-decision-log.ts';
import type { PaymentPlan } from '../plan.ts';
import { EPOCH_MS } from '../processes.ts';
import type { Life, Process } from '../processes.ts';
import type { World } from '../world.ts';

/** One life of a gateway. */
export interface GatewayLife {
  readonly life: Life;
  readonly coordinator: Coordinator;
  /** The registry says that the bank is there, or gone. */
  meet(bank: Process, isThere: boolean): void;
  /** Whether this life holds the delivery of the log's decision about the id for done. */
  hasFinished(id: TransferId): boolean;
  create(payment: PaymentPlan, grant: string): Promise<TransferResult>;
}

export function bootGateway(world: World, disk: DecisionDisk, exclusive: boolean, life: Life): GatewayLife {
  const { clock, process } = life;
  const { prepareTimeoutMs, settleWaitMs, recoveredPerBankMax } = world.plan;
  const memory = openMemoryDecisionLog({
    disk, exclusive, nowMs: clock.nowMs, mayReplace,
    sync: (apply) => world.sync(life, apply),
    onRow: (before, after) => world.watch.rowWritten(disk.logId, before, after),
    onDone: (row) => world.watch.rowDone(disk.logId, row),
  });
  const log = slowed(world, life, memory);
  const lines = new Map<BankName, BankLine>();

  function lineOf(bank: BankName): BankLine {
    const existing = lines.get(bank);
    if (existing !== undefined) return existing;
    const line = createBankLine({
      clock, prepareTimeoutMs, random: () => world.random.between(0, 1),
      onTrouble: () => undefined, onRecovery: () => undefined,
      onRefused: (id) => world.watch.fail(`no decision contradicts a vote: ${bank} refuses the decision of ${disk.logId} about ${id}`),
    });
    lines.set(bank, line);
    return line;
  }

  const link: BankLink = {
    admit: (bank) => lines.get(bank)?.admit() ?? 'unreachable',
    prepare: (bank, leg, onVote) => lineOf(bank).prepare(leg, onVote),
    decide: (bank, request, decision, haste, onAcknowledged) => lineOf(bank).decide(request, decision, haste, onAcknowledged),
  };
  const coordinator = createCoordinator({ log, link, clock, prepareTimeoutMs, settleWaitMs, recoveredPerBankMax });
  void coordinator.recover().then(() => {
    if (life.alive) world.nowReady(process);
  });

  function portTo(bank: Process): BankPort {
    return {
      async send({ legs, decisions }, timeoutMs) {
        const sentLegs = legs.map(({ leg }) => leg);
        const sentDecisions = decisions.map(({ request: { id }, decision }) => ({ id, log: disk.logId, decision }));
        const { votes, answers } = await world.network.call(life, bank, {
          what: () => [
            ...sentLegs.map(({ request, attempt, side }) => `prepare ${request.id.slice(-4)}#${attempt} ${side}`),
            ...sentDecisions.map(({ id, decision }) => `decide ${id.slice(-4)}#${decision.attempt} ${decision.outcome}`),
          ].join(', '),
          timeoutMs,
          async serve() {
            const served = world.bankLife(bank.name)!;
            const [answers, votes] = await Promise.all([
              sentDecisions.length === 0 ? [] : served.decide(disk.logId, world.garbled(sentDecisions)),
              sentLegs.length === 0 ? [] : served.prepare(disk.logId, world.garbled(sentLegs)),
            ]);
            return { votes, answers };
          },
        });
        return { votes: votes.length < sentLegs.length ? [...votes, { kind: 'unreachable' }] : votes, answers };
      },
    };
  }

  return {
    life, coordinator,
    hasFinished: memory.hasFinished,
    meet: (bank, isThere) => lineOf(bank.name).connect(isThere ? portTo(bank) : undefined),
    async create({ id, body, fingerprint, waitFor, expiresAfterMs }, grant) {
      const expiresAtMs = expiresAfterMs === undefined ? undefined : Math.floor(EPOCH_MS + expiresAfterMs);
      const result = await coordinator.create({ id, body, fingerprint, createdAtMs: clock.nowMs() }, grant, waitFor, expiresAtMs);
      world.watch.told(disk, { id, fingerprint, body }, result);
      return result;
    },
  };
}

/** Lets the disk take its time before a read, before a write, and before that is known. */
function slowed(world: World, life: Life, log: DecisionLog): DecisionLog {
  if (world.plan.diskMs === 0) return log;
  return {
    ...log,
    async find(ids) {
      await world.diskTime(life);
      return await log.find(ids);
    },
    async decide(proposals, finished) {
      await world.diskTime(life);
      const rows = await log.decide(proposals, finished);
      await world.diskTime(life);
      return rows;
    },
  };
}
