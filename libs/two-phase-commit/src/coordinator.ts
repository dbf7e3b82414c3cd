// Runs the coordinator machine for all transfers of one gateway: looks up, sends, groups decisions into one write, replies.

import { createExpiryQueue } from './expiry-queue.ts';
import type { BankLink, Clock, DecisionLog, Side } from './ports.ts';
import { beginTransfer, resumeDelivery, stepCoordinator } from './protocol/coordinator-machine.ts';
import type { CoordinatorInput, CoordinatorState, CoordinatorStep, TransferResult } from './protocol/coordinator-machine.ts';
import { answerInquiry } from './protocol/decision-rules.ts';
import type { Inquiry, InquiryAnswer } from './protocol/decision-rules.ts';
import { banksOf, differingField } from './protocol/vocabulary.ts';
import type { BankName, DecisionRow, Proposal, TransferId, TransferRequest } from './protocol/vocabulary.ts';

/** `decided`: reply once the outcome is durable. `settled`: reply once both banks show it too, or `settleWaitMs` later. */
export type WaitFor = 'decided' | 'settled';

export interface Coordinator {
  /**
   * Runs a transfer, joins it where it already runs, or answers from the log.
   * May be repeated at will with the same id and body.
   *
   * @param grant the payer's authority at the payer's bank; opaque here.
   */
  create(request: TransferRequest, grant: string, waitFor: WaitFor): Promise<TransferResult>;
  /** Answers banks that hold legs in doubt, in order. An abort that nobody decided yet is durable before it is answered. */
  inquire(inquiries: readonly (Inquiry & { deadlineMs: number })[]): Promise<readonly InquiryAnswer[]>;
  /** Takes up the delivery of every decision that is not known to be delivered. Resolves with their number. */
  recover(): Promise<number>;
  /** The transfer under this id whose attempt is neither decided nor given up here. */
  running(id: TransferId): TransferRequest | undefined;
  /** Transfers under way: not decided, and decided but not acknowledged by both banks. */
  load(): { undecided: number; undelivered: number };
  /** Resolves when no attempt is undecided and nothing waits to be written. New transfers are the caller's to stop. */
  drain(): Promise<void>;
}

export interface CoordinatorOptions {
  readonly log: DecisionLog;
  readonly link: BankLink;
  readonly clock: Clock;
  /** How long an attempt may wait for votes. */
  readonly prepareTimeoutMs: number;
  /** How long a reply waits, at most, for both banks to settle. */
  readonly settleWaitMs: number;
}

/** The most proposals in one write of the decision log. */
const PROPOSALS_PER_WRITE_MAX = 4096;
const RECOVERY_PAGE_ROWS = 10_000;

interface Waiter {
  readonly waitFor: WaitFor;
  readonly resolve: (result: TransferResult) => void;
}

interface Lookup extends Waiter {
  readonly request: TransferRequest;
  readonly grant: string;
}

interface Run {
  readonly request: TransferRequest;
  readonly grant: string;
  readonly deadlineMs: number;
  state: CoordinatorState;
  result: TransferResult | undefined;
  waiters: Waiter[];
}

export function createCoordinator({ log, link, clock, prepareTimeoutMs, settleWaitMs }: CoordinatorOptions): Coordinator {
  const runs = new Map<TransferId, Run>();
  const attempts = createExpiryQueue<Run>(clock, prepareTimeoutMs, (run) => {
    if (run.state.kind === 'preparing') advance(run, { kind: 'expired', attempt: run.state.attempt });
  });
  const settling = createExpiryQueue<Run>(clock, settleWaitMs, answerWaiters);
  let lookups: Lookup[] = [];
  let proposals: { run: Run; proposal: Proposal }[] = [];
  let finished: TransferId[] = [];
  let undecided = 0;
  let writing = false;
  let drained: (() => void)[] = [];

  function create(request: TransferRequest, grant: string, waitFor: WaitFor): Promise<TransferResult> {
    return new Promise((resolve) => {
      if (lookups.length === 0) queueMicrotask(() => void lookUp());
      lookups.push({ request, grant, waitFor, resolve });
    });
  }

  async function lookUp(): Promise<void> {
    const batch = lookups;
    lookups = [];
    const rows = await log.find(batch.map(({ request }) => request.id));
    batch.forEach((lookup, index) => begin(lookup, rows[index]));
  }

  function begin(lookup: Lookup, row: DecisionRow | undefined): void {
    const { request, grant } = lookup;
    const running = runs.get(request.id);
    if (running !== undefined && isUndecided(running)) {
      if (running.request.fingerprint === request.fingerprint) running.waiters.push(lookup);
      else lookup.resolve({ kind: 'mismatch', field: nameDifference(running.request, request) });
      return;
    }
    const step = beginTransfer(request, row);
    if (step.reply !== undefined) {
      answerFromLog(lookup, step.reply, running);
      return;
    }
    const refusal = banksOf(request.body).map((bank) => link.admit(bank)).find((admission) => admission !== 'ready');
    if (refusal !== undefined) {
      // Nothing left the gateway under this attempt, so there is nothing to make durable.
      lookup.resolve({ kind: 'not-applied', why: refusal });
      return;
    }
    const run: Run = { request, grant, deadlineMs: clock.nowMs() + prepareTimeoutMs, state: step.state, result: undefined, waiters: [lookup] };
    runs.set(request.id, run);
    undecided += 1;
    attempts.add(run);
    carryOut(run, step);
  }

  /** A replay waits for the settling of the original, where that still goes on here. */
  function answerFromLog(lookup: Lookup, reply: TransferResult, running: Run | undefined): void {
    if (lookup.waitFor === 'decided' || running === undefined || reply.kind !== 'succeeded') {
      lookup.resolve(reply);
      return;
    }
    running.result ??= reply;
    running.waiters.push({ waitFor: 'settled', resolve: () => lookup.resolve(reply) });
    settling.add(running);
  }

  function advance(run: Run, input: CoordinatorInput): void {
    const wasUndecided = isUndecided(run);
    const step = stepCoordinator(run.state, input);
    run.state = step.state;
    if (wasUndecided && !isUndecided(run)) {
      undecided -= 1;
      attempts.delete(run);
    }
    carryOut(run, step);
  }

  function carryOut(run: Run, step: CoordinatorStep): void {
    const { request, grant, deadlineMs } = run;
    if (step.persist !== undefined) propose(run, step.persist);
    for (const message of step.send) {
      const { bank } = message;
      if (message.kind === 'prepare') {
        const { attempt } = message;
        const leg = { request, attempt, side: sideAt(bank, request), deadlineMs, grant };
        link.prepare(bank, leg, (vote) => advance(run, { kind: 'vote', bank, attempt, vote }));
      } else {
        const { decision } = message;
        link.decide(bank, request.id, decision, () => advance(run, { kind: 'acknowledged', bank, attempt: decision.attempt }));
      }
    }
    if (step.reply !== undefined) reply(run, step.reply);
    // Where a later attempt has taken this one's place, the row is that attempt's to finish.
    if (step.finished && runs.get(request.id) === run) finished.push(request.id);
    if (run.state.kind === 'ended') end(run);
  }

  function reply(run: Run, result: TransferResult): void {
    run.result = result;
    const settles = run.state.kind === 'delivering' && (result.kind === 'succeeded' || result.kind === 'declined');
    if (!settles) return answerWaiters(run);
    const patient = run.waiters.filter(({ waitFor }) => waitFor === 'settled');
    if (patient.length < run.waiters.length) {
      for (const { waitFor, resolve } of run.waiters) if (waitFor === 'decided') resolve(result);
      run.waiters = patient;
    }
    if (patient.length > 0) settling.add(run);
  }

  function answerWaiters(run: Run): void {
    const { waiters, result } = run;
    if (result === undefined) return;
    run.waiters = [];
    for (const { resolve } of waiters) resolve(result);
  }

  function end(run: Run): void {
    if (runs.get(run.request.id) === run) runs.delete(run.request.id);
    settling.delete(run);
    answerWaiters(run);
    if (finished.length > 0) scheduleWrite();
    checkDrained();
  }

  function propose(run: Run, proposal: Proposal): void {
    proposals.push({ run, proposal });
    scheduleWrite();
  }

  function scheduleWrite(): void {
    if (writing) return;
    writing = true;
    clock.soon(() => void write());
  }

  /** One write at a time; what comes up meanwhile is the next one. */
  async function write(): Promise<void> {
    while (proposals.length > 0 || finished.length > 0) {
      const batch = proposals.splice(0, PROPOSALS_PER_WRITE_MAX);
      const delivered = finished;
      finished = [];
      const rows = await log.decide(batch.map(({ proposal }) => proposal), delivered);
      batch.forEach(({ run }, index) => advance(run, { kind: 'decided', row: rows[index]! }));
    }
    writing = false;
    checkDrained();
  }

  async function inquire(inquiries: readonly (Inquiry & { deadlineMs: number })[]): Promise<readonly InquiryAnswer[]> {
    const rows = await log.find(inquiries.map(({ id }) => id));
    const answers = inquiries.map((inquiry, index) => answerInquiry(rows[index], inquiry, mayStillRun(inquiry)));
    const unwritten = answers.flatMap((answer, index) => (answer.kind === 'write-first' ? [{ index, proposal: answer.proposal }] : []));
    if (unwritten.length === 0) return answers;
    const written = await log.decide(unwritten.map(({ proposal }) => proposal), []);
    unwritten.forEach(({ index }, position) => {
      const row = written[position]!;
      answers[index] = answerInquiry(row, inquiries[index]!, false);
      // The bank that did not ask may hold its half too.
      takeUp(row);
    });
    return answers;
  }

  function mayStillRun(inquiry: Inquiry & { deadlineMs: number }): boolean {
    const run = runs.get(inquiry.id);
    if (run !== undefined && isUndecided(run)) return true;
    return !log.exclusive && clock.nowMs() < inquiry.deadlineMs;
  }

  /** Delivers a decision that no run of this process led to. */
  function takeUp(row: DecisionRow): void {
    if (runs.has(row.id)) return;
    const step = resumeDelivery(row);
    const run: Run = { request: row, grant: '', deadlineMs: 0, state: step.state, result: undefined, waiters: [] };
    runs.set(row.id, run);
    carryOut(run, step);
  }

  async function recover(): Promise<number> {
    let count = 0;
    let after: TransferId | undefined;
    for (;;) {
      const rows = await log.unfinished(RECOVERY_PAGE_ROWS, after);
      for (const row of rows) takeUp(row);
      count += rows.length;
      after = rows.at(-1)?.id;
      if (rows.length < RECOVERY_PAGE_ROWS) return count;
    }
  }

  function checkDrained(): void {
    if (undecided > 0 || lookups.length > 0 || writing) return;
    for (const resolve of drained) resolve();
    drained = [];
  }

  return {
    create,
    inquire,
    recover,
    running(id) {
      const run = runs.get(id);
      return run !== undefined && isUndecided(run) ? run.request : undefined;
    },
    load: () => ({ undecided, undelivered: runs.size - undecided }),
    drain: () =>
      new Promise((resolve) => {
        drained.push(resolve);
        checkDrained();
      }),
  };
}

function isUndecided({ state }: Run): boolean {
  return state.kind === 'preparing' || state.kind === 'deciding';
}

function nameDifference(running: TransferRequest, request: TransferRequest): string {
  const { from } = running.body;
  const samePayer = from.bank === request.body.from.bank && from.account === request.body.from.account;
  return samePayer ? (differingField(running.body, request.body) ?? '') : '';
}

function sideAt(bank: BankName, { body }: TransferRequest): Side {
  if (body.from.bank === body.to.bank) return 'both';
  return body.from.bank === bank ? 'debit' : 'credit';
}
