// Ports for tests of the runtimes: a clock that is moved by hand, a log and a link in memory.

import { fingerprintOf } from '../fingerprint.ts';
import type { BankLink, Clock, DecisionLog, Haste, LegBatch, LegRecord, LegTerms, PrepareLeg, Resource } from '../ports.ts';
import { mayReplace } from '../protocol/decision-rules.ts';
import type { LedgerEffect } from '../protocol/participant-machine.ts';
import type { BankName, Decision, DecisionRow, Reason, Silence, TransferBody, TransferId, TransferRequest, Vote } from '../protocol/vocabulary.ts';

export interface ManualClock extends Clock {
  /** Moves time on and calls back whatever has become due, in order. */
  advance(ms: number): Promise<void>;
  /** Sets the wall clock forward, or back, as an operator does. */
  step(ms: number): void;
}

export function createManualClock(): ManualClock {
  let nowMs = 1_000_000;
  let steppedMs = 0;
  let timers: { atMs: number; callback: () => void }[] = [];
  return {
    nowMs: () => nowMs + steppedMs,
    monotonicMs: () => nowMs,
    step(ms) {
      steppedMs += ms;
    },
    after(delayMs, callback) {
      const timer = { atMs: nowMs + delayMs, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    soon: (callback) => void setImmediate(callback),
    async advance(ms) {
      nowMs += ms;
      for (;;) {
        const due = timers.filter(({ atMs }) => atMs <= nowMs).sort((one, other) => one.atMs - other.atMs)[0];
        if (due === undefined) break;
        timers = timers.filter((timer) => timer !== due);
        due.callback();
      }
      await settled();
    },
  };
}

/** Resolves after everything that is ready to run has run. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export interface MemoryLog extends DecisionLog {
  readonly rows: Map<TransferId, DecisionRow>;
  readonly delivered: Set<TransferId>;
  /** How many transactions were written. */
  writes: number;
}

export function createMemoryLog(clock: Clock, exclusive = true): MemoryLog {
  const rows = new Map<TransferId, DecisionRow>();
  const delivered = new Set<TransferId>();
  return {
    logId: 'log-1', exclusive, rows, delivered, writes: 0,
    find: (ids) => Promise.resolve(ids.map((id) => rows.get(id))),
    decide(proposals, finished) {
      if (proposals.length > 0) this.writes += 1;
      for (const { id, attempt } of finished) if (rows.get(id)?.attempt === attempt) delivered.add(id);
      return Promise.resolve(
        proposals.map((proposal) => {
          if (mayReplace(rows.get(proposal.id), proposal)) {
            rows.set(proposal.id, { ...proposal, decidedAtMs: clock.nowMs() });
            delivered.delete(proposal.id);
          }
          return rows.get(proposal.id)!;
        }),
      );
    },
    unfinished: (limit, after) => {
      const all = [...rows.values()];
      const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
      return Promise.resolve(all.slice(from).filter(({ id }) => !delivered.has(id)).slice(0, limit));
    },
    countUnfinished: () => Promise.resolve([...rows.keys()].filter((id) => !delivered.has(id)).length),
  };
}

export interface SentLeg {
  readonly bank: BankName;
  readonly leg: PrepareLeg;
  vote(vote: Vote | Silence): void;
}

export interface SentDecision {
  readonly bank: BankName;
  readonly id: TransferId;
  readonly decision: Decision;
  readonly haste: Haste;
  acknowledge(): void;
}

/** Keeps what is sent, for the test to answer. */
export interface ScriptedLink extends BankLink {
  readonly legs: SentLeg[];
  readonly decisions: SentDecision[];
  readonly down: Set<BankName>;
}

export function createScriptedLink(): ScriptedLink {
  const legs: SentLeg[] = [];
  const decisions: SentDecision[] = [];
  const down = new Set<BankName>();
  return {
    legs, decisions, down,
    admit: (bank) => (down.has(bank) ? 'unreachable' : 'ready'),
    prepare: (bank, leg, onVote) => void legs.push({ bank, leg, vote: (vote) => onVote(leg, vote) }),
    decide: (bank, request, decision, haste, onAcknowledged) =>
      void decisions.push({ bank, id: request.id, decision, haste, acknowledge: () => onAcknowledged(request, decision) }),
  };
}

/** A bank's books that accept everything but what `refuse` names, and record what they were told to do. */
export interface MemoryBooks extends Resource {
  readonly legs: Map<TransferId, LegRecord>;
  readonly effects: { id: TransferId; effect: LedgerEffect }[];
  commits: number;
  refuse: (terms: LegTerms) => Reason | undefined;
  nowMs: () => number;
  /** Called at the end of each write, before anything is durable. */
  beforeCommit: () => Promise<void> | void;
}

export function createMemoryBooks(): MemoryBooks {
  const books: MemoryBooks = {
    legs: new Map(),
    effects: [],
    commits: 0,
    refuse: () => undefined,
    nowMs: () => 0,
    beforeCommit: () => undefined,
    async write(work) {
      const changed = new Map<TransferId, LegRecord>();
      const effects: { id: TransferId; effect: LedgerEffect }[] = [];
      const batch: LegBatch = {
        leg: (id) => changed.get(id) ?? books.legs.get(id) ?? { state: { kind: 'absent' } },
        mayHold: (terms) => books.refuse(terms),
        apply(id, record, effect) {
          changed.set(id, record.state.kind === 'prepared' ? { ...record, preparedAtMs: books.legs.get(id)?.preparedAtMs ?? books.nowMs() } : record);
          effects.push({ id, effect });
        },
      };
      const result = work(batch);
      await books.beforeCommit();
      books.commits += 1;
      for (const [id, record] of changed) books.legs.set(id, record);
      books.effects.push(...effects);
      return result;
    },
  };
  return books;
}

export const alphaToBeta: TransferBody = {
  from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1250n, memo: 'lunch',
};
export const insideAlpha: TransferBody = { ...alphaToBeta, to: { bank: 'alpha', account: 'carol' } };

export function requestOf(id: TransferId, body: TransferBody = alphaToBeta): TransferRequest {
  return { id, body, fingerprint: fingerprintOf(body), createdAtMs: 1 };
}
