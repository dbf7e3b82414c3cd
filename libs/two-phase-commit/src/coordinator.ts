// Runs the coordinator machine for all transfers of one gateway: looks up, sends, groups decisions into one write, replies.

import { answerInquiries } from './answer-inquiries.ts';
import type { TimedInquiry } from './answer-inquiries.ts';
import { createExpiryQueue } from './expiry-queue.ts';
import type { ExpiryTicket } from './expiry-queue.ts';
import type { BankLink, Clock, DecisionLog, FinishedDelivery, PrepareLeg, Side } from './ports.ts';
import { createRecovery } from './recovery.ts';
import { beginTransfer, resumeDelivery, stepCoordinator } from './protocol/coordinator-machine.ts';
import type { CoordinatorInput, CoordinatorMessage, CoordinatorState, CoordinatorStep, TransferResult } from './protocol/coordinator-machine.ts';
import type { InquiryAnswer } from './protocol/decision-rules.ts';
import { differingField, isInsideOneBank } from './protocol/vocabulary.ts';
import type {
  BankName, Decision, DecisionRow, Fingerprint, Proposal, Silence, TransferBody, TransferId, TransferKey, TransferRequest, Vote,
} from './protocol/vocabulary.ts';
import { hasteOf, isHasty, join, orderOf, tell, tellAll, tellHasty } from './waiters.ts';
import type { Awaited, Call, Order, WaitFor, Waiter } from './waiters.ts';

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

/**
 * A transfer under way. There are thousands at a time, so a run keeps nothing that only its beginning needs; and it goes to the banks' lines
 * as the request that it is about, so that votes and acknowledgements come back with it, and no function is made for each of them.
 */
class Run implements TransferRequest, Awaited {
  readonly request: TransferRequest;
  state: CoordinatorState;
  waiters: Waiter | undefined;
  /** Of the decision's row. */
  place: number | undefined;
  result: TransferResult | undefined = undefined;
  /** While the attempt is undecided. */
  attempt: ExpiryTicket | undefined = undefined;
  /** While somebody waits for the banks to settle. */
  settling: ExpiryTicket | undefined = undefined;

  constructor(request: TransferRequest, state: CoordinatorState, waiters: Waiter | undefined, place: number | undefined) {
    this.request = request;
    this.state = state;
    this.waiters = waiters;
    this.place = place;
  }

  get id(): TransferId {
    return this.request.id;
  }

  get fingerprint(): Fingerprint {
    return this.request.fingerprint;
  }

  get key(): TransferKey | undefined {
    return this.request.key;
  }

  get body(): TransferBody {
    return this.request.body;
  }

  get createdAtMs(): number {
    return this.request.createdAtMs;
  }
}

interface RunLeg extends PrepareLeg {
  readonly request: Run;
  readonly bank: BankName;
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
  const hearers = new Map<BankName, (run: Run, decision: Decision) => void>();
  let lookups: Call[] = [];
  let lookingUp = 0;
  let proposals: Proposal[] = [];
  /** Whose the proposals are, in their order. */
  let proposers: Run[] = [];
  let finished: FinishedDelivery[] = [];
  let lastResult: TransferResult = { kind: 'unknown' };
  let undecided = 0;
  let writing = false;
  let drained: (() => void)[] = [];

  function createAll(orders: readonly Order[], grant: string): Promise<readonly TransferResult[]> {
    if (orders.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      if (lookups.length === 0) clock.soon(() => void lookUp());
      lookups.push({ orders, grant, results: new Array(orders.length), open: orders.length, resolve });
    });
  }

  async function lookUp(): Promise<void> {
    const calls = lookups;
    lookups = [];
    lookingUp += 1;
    const ids: TransferId[] = [];
    for (const { orders } of calls) for (const { request } of orders) ids.push(request.id);
    const rows = await log.find(ids);
    lookingUp -= 1;
    const deadlineMs = clock.nowMs() + prepareTimeoutMs;
    let found = 0;
    for (const call of calls) {
      for (let index = 0; index < call.orders.length; index += 1) begin({ call, index, reply: undefined, next: undefined }, rows[found++], deadlineMs);
    }
    checkDrained();
  }

  function begin(waiter: Waiter, row: DecisionRow | undefined, deadlineMs: number): void {
    const { request, expiresAtMs } = orderOf(waiter);
    const running = runs.get(request.id);
    if (running !== undefined && isUndecided(running)) {
      if (running.request.fingerprint === request.fingerprint) join(running, waiter);
      else tell(waiter, { kind: 'mismatch', field: nameDifference(running.request, request) });
      return;
    }
    const step = beginTransfer(request, row);
    if (step.reply !== undefined) {
      answerFromLog(waiter, step.reply, running);
      return;
    }
    const refusal = refusalOf(link, request);
    if (refusal !== undefined) {
      // Nothing left the gateway under this attempt, so there is nothing to make durable.
      tell(waiter, { kind: 'not-applied', why: refusal });
      return;
    }
    const run = new Run(request, step.state, waiter, undefined);
    runs.set(request.id, run);
    undecided += 1;
    run.attempt = attempts.add(run);
    for (const message of step.send) {
      if (message.kind !== 'prepare') continue;
      const { bank, attempt } = message;
      const leg: RunLeg = { request: run, attempt, side: sideAt(bank, request), deadlineMs, grant: waiter.call.grant, expiresAtMs, bank };
      link.prepare(bank, leg, onVote);
    }
  }

  function onVote({ request: run, bank, attempt }: RunLeg, vote: Vote | Silence): void {
    advance(run, { kind: 'vote', bank, attempt, vote });
  }

  /** A replay waits for the settling of the original, where that still goes on here. */
  function answerFromLog(waiter: Waiter, reply: TransferResult, running: Run | undefined): void {
    if (isHasty(waiter) || running === undefined || reply.kind !== 'succeeded') {
      tell(waiter, reply);
      return;
    }
    running.result ??= reply;
    join(running, { ...waiter, reply });
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

  /** What a step persists is durable before its answer, the row, comes back as the next input: only that sends and replies. */
  function carryOut(run: Run, step: CoordinatorStep, via: Pick<BankLink, 'decide'> = link): void {
    if (step.persist !== undefined) propose(run, step.persist);
    for (const message of step.send) if (message.kind === 'decide') deliver(run, message, via);
    if (step.reply !== undefined) reply(run, step.reply);
    if (step.finished !== undefined) finished.push({ id: run.request.id, attempt: step.finished, place: run.place });
    if (run.state.kind === 'ended') end(run);
  }

  function deliver(run: Run, { bank, decision }: CoordinatorMessage & { kind: 'decide' }, via: Pick<BankLink, 'decide'>): void {
    via.decide(bank, run, decision, hasteOf(run), acknowledgedBy(bank));
  }

  /** One function a bank, not one a decision. */
  function acknowledgedBy(bank: BankName): (run: Run, decision: Decision) => void {
    let hear = hearers.get(bank);
    if (hear === undefined) {
      hear = (run, { attempt }) => advance(run, { kind: 'acknowledged', bank, attempt });
      hearers.set(bank, hear);
    }
    return hear;
  }

  function reply(run: Run, own: TransferResult): void {
    // What is asked for and decided together is mostly told the same, and is kept until all of its call is known.
    const result = isSameSuccess(lastResult, own) ? lastResult : own;
    lastResult = result;
    run.result = result;
    const settles = run.state.kind === 'delivering' && (result.kind === 'succeeded' || result.kind === 'declined');
    if (!settles) return answerWaiters(run);
    tellHasty(run, result);
    if (run.waiters !== undefined) awaitSettling(run);
  }

  /** From the first who waits on. */
  function awaitSettling(run: Run): void {
    run.settling ??= settling.add(run);
  }

  function answerWaiters(run: Run): void {
    if (run.result !== undefined) tellAll(run, run.result);
  }

  function end(run: Run): void {
    if (runs.get(run.request.id) === run) runs.delete(run.request.id);
    if (run.settling !== undefined) settling.delete(run.settling);
    answerWaiters(run);
    if (finished.length > 0) scheduleWrite();
    checkDrained();
  }

  function propose(run: Run, proposal: Proposal): void {
    proposals.push(proposal);
    proposers.push(run);
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
      const decided = proposers.splice(0, PROPOSALS_PER_WRITE_MAX);
      const rows = await log.decide(batch, delivered);
      for (let index = 0; index < decided.length; index += 1) {
        const run = decided[index]!;
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
    const run = new Run(row, step.state, undefined, row.place);
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

function isUndecided({ state }: Run): boolean {
  return state.kind === 'preparing' || state.kind === 'deciding';
}

/** Whether the run delivers the row, or one that took its place, now or once its own proposal is written. A run that gathers votes may yet end without. */
function willDeliver({ request, state }: Run, row: DecisionRow): boolean {
  if (request.fingerprint !== row.fingerprint || state.kind === 'preparing') return false;
  return state.kind !== 'delivering' || state.decision.attempt >= row.attempt;
}

function isSameSuccess(one: TransferResult, other: TransferResult): boolean {
  return one.kind === 'succeeded' && other.kind === 'succeeded'
    && one.replayed === other.replayed && one.createdAtMs === other.createdAtMs && one.decidedAtMs === other.decidedAtMs;
}

/** Why a bank of this transfer would not be sent its leg. */
function refusalOf(link: BankLink, { body }: TransferRequest): 'unreachable' | 'overloaded' | undefined {
  const payers = link.admit(body.from.bank);
  if (payers !== 'ready') return payers;
  const payees = isInsideOneBank(body) ? payers : link.admit(body.to.bank);
  return payees === 'ready' ? undefined : payees;
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
