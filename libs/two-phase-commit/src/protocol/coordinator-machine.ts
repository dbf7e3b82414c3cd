// The coordinator: one transfer at one gateway, from request to acknowledged decision. Pure.
//
// A transfer between banks runs preparing -> deciding -> delivering; inside one bank it is a single message and ends with
// the bank's answer. The decision log's compare-and-set, not this machine, has the last word on every outcome.

import { ATTEMPT_MAX, banksOf, decisionOf, differingField, isInsideOneBank } from './vocabulary.ts';
import type {
  BankName, Decision, DecisionRow, Proposal, Reason, Silence, TransferBody, TransferRequest, TransientReason, Verdict, Vote,
} from './vocabulary.ts';

export type CoordinatorState =
  /** Nothing is durable yet: if this is lost, the attempt is aborted by inquiry. */
  | {
      readonly kind: 'preparing';
      readonly request: TransferRequest;
      readonly attempt: number;
      /** The banks that have said yes. */
      readonly prepared: readonly BankName[];
    }
  /** The log has been asked. Whatever row it answers is obeyed. */
  | {
      readonly kind: 'deciding';
      readonly request: TransferRequest;
      readonly attempt: number;
      /** Present when a bank said that the id is taken: what to tell the client after the abort. */
      readonly mismatch?: string | undefined;
      /** Present when a bank declined: whether it had done so before. */
      readonly replayed?: boolean | undefined;
    }
  /** The decision is durable; these banks have not acknowledged it. */
  | { readonly kind: 'delivering'; readonly decision: Decision; readonly remaining: readonly BankName[]; readonly ownsRow: boolean }
  | { readonly kind: 'ended' };

export type CoordinatorInput =
  | { readonly kind: 'vote'; readonly bank: BankName; readonly attempt: number; readonly vote: Vote | Silence }
  /** The attempt's time is up. */
  | { readonly kind: 'expired'; readonly attempt: number }
  /** What the log holds for the id after a proposal. */
  | { readonly kind: 'decided'; readonly row: DecisionRow }
  | { readonly kind: 'acknowledged'; readonly bank: BankName; readonly attempt: number };

/**
 * What the client is told. `succeeded` and `declined` are final. `not-applied` and `mismatch` speak of this log: no attempt of this
 * transfer in it was applied, nor will one be but a later attempt. They say nothing of other logs, nor, for a transfer inside one bank, of
 * earlier sends that the bank left unanswered.
 */
export type TransferResult =
  | { readonly kind: 'succeeded'; readonly replayed: boolean; readonly createdAtMs?: number; readonly decidedAtMs?: number }
  | { readonly kind: 'declined'; readonly reason: Reason; readonly replayed: boolean; readonly createdAtMs?: number; readonly decidedAtMs?: number }
  | { readonly kind: 'not-applied'; readonly why: TransientReason | 'overloaded' }
  | { readonly kind: 'mismatch'; readonly field: string }
  | { readonly kind: 'unknown' };

export type CoordinatorMessage =
  | { readonly kind: 'prepare'; readonly bank: BankName; readonly attempt: number }
  | { readonly kind: 'decide'; readonly bank: BankName; readonly decision: Decision };

/**
 * What one input leads to.
 *
 * The caller makes `persist` durable and feeds the resulting row back as `decided`; a step that persists sends nothing
 * and replies nothing. Otherwise the caller sends `send` and gives `reply` to everyone who waits.
 */
export interface CoordinatorStep {
  readonly state: CoordinatorState;
  readonly persist?: Proposal | undefined;
  readonly send: readonly CoordinatorMessage[];
  readonly reply?: TransferResult | undefined;
  /** Every bank has acknowledged the decision of the log's row at this attempt: the log may forget to deliver it. */
  readonly finished?: number | undefined;
}

const NOTHING: readonly CoordinatorMessage[] = [];
const NO_BANK: readonly BankName[] = [];
const ENDED: CoordinatorState = { kind: 'ended' };
const COMMITTED: Verdict = { outcome: 'committed' };

/** Starts a transfer, or its next attempt, from what the log holds for the id; or answers at once from the log. */
export function beginTransfer(request: TransferRequest, row: DecisionRow | undefined): CoordinatorStep {
  if (row !== undefined && row.fingerprint !== request.fingerprint) return answer(mismatchOf(row, request));
  if (row !== undefined && row.verdict.outcome !== 'aborted') return answer(resultOf(row, true));
  const attempt = row === undefined ? 1 : row.attempt + 1;
  if (attempt > ATTEMPT_MAX) return answer({ kind: 'not-applied', why: 'fenced' });
  const send = toBanks(request.body, (bank) => ({ kind: 'prepare', bank, attempt }));
  return sending(send, { kind: 'preparing', request, attempt, prepared: NO_BANK });
}

/** Takes up the delivery of a decision that the log holds from an earlier life of this gateway. */
export function resumeDelivery(row: DecisionRow): CoordinatorStep {
  return deliver(row, decisionOf(row), true);
}

/**
 * Advances one transfer by one input. An input that is late, repeated, or about another attempt changes nothing.
 */
export function stepCoordinator(state: CoordinatorState, input: CoordinatorInput): CoordinatorStep {
  switch (input.kind) {
    case 'vote':
      return state.kind === 'preparing' && state.attempt === input.attempt ? onVote(state, input.bank, input.vote) : stepTo(state);
    case 'expired':
      return state.kind === 'preparing' && state.attempt === input.attempt ? onExpired(state) : stepTo(state);
    case 'decided':
      return state.kind === 'deciding' ? onDecided(state, input.row) : stepTo(state);
    case 'acknowledged':
      return state.kind === 'delivering' && state.decision.attempt === input.attempt ? onAcknowledged(state, input.bank) : stepTo(state);
  }
}

type Preparing = CoordinatorState & { kind: 'preparing' };

function onExpired(state: Preparing): CoordinatorStep {
  if (isInsideOneBank(state.request.body)) return answer({ kind: 'unknown' });
  return propose(state, { outcome: 'aborted', why: 'timeout' });
}

function onVote(state: Preparing, bank: BankName, vote: Vote | Silence): CoordinatorStep {
  const { request, attempt, prepared } = state;
  if (isInsideOneBank(request.body)) return answer(onePhaseResult(vote));
  switch (vote.kind) {
    case 'yes':
      if (prepared.includes(bank)) return stepTo(state);
      return prepared.length === 0 ? stepTo({ kind: 'preparing', request, attempt, prepared: [bank] }) : propose(state, COMMITTED);
    case 'committed':
      // Applied under another coordinator: this attempt holds nothing anywhere, so there is nothing to abort.
      return answer({ kind: 'succeeded', replayed: true, ...timesOf(vote.atMs) });
    case 'no':
      return propose(state, { outcome: 'declined', reason: vote.reason }, { replayed: vote.replayed });
    case 'fenced':
      // No fence of an honest coordinator is there: as if the bank had not answered.
      if (vote.fence > ATTEMPT_MAX) return propose(state, { outcome: 'aborted', why: 'unreachable' });
      // Bury everything up to the fence, so that the next attempt is above it.
      return propose({ ...state, attempt: Math.max(attempt, vote.fence) }, { outcome: 'aborted', why: 'fenced' });
    case 'mismatch':
      return propose(state, { outcome: 'aborted', why: 'mismatch' }, { mismatch: vote.field });
    case 'busy':
    case 'unauthorized':
    case 'invalid':
      return propose(state, { outcome: 'aborted', why: vote.kind });
    case 'unsent':
    case 'unreachable':
      return propose(state, { outcome: 'aborted', why: 'unreachable' });
  }
}

/** What the banks said, for the reply. */
interface Said {
  readonly mismatch?: string;
  readonly replayed?: boolean;
}

const NOTHING_SAID: Said = {};

function propose({ request, attempt }: Preparing, verdict: Verdict, { mismatch, replayed }: Said = NOTHING_SAID): CoordinatorStep {
  const { id, fingerprint, key, body, createdAtMs } = request;
  const persist: Proposal = { id, fingerprint, key, body, createdAtMs, attempt, verdict };
  return { state: { kind: 'deciding', request, attempt, mismatch, replayed }, persist, send: NOTHING, reply: undefined, finished: undefined };
}

function onDecided(state: CoordinatorState & { kind: 'deciding' }, row: DecisionRow): CoordinatorStep {
  const { request, attempt } = state;
  if (row.fingerprint !== request.fingerprint) {
    // The log decided another body under this id: what this attempt holds is released, and the row is not ours to finish.
    const decision: Decision = { outcome: 'aborted', attempt, fingerprint: request.fingerprint };
    return deliver(request, decision, false, mismatchOf(row, request));
  }
  const isMismatch = row.verdict.outcome === 'aborted' && state.mismatch !== undefined;
  const reply: TransferResult = isMismatch ? { kind: 'mismatch', field: state.mismatch } : resultOf(row, state.replayed ?? false);
  return deliver(request, decisionOf(row), true, reply);
}

function deliver(request: TransferRequest, decision: Decision, ownsRow: boolean, reply?: TransferResult): CoordinatorStep {
  const send = toBanks(request.body, (bank) => ({ kind: 'decide', bank, decision }));
  return sending(send, { kind: 'delivering', decision, remaining: banksOf(request.body), ownsRow }, reply);
}

function onAcknowledged(state: CoordinatorState & { kind: 'delivering' }, bank: BankName): CoordinatorStep {
  const { decision, remaining, ownsRow } = state;
  if (!remaining.includes(bank)) return stepTo(state);
  if (remaining.length > 1) return stepTo({ kind: 'delivering', decision, remaining: without(bank, remaining), ownsRow });
  return { state: ENDED, persist: undefined, send: NOTHING, reply: undefined, finished: ownsRow ? decision.attempt : undefined };
}

/** The other one of two. */
function without(bank: BankName, [one, other]: readonly BankName[]): readonly BankName[] {
  return [one === bank ? other! : one!];
}

/** By hand, in place of lists of banks: it happens twice a payment. */
function toBanks(body: TransferBody, messageTo: (bank: BankName) => CoordinatorMessage): readonly CoordinatorMessage[] {
  const first = messageTo(body.from.bank);
  return isInsideOneBank(body) ? [first] : [first, messageTo(body.to.bank)];
}

/** The bank's answer is the outcome: it applied or declined in one durable write. Silence leaves it unknown. */
function onePhaseResult(vote: Vote | Silence): TransferResult {
  switch (vote.kind) {
    case 'committed':
      return { kind: 'succeeded', replayed: vote.replayed, ...timesOf(vote.atMs) };
    case 'no':
      return { kind: 'declined', reason: vote.reason, replayed: vote.replayed, ...timesOf(vote.atMs) };
    case 'mismatch':
      return { kind: 'mismatch', field: vote.field };
    case 'unsent':
      return { kind: 'not-applied', why: 'unreachable' };
    case 'fenced':
    case 'busy':
    case 'unauthorized':
    case 'invalid':
      return { kind: 'not-applied', why: vote.kind };
    case 'unreachable':
    case 'yes': // No bank promises anything about a transfer that it can apply by itself.
      return { kind: 'unknown' };
  }
}

function resultOf(row: DecisionRow, replayed: boolean): TransferResult {
  const { createdAtMs, decidedAtMs, verdict } = row;
  switch (verdict.outcome) {
    case 'committed':
      return { kind: 'succeeded', replayed, createdAtMs, decidedAtMs };
    case 'declined':
      return { kind: 'declined', reason: verdict.reason, replayed, createdAtMs, decidedAtMs };
    case 'aborted':
      return { kind: 'not-applied', why: verdict.why };
  }
}

function mismatchOf(row: DecisionRow, request: TransferRequest): TransferResult {
  const samePayer = row.body.from.bank === request.body.from.bank && row.body.from.account === request.body.from.account;
  return { kind: 'mismatch', field: samePayer ? (differingField(row.body, request.body) ?? '') : '' };
}

function timesOf(atMs: number | undefined): { createdAtMs?: number; decidedAtMs?: number } {
  return atMs === undefined ? {} : { createdAtMs: atMs, decidedAtMs: atMs };
}

// Steps are all of one shape: they are read for every message of every payment.

function stepTo(state: CoordinatorState): CoordinatorStep {
  return { state, persist: undefined, send: NOTHING, reply: undefined, finished: undefined };
}

function sending(send: readonly CoordinatorMessage[], state: CoordinatorState, reply?: TransferResult): CoordinatorStep {
  return { state, persist: undefined, send, reply, finished: undefined };
}

function answer(reply: TransferResult): CoordinatorStep {
  return { state: ENDED, persist: undefined, send: NOTHING, reply, finished: undefined };
}
