// Runs the coordinator machine for all transfers of one gateway: looks up, sends, groups decisions into one write, replies.

import { answerInquiries } from './answer-inquiries.ts';
import type { TimedInquiry } from './answer-inquiries.ts';
import { createExpiryQueue } from './expiry-queue.ts';
import type { ExpiryTicket } from './expiry-queue.ts';
import type { BankLink, Clock, DecisionLog, FinishedDelivery, Haste, Side } from './ports.ts';
import { createRecovery } from './recovery.ts';
import { beginTransfer, resumeDelivery, stepCoordinator } from './protocol/coordinator-machine.ts';
import type { CoordinatorInput, CoordinatorState, CoordinatorStep, TransferResult } from './protocol/coordinator-machine.ts';
import type { InquiryAnswer } from './protocol/decision-rules.ts';
import { banksOf, differingField } from './protocol/vocabulary.ts';
import type { BankName, DecisionRow, Proposal, TransferId, TransferRequest } from './protocol/vocabulary.ts';

/** `decided`: reply once the outcome is durable. `settled`: reply once both banks show it too, or `settleWaitMs` later. */
export type WaitFor = 'decided' | 'settled';

/** A transfer that somebody waits for. */
export interface Order {
  readonly request: TransferRequest;
  readonly waitFor: WaitFor;
  /**
   * When the payer no longer wants it, in ms since the Unix epoch; undefined for never. The payer's bank declines it from then on,
   * unless it was prepared before. Who joins a running attempt joins it with its expiry.
   */
  readonly expiresAtMs: number | undefined;
}

export interface Coordinator {
  /**
   * Runs each transfer, joins it where it already runs, or answers from the log. May be repeated at will with the same ids and bodies.
   * Resolves, when it knows of all, with what came of each, in order.
   *
   * @param grant the payer's authority at the payer's bank; opaque here.
   */
  createAll(orders: readonly Order[], grant: string): Promise<readonly TransferResult[]>;
  /** As `createAll`, for one. */
  create(request: TransferRequest, grant: string, waitFor: WaitFor, expiresAtMs?: number): Promise<TransferResult>;
  /** Answers banks that hold legs in doubt, in order. An abort that nobody decided yet is durable before it is answered. */
  inquire(inquiries: readonly TimedInquiry[]): Promise<readonly InquiryAnswer[]>;
  /**
   * Takes up the delivery of every decision that is not known to be delivered, oldest first. Once, at start. Resolves with their number
   * when the first of them are on their way; the rest follow as banks acknowledge.
   *
   * At most `recoveredPerBankMax` of them wait for any one bank at a time, which bounds the memory they take: so many for each bank. A bank
   * that has as many and stays silent for two seconds is passed over: what else there is for it stays in the log until it has acknowledged
   * half of what it was sent, other banks get theirs, and an inquiry is answered from the log.
   */
  recover(): Promise<number>;
  /** The transfer under this id whose attempt is neither decided nor given up here. */
  running(id: TransferId): TransferRequest | undefined;
  /** Transfers under way: not decided, and decided but not acknowledged by both banks, also those that `recover` has yet to take up. */
  load(): { undecided: number; undelivered: number };
  /** Resolves when no attempt is undecided and nothing waits to be written. Recovery takes up nothing more; new transfers are the caller's to stop. */
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
  /** The most decisions of `recover` that wait for one bank; 20,000 when undefined. */
  readonly recoveredPerBankMax?: number | undefined;
}

/** The most proposals in one write of the decision log. */
const PROPOSALS_PER_WRITE_MAX = 4096;
/** Five times what a line has under way to a bank, so that it is never idle while the log is read. */
const RECOVERED_PER_BANK_MAX = 20_000;

/** Orders that are answered together: one promise for all of them. */
interface Call {
  readonly grant: string;
  readonly results: TransferResult[];
  open: number;
  readonly resolve: (results: readonly TransferResult[]) => void;
}

/** An order in its call; told once. */
interface Waiter {
  readonly order: Order;
  readonly call: Call;
  readonly index: number;
  /** What it is told, whatever comes of the run that it waits for. */
  readonly reply: TransferResult | undefined;
}

interface Run {
  readonly request: TransferRequest;
  readonly grant: string;
  readonly expiresAtMs: number | undefined;
  readonly deadlineMs: number;
  state: CoordinatorState;
  /** Of the decision's row. */
  place: number | undefined;
  result: TransferResult | undefined;
  waiters: Waiter[];
  /** While the attempt is undecided. */
  attempt: ExpiryTicket | undefined;
  /** While somebody waits for the banks to settle. */
  settling: ExpiryTicket | undefined;
}

export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const { log, link, clock, prepareTimeoutMs, settleWaitMs, recoveredPerBankMax = RECOVERED_PER_BANK_MAX } = options;
  const runs = new Map<TransferId, Run>();
  const attempts = createExpiryQueue<Run>(clock, prepareTimeoutMs, (run) => {
    if (run.state.kind === 'preparing') advance(run, { kind: 'expired', attempt: run.state.attempt });
  });
  const settling = createExpiryQueue<Run>(clock, settleWaitMs, (run) => {
    run.settling = undefined;
    answerWaiters(run);
  });
  const recovery = createRecovery({ log, link, clock, perBankMax: recoveredPerBankMax, isUnderWay, takeUp });
  let lookups: Waiter[] = [];
  let lookingUp = 0;
  let proposals: { run: Run; proposal: Proposal }[] = [];
  let finished: FinishedDelivery[] = [];
  let undecided = 0;
  let writing = false;
  let drained: (() => void)[] = [];

  function createAll(orders: readonly Order[], grant: string): Promise<readonly TransferResult[]> {
    if (orders.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      if (lookups.length === 0) clock.soon(() => void lookUp());
      const call: Call = { grant, results: [], open: orders.length, resolve };
      for (let index = 0; index < orders.length; index += 1) lookups.push({ order: orders[index]!, call, index, reply: undefined });
    });
  }

  async function lookUp(): Promise<void> {
    const batch = lookups;
    lookups = [];
    lookingUp += 1;
    const rows = await log.find(batch.map(({ order }) => order.request.id));
    lookingUp -= 1;
    for (let index = 0; index < batch.length; index += 1) begin(batch[index]!, rows[index]);
    checkDrained();
  }

  function begin(waiter: Waiter, row: DecisionRow | undefined): void {
    const { request, expiresAtMs } = waiter.order;
    const running = runs.get(request.id);
    if (running !== undefined && isUndecided(running)) {
      if (running.request.fingerprint === request.fingerprint) running.waiters.push(waiter);
      else tell(waiter, { kind: 'mismatch', field: nameDifference(running.request, request) });
      return;
    }
    const step = beginTransfer(request, row);
    if (step.reply !== undefined) {
      answerFromLog(waiter, step.reply, running);
      return;
    }
    const refusal = refusalOf(request);
    if (refusal !== undefined) {
      // Nothing left the gateway under this attempt, so there is nothing to make durable.
      tell(waiter, { kind: 'not-applied', why: refusal });
      return;
    }
    const deadlineMs = clock.nowMs() + prepareTimeoutMs;
    const run: Run = {
      request, grant: waiter.call.grant, expiresAtMs, deadlineMs, state: step.state, place: undefined, result: undefined,
      waiters: [waiter], attempt: undefined, settling: undefined,
    };
    runs.set(request.id, run);
    undecided += 1;
    run.attempt = attempts.add(run);
    carryOut(run, step);
  }

  /** Why a bank of this transfer would not be sent its leg. */
  function refusalOf({ body }: TransferRequest): 'unreachable' | 'overloaded' | undefined {
    for (const bank of banksOf(body)) {
      const admission = link.admit(bank);
      if (admission !== 'ready') return admission;
    }
    return undefined;
  }

  /** A replay waits for the settling of the original, where that still goes on here. */
  function answerFromLog(waiter: Waiter, reply: TransferResult, running: Run | undefined): void {
    if (waiter.order.waitFor === 'decided' || running === undefined || reply.kind !== 'succeeded') {
      tell(waiter, reply);
      return;
    }
    running.result ??= reply;
    running.waiters.push({ ...waiter, reply });
    awaitSettling(running);
  }

  function advance(run: Run, input: CoordinatorInput): void {
    const step = stepCoordinator(run.state, input);
    run.state = step.state;
    if (run.attempt !== undefined && !isUndecided(run)) {
      undecided -= 1;
      attempts.delete(run.attempt);
      run.attempt = undefined;
    }
    carryOut(run, step);
  }

  function carryOut(run: Run, step: CoordinatorStep, via: Pick<BankLink, 'decide'> = link): void {
    const { request, grant, expiresAtMs, deadlineMs } = run;
    if (step.persist !== undefined) propose(run, step.persist);
    for (const message of step.send) {
      const { bank } = message;
      if (message.kind === 'prepare') {
        const { attempt } = message;
        const leg = { request, attempt, side: sideAt(bank, request), deadlineMs, grant, expiresAtMs };
        link.prepare(bank, leg, (vote) => advance(run, { kind: 'vote', bank, attempt, vote }));
      } else {
        const { decision } = message;
        via.decide(bank, request, decision, hasteOf(run), () => advance(run, { kind: 'acknowledged', bank, attempt: decision.attempt }));
      }
    }
    if (step.reply !== undefined) reply(run, step.reply);
    if (step.finished !== undefined) finished.push({ id: request.id, attempt: step.finished, place: run.place });
    if (run.state.kind === 'ended') end(run);
  }

  function reply(run: Run, result: TransferResult): void {
    run.result = result;
    const settles = run.state.kind === 'delivering' && (result.kind === 'succeeded' || result.kind === 'declined');
    if (!settles) return answerWaiters(run);
    if (run.waiters.some(isHasty)) {
      for (const waiter of run.waiters) if (isHasty(waiter)) tell(waiter, result);
      run.waiters = run.waiters.filter((waiter) => !isHasty(waiter));
    }
    if (run.waiters.length > 0) awaitSettling(run);
  }

  /** From the first who waits on. */
  function awaitSettling(run: Run): void {
    run.settling ??= settling.add(run);
  }

  function answerWaiters(run: Run): void {
    const { waiters, result } = run;
    if (result === undefined) return;
    run.waiters = [];
    for (const waiter of waiters) tell(waiter, result);
  }

  function end(run: Run): void {
    if (runs.get(run.request.id) === run) runs.delete(run.request.id);
    if (run.settling !== undefined) settling.delete(run.settling);
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
      for (let index = 0; index < batch.length; index += 1) {
        const { run } = batch[index]!;
        const row = rows[index]!;
        run.place = row.place;
        advance(run, { kind: 'decided', row });
      }
    }
    writing = false;
    checkDrained();
  }

  /** Delivers a decision that no run of this process led to. */
  function takeUp(row: DecisionRow, via?: Pick<BankLink, 'decide'>): void {
    if (isUnderWay(row)) return;
    const known = runs.get(row.id);
    const step = resumeDelivery(row);
    const run: Run = {
      request: row, grant: '', expiresAtMs: undefined, deadlineMs: 0, state: step.state, place: row.place, result: undefined,
      waiters: [], attempt: undefined, settling: undefined,
    };
    // An attempt that runs keeps its place, and goes on until it meets the row.
    if (known === undefined || !isUndecided(known)) runs.set(row.id, run);
    carryOut(run, step, via);
  }

  function isUnderWay(row: DecisionRow): boolean {
    const known = runs.get(row.id);
    return known !== undefined && willDeliver(known, row);
  }

  function checkDrained(): void {
    if (undecided > 0 || lookups.length > 0 || lookingUp > 0 || writing) return;
    for (const resolve of drained) resolve();
    drained = [];
  }

  return {
    createAll,
    async create(request, grant, waitFor, expiresAtMs) {
      const [result] = await createAll([{ request, waitFor, expiresAtMs }], grant);
      return result!;
    },
    inquire: answerInquiries({ log, clock, prepareTimeoutMs, running: (id) => runs.get(id), takeUp }),
    recover: recovery.begin,
    running(id) {
      const run = runs.get(id);
      return run !== undefined && isUndecided(run) ? run.request : undefined;
    },
    load: () => ({ undecided, undelivered: runs.size - undecided + recovery.left() }),
    drain: () =>
      new Promise((resolve) => {
        recovery.stop();
        drained.push(resolve);
        checkDrained();
      }),
  };
}

/** The last of a call's orders to be told resolves it. */
function tell({ call, index, reply }: Waiter, result: TransferResult): void {
  call.results[index] = reply ?? result;
  call.open -= 1;
  if (call.open === 0) call.resolve(call.results);
}

function isHasty({ order }: Waiter): boolean {
  return order.waitFor === 'decided';
}

function isUndecided({ state }: Run): boolean {
  return state.kind === 'preparing' || state.kind === 'deciding';
}

/** Whoever waits until a transfer is settled waits for its decisions; and what is taken up from the log is late already. */
function hasteOf({ waiters }: Run): Haste {
  return waiters.length > 0 && waiters.every(isHasty) ? 'soon' : 'now';
}

/** Whether the run delivers the row, or one that took its place, now or once its own proposal is written. A run that gathers votes may yet end without. */
function willDeliver({ request, state }: Run, row: DecisionRow): boolean {
  if (request.fingerprint !== row.fingerprint || state.kind === 'preparing') return false;
  return state.kind !== 'delivering' || state.decision.attempt >= row.attempt;
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
