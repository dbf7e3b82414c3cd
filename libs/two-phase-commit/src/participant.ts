// Runs the participant machine for one bank: takes all that is queued, steps it inside one write, then answers.

import type { Clock, LegBatch, LegRecord, LegTerms, Resource } from './ports.ts';
import { stepDecide, stepPrepare } from './protocol/participant-machine.ts';
import type { MayHold } from './protocol/participant-machine.ts';
import { differingField } from './protocol/vocabulary.ts';
import type { BankName, Decision, Fingerprint, LogId, Reason, TransferId, Vote } from './protocol/vocabulary.ts';

export interface PrepareCommand {
  readonly id: TransferId;
  readonly log: LogId;
  readonly attempt: number;
  readonly fingerprint: Fingerprint;
  readonly terms: LegTerms;
  /** From then on, by this bank's clock, a leg that takes from the payer is not held for this attempt but declined; undefined for never. */
  readonly expiresAtMs?: number | undefined;
}

export interface DecideCommand {
  readonly id: TransferId;
  readonly log: LogId;
  readonly decision: Decision;
}

/** `refused`: the decision contradicts what is durable here; nothing changed, and the alarm was raised. */
export type DecideAnswer = 'acknowledged' | 'refused';

export interface Participant {
  /** Votes, in order, durable when the promise resolves. Rejects with `OverloadedError`, before anything is done, when the queue is full. */
  prepare(commands: readonly PrepareCommand[]): Promise<readonly Vote[]>;
  /** Acknowledgements, in order, durable when the promise resolves. Rejects as `prepare` does. */
  decide(commands: readonly DecideCommand[]): Promise<readonly DecideAnswer[]>;
  /** Resolves when nothing is queued. */
  drain(): Promise<void>;
}

export interface ParticipantOptions {
  readonly bank: BankName;
  readonly resource: Resource;
  readonly clock: Clock;
  /** Decisions of a call have ended the doubt about so many legs, the first of which had waited for so long. Told after the write that made it so. */
  readonly onEnded: (legs: number, waitedMs: number) => void;
  /** Told before each write how many legs and decisions it is about. */
  readonly onWrite?: ((items: number) => void) | undefined;
  /** An invariant of the protocol is broken: somebody decided against a durable vote. */
  readonly onAlarm: (alarm: { id: TransferId; log: LogId; rule: string }) => void;
}

/** The bank's queue is full; nothing of the call was done. */
export class OverloadedError extends Error {
  override readonly name = 'OverloadedError';
}

/** The most legs and decisions in one write. */
const BATCH_ITEMS_MAX = 10_000;
/** The most legs and decisions that wait for a write. */
const QUEUE_ITEMS_MAX = 100_000;

/** The one reason that is not the ledger's to give. */
const EXPIRED: Reason = 'expired';

interface Job {
  /** How many legs or decisions. */
  readonly items: number;
  /** Steps every item of the job against the batch; returns what to call once the batch is durable. */
  readonly step: (batch: LegBatch) => () => void;
}

/** Steps one item of a job against the batch; `nowMs` is of the whole job. */
type StepOne<Command, Answer> = (batch: LegBatch, command: Command, nowMs: number, told: Told) => Answer;

/** What to tell of a job once it is durable. */
interface Told {
  ended: number;
  waitedMs: number;
}

export function createParticipant({ bank, resource, clock, onEnded, onWrite, onAlarm }: ParticipantOptions): Participant {
  let queue: Job[] = [];
  let queuedItems = 0;
  let working = false;
  let drained: (() => void)[] = [];

  function enqueue<Command, Answer>(commands: readonly Command[], step: StepOne<Command, Answer>): Promise<readonly Answer[]> {
    if (queuedItems + commands.length > QUEUE_ITEMS_MAX) {
      return Promise.reject(new OverloadedError(`bank ${bank} has ${queuedItems} legs and decisions waiting`));
    }
    return new Promise((resolve) => {
      queuedItems += commands.length;
      queue.push({
        items: commands.length,
        step(batch) {
          const nowMs = clock.nowMs();
          const told: Told = { ended: 0, waitedMs: 0 };
          const answers = commands.map((command) => step(batch, command, nowMs, told));
          return () => {
            if (told.ended > 0) onEnded(told.ended, told.waitedMs);
            resolve(answers);
          };
        },
      });
      if (working) return;
      working = true;
      clock.soon(() => void work());
    });
  }

  async function work(): Promise<void> {
    while (queue.length > 0) {
      const jobs = takeJobs();
      const answers = await resource.write((batch) => jobs.map((job) => job.step(batch)));
      // Everything said from here on is durable.
      for (const answer of answers) answer();
    }
    working = false;
    for (const resolve of drained) resolve();
    drained = [];
  }

  function takeJobs(): Job[] {
    let items = 0;
    let count = 0;
    while (count < queue.length && (count === 0 || items + queue[count]!.items <= BATCH_ITEMS_MAX)) {
      items += queue[count]!.items;
      count += 1;
    }
    queuedItems -= items;
    onWrite?.(items);
    return queue.splice(0, count);
  }

  function prepareOne(batch: LegBatch, command: PrepareCommand, nowMs: number): Vote {
    const { id, log, attempt, fingerprint, terms } = command;
    const record = batch.leg(id);
    const before = record.state;
    const mayHold: MayHold = (how) => {
      if (hasExpired(command, nowMs)) return EXPIRED;
      return how === 'new' ? batch.mayHold(terms) : undefined;
    };
    const { state, effect, vote } = stepPrepare(before, { log, attempt, fingerprint, onePhase: terms.side === 'both' }, mayHold);
    if (state !== before) {
      batch.apply(id, { state, terms, endedAtMs: state.kind === 'prepared' ? undefined : nowMs }, effect);
    }
    return completeVote(vote, record, terms, nowMs);
  }

  function decideOne(batch: LegBatch, { id, log, decision }: DecideCommand, nowMs: number, told: Told): DecideAnswer {
    const { state: before, terms, endedAtMs, preparedAtMs = nowMs } = batch.leg(id);
    const step = stepDecide(before, log, decision);
    if (step.kind === 'broken') {
      onAlarm({ id, log, rule: step.rule });
      return 'refused';
    }
    if (step.state !== before) {
      batch.apply(id, { state: step.state, terms, endedAtMs: endedAtMs ?? nowMs }, step.effect);
      if (before.kind !== 'prepared') return 'acknowledged';
      if (told.ended === 0) told.waitedMs = nowMs - preparedAtMs;
      told.ended += 1;
    }
    return 'acknowledged';
  }

  return {
    prepare: (commands) => enqueue(commands, prepareOne),
    decide: (commands) => enqueue(commands, decideOne),
    drain: () => (working ? new Promise((resolve) => drained.push(resolve)) : Promise.resolve()),
  };
}

/**
 * Whether the payer no longer wants it. The machine asks only when a hold would begin, or go on under a later attempt: what an
 * attempt holds since before may still be committed by it. Only the payer's bank looks: there a NO closes the id for every gateway.
 */
function hasExpired({ terms, expiresAtMs }: PrepareCommand, nowMs: number): boolean {
  return expiresAtMs !== undefined && terms.side !== 'credit' && nowMs >= expiresAtMs;
}

/** Adds what only the stored leg knows: when the id was ended, and, for its payer, which field differs. */
function completeVote(vote: Vote, record: LegRecord, terms: LegTerms, nowMs: number): Vote {
  switch (vote.kind) {
    case 'no':
    case 'committed':
      return { ...vote, atMs: vote.replayed ? (record.endedAtMs ?? nowMs) : nowMs };
    case 'mismatch': {
      const stored = record.terms?.body;
      const samePayer = stored !== undefined && stored.from.bank === terms.body.from.bank && stored.from.account === terms.body.from.account;
      return samePayer ? { ...vote, field: differingField(stored, terms.body) ?? '' } : vote;
    }
    default:
      return vote;
  }
}
