// A simulated bank: the real participant, inquirer, ledger resource and ledger over books in memory.

import * as ledger from '@strife/ledger';
import { createLedgerResource } from '@strife/storage';
import { createInquirer, createParticipant, OverloadedError } from '@strife/two-phase-commit';
import type { DecideAnswer, Inquirer, LogId, Participant, PrepareCommand, PrepareLeg, Resource, Vote } from '@strife/two-phase-commit';
import { openMemoryBooks } from '../ports/memory-books.ts';
import type { BooksDisk, MemoryBooks } from '../ports/memory-books.ts';
import type { Life } from '../processes.ts';
import type { World } from '../world.ts';

/** One life of a bank. */
export interface BankLife {
  readonly life: Life;
  readonly books: MemoryBooks;
  readonly inquirer: Inquirer;
  /** What ParticipantService does with a call. */
  prepare(log: LogId, legs: readonly PrepareLeg[]): Promise<readonly Vote[]>;
  decide(log: LogId, decisions: Parameters<Participant['decide']>[0]): Promise<readonly DecideAnswer[]>;
}

const INQUIRY_TIMEOUT_MS = 2000;

export function bootBank(world: World, disk: BooksDisk, life: Life): BankLife {
  const { clock } = life;
  const bank = disk.bank;
  const books = openMemoryBooks({
    disk, nowMs: clock.nowMs, ledger, sync: (apply) => world.sync(life, apply), onWritten: (batch) => world.watch.batchWritten(bank, batch),
  });
  const participant = createParticipant({
    bank, clock,
    resource: slowed(world, life, books),
    onEnded: (legs, waitedMs) => inquirer.ended(legs, waitedMs),
    onAlarm: ({ id, log, rule }) => world.watch.fail(`no decision contradicts a vote: ${bank} raised the alarm about ${id} of ${log}: ${rule}`),
  });
  const inquirer = createInquirer({
    clock,
    legs: books.legsInDoubt,
    ask: (log, inquiries) => {
      const gateway = world.gatewayServing(log, life);
      if (gateway === undefined || world.plan.silentBanks.includes(bank)) return Promise.reject(new Error(`no gateway serves log ${log}`));
      return world.network.call(life, gateway, {
        what: () => `inquiry about ${inquiries.map(({ id, attempt }) => `${id.slice(-4)}#${attempt}`).join(', ')}`,
        timeoutMs: INQUIRY_TIMEOUT_MS,
        serve: () => world.gatewayLife(gateway.name)!.coordinator.inquire(inquiries),
      });
    },
    decide: (commands) => participant.decide(commands),
    onFailure: () => undefined,
  });

  return {
    life, books, inquirer,
    async prepare(log, legs) {
      if (world.refusesCall()) throw new OverloadedError('full');
      const commands: PrepareCommand[] = [];
      for (const leg of legs) if (isGranted(leg)) commands.push(commandOf(log, leg));
      const votes = await participant.prepare(commands);
      if (votes.length === legs.length) return votes;
      let answered = 0;
      return legs.map((leg): Vote => (isGranted(leg) ? votes[answered++]! : { kind: 'unauthorized' }));
    },
    decide: (_log, decisions) => participant.decide(decisions),
  };
}

function isGranted({ side, grant }: PrepareLeg): boolean {
  return side === 'credit' || grant !== 'expired';
}

function commandOf(log: LogId, { request, attempt, side, deadlineMs, expiresAtMs }: PrepareLeg): PrepareCommand {
  const { id, fingerprint, body } = request;
  return { id, log, attempt, fingerprint, terms: { body, side, deadlineMs }, expiresAtMs };
}

/** The books' resource on a disk that takes its time before a write, before that is durable, and before it is known: a crash may come at each of these. */
function slowed(world: World, life: Life, books: MemoryBooks): Resource {
  if (world.plan.diskMs === 0) return createLedgerResource(books, ledger);
  let commit = (): void => undefined;
  const resource = createLedgerResource({
    write(work) {
      const begun = books.begin(work);
      commit = begun.commit;
      return begun.result;
    },
  }, ledger);
  return {
    async write(work) {
      await world.diskTime(life);
      const result = await resource.write(work);
      await world.diskTime(life);
      commit();
      await world.diskTime(life);
      return result;
    },
  };
}
