// What each rule of the protocol is for, shown by leaving it out: every entry wraps the real machines so that one rule no
// longer holds, and names a world in which the explorer must then find a broken promise.

import { decisionOf } from '../protocol/vocabulary.ts';
import type { CoordinatorStep } from '../protocol/coordinator-machine.ts';
import type { LegState } from '../protocol/participant-machine.ts';
import type { DecisionRow, Proposal } from '../protocol/vocabulary.ts';
import type { Rules } from './model.ts';
import { REAL_RULES } from './model.ts';

export interface PlantedRule {
  /** The rule that is left out. */
  readonly rule: string;
  /** Where the explorer finds out. */
  readonly world: string;
  /** What the rule protects: without it, a state that must never be, or a state that nothing leads out of. */
  readonly protects: 'safety' | 'liveness';
  /** The promise that breaks, or a part of it. */
  readonly expected: string;
  readonly rules: Rules;
}

export const PLANTED_RULES: readonly PlantedRule[] = [
  {
    rule: 'an abort is durable before it is acted on', world: 'one-log', protects: 'safety',
    expected: 'what was told not applied happens only by a later attempt',
    rules: {
      ...REAL_RULES,
      stepCoordinator: (state, input) => {
        const step = REAL_RULES.stepCoordinator(state, input);
        return step.persist === undefined || step.persist.verdict.outcome === 'committed' ? step : actedOn(step, step.persist);
      },
    },
  },
  {
    rule: 'compare-and-set of the decision', world: 'one-log', protects: 'safety',
    expected: 'a buried attempt stays buried',
    rules: { ...REAL_RULES, mayReplace: () => true },
  },
  {
    rule: 'a commit needs exactly the next attempt', world: 'one-gateway', protects: 'safety',
    expected: 'a buried attempt stays buried',
    rules: {
      ...REAL_RULES,
      mayReplace: (row, proposal) => row === undefined || (row.verdict.outcome === 'aborted' && row.fingerprint === proposal.fingerprint),
    },
  },
  {
    rule: 'a decline is durable before the NO', world: 'two-logs', protects: 'safety',
    expected: 'what was told declined never happens',
    rules: {
      ...REAL_RULES,
      stepPrepare: (state, message, mayHold) => {
        const step = REAL_RULES.stepPrepare(state, message, mayHold);
        return step.vote.kind === 'no' && !step.vote.replayed ? { ...step, state } : step;
      },
    },
  },
  {
    rule: 'a YES is durable before it is sent', world: 'one-log', protects: 'safety',
    expected: 'a committed transfer is held or settled at both banks',
    rules: { ...REAL_RULES, leavesEarly: (message) => message.kind === 'vote' && message.vote.kind === 'yes' },
  },
  {
    rule: "another log's legs are left untouched", world: 'two-logs', protects: 'safety',
    expected: 'a committed transfer is held or settled at both banks',
    rules: {
      ...REAL_RULES,
      stepPrepare: (state, message, mayHold) => REAL_RULES.stepPrepare(ownedBy(state, message.log), message, mayHold),
      stepDecide: (state, log, decision) => REAL_RULES.stepDecide(ownedBy(state, log), log, decision),
    },
  },
  {
    rule: 'answers to inquiries are written first', world: 'one-log', protects: 'safety',
    expected: 'a committed transfer is held or settled at both banks',
    rules: {
      ...REAL_RULES,
      answerInquiry: (row, inquiry, mayStillRun) => {
        const answer = REAL_RULES.answerInquiry(row, inquiry, mayStillRun);
        return answer.kind === 'write-first' ? { kind: 'aborted', attempt: inquiry.attempt } : answer;
      },
    },
  },
  {
    rule: 'attempt check: a decision moves only its own attempt', world: 'one-gateway', protects: 'safety',
    expected: 'a committed transfer is held or settled at both banks',
    rules: {
      ...REAL_RULES,
      stepDecide: (state, log, decision) =>
        REAL_RULES.stepDecide(state, log, state.kind === 'prepared' ? { ...decision, attempt: state.attempt } : decision),
    },
  },
  {
    rule: 'attempt check: a Prepare below the fence is refused', world: 'one-log-silent-banks', protects: 'liveness',
    expected: 'at rest no decided attempt is still held',
    rules: {
      ...REAL_RULES,
      stepPrepare: (state, message, mayHold) => REAL_RULES.stepPrepare(state.kind === 'aborted' ? { kind: 'absent' } : state, message, mayHold),
    },
  },
  {
    rule: 'fingerprint check', world: 'one-log-two-bodies', protects: 'safety',
    expected: 'a committed transfer is held or settled at both banks',
    rules: {
      ...REAL_RULES,
      stepPrepare: (state, message, mayHold) =>
        REAL_RULES.stepPrepare(state, state.kind === 'absent' ? message : { ...message, fingerprint: state.fingerprint }, mayHold),
    },
  },
  {
    rule: 'a decision carries the fingerprint', world: 'one-log-two-bodies', protects: 'safety',
    expected: 'a committed transfer is held or settled at both banks',
    rules: {
      ...REAL_RULES,
      stepDecide: (state, log, decision) =>
        REAL_RULES.stepDecide(state, log, state.kind === 'absent' ? decision : { ...decision, fingerprint: state.fingerprint }),
    },
  },
  {
    rule: 'no clock releases a hold', world: 'one-gateway', protects: 'safety',
    expected: 'a committed transfer is held or settled at both banks',
    rules: {
      ...REAL_RULES,
      afterLongWait: (leg) => (leg.kind === 'prepared' ? { kind: 'aborted', fingerprint: leg.fingerprint, attempt: leg.attempt } : leg),
    },
  },
  {
    rule: 'log before acknowledging: the client hears of a commit when the row is durable', world: 'one-gateway', protects: 'safety',
    expected: 'whoever was told succeeded can rely on a durable commit',
    rules: {
      ...REAL_RULES,
      stepCoordinator: (state, input) => {
        const step = REAL_RULES.stepCoordinator(state, input);
        return step.persist?.verdict.outcome === 'committed' ? { ...step, reply: { kind: 'succeeded', replayed: false } } : step;
      },
    },
  },
  {
    rule: 'log before acknowledging: a decision is acknowledged when the leg is durable', world: 'one-log-silent-banks', protects: 'liveness',
    expected: 'at rest no decided attempt is still held',
    rules: { ...REAL_RULES, leavesEarly: (message) => message.kind === 'acknowledgement' },
  },
  {
    rule: 'an abort of an unknown id writes a fence', world: 'one-log-silent-banks', protects: 'liveness',
    expected: 'at rest no decided attempt is still held',
    rules: {
      ...REAL_RULES,
      stepDecide: (state, log, decision) =>
        state.kind === 'absent' && decision.outcome === 'aborted'
          ? { kind: 'acknowledged', state, effect: 'none' }
          : REAL_RULES.stepDecide(state, log, decision),
    },
  },
  {
    rule: 'an abort jumps to the fence', world: 'one-log-fenced', protects: 'liveness',
    expected: 'a client that asks again hears a final answer',
    rules: {
      ...REAL_RULES,
      stepCoordinator: (state, input) =>
        REAL_RULES.stepCoordinator(state, input.kind === 'vote' && input.vote.kind === 'fenced' ? { ...input, vote: { kind: 'fenced', fence: 0 } } : input),
    },
  },
];

/** The step that the machine takes when it believes its proposal to be the log's row, without asking. */
function actedOn(step: CoordinatorStep, proposal: Proposal): CoordinatorStep {
  const row: DecisionRow = { ...proposal, decidedAtMs: 0 };
  const { send, reply } = REAL_RULES.stepCoordinator(step.state, { kind: 'decided', row });
  return { state: { kind: 'delivering', decision: decisionOf(row), remaining: [], ownsRow: false }, send, ...(reply && { reply }) };
}

function ownedBy(state: LegState, log: string): LegState {
  return 'log' in state ? { ...state, log } : state;
}
