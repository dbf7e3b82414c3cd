// The participant: what one bank does with one transfer's leg. Pure; PROTOCOL.md, "Rules at the bank", is its table.

import type { Decision, Fingerprint, LogId, Reason, Vote } from './vocabulary.ts';

export type LegState =
  | { readonly kind: 'absent' }
  /** Voted yes: bound until the coordinator that owns `log` decides. No clock releases it. */
  | { readonly kind: 'prepared'; readonly fingerprint: Fingerprint; readonly attempt: number; readonly log: LogId }
  | { readonly kind: 'committed'; readonly fingerprint: Fingerprint; readonly attempt: number; readonly log: LogId }
  /** The fence: attempts up to and including `attempt` are dead here, also of an id that was never seen. */
  | { readonly kind: 'aborted'; readonly fingerprint: Fingerprint; readonly attempt: number }
  /** Closed for ever. */
  | { readonly kind: 'declined'; readonly fingerprint: Fingerprint; readonly reason: Reason };

export interface PrepareMessage {
  readonly log: LogId;
  readonly attempt: number;
  readonly fingerprint: Fingerprint;
  /** Both accounts are at this bank: apply at once, without a decision to come. */
  readonly onePhase: boolean;
}

/** What the ledger must do, in the same durable write as the new state. */
export type LedgerEffect =
  | 'none'
  /** Set the amount aside (a debit), or nothing (a credit). */
  | 'hold'
  | 'settle'
  | 'release'
  /** Both halves of a transfer inside the bank. */
  | 'apply';

/** Whether a hold may begin, or go on under a later attempt: undefined, or why it is declined for ever. */
export type MayHold = (how: 'new' | 'taken over') => Reason | undefined;

export interface PrepareStep {
  readonly state: LegState;
  readonly effect: LedgerEffect;
  readonly vote: Vote;
}

export type DecideStep =
  | { readonly kind: 'acknowledged'; readonly state: LegState; readonly effect: LedgerEffect }
  /** The decision contradicts what is durable here. Refuse it and raise the alarm; nothing changes. */
  | { readonly kind: 'broken'; readonly rule: string };

/**
 * Answers one Prepare.
 *
 * The caller makes `state` and `effect` durable before it sends `vote`. Repeating the message changes nothing.
 *
 * @param mayHold undefined to accept, or the reason to decline for ever. Asked only when the leg would be newly held, or when a later
 *   attempt would take its hold over. Then the ledger has nothing to say, since the amount is held; only who asks too late is declined.
 *   Votes `mismatch` leave `field` empty; the caller, who has both bodies, names it.
 */
export function stepPrepare(state: LegState, message: PrepareMessage, mayHold: MayHold): PrepareStep {
  if (state.kind !== 'absent' && state.fingerprint !== message.fingerprint) {
    return unchanged(state, { kind: 'mismatch', field: '' });
  }
  switch (state.kind) {
    case 'absent':
      return prepareNew(message, mayHold);
    case 'aborted':
      return message.attempt > state.attempt
        ? prepareNew(message, mayHold)
        : unchanged(state, { kind: 'fenced', fence: state.attempt });
    case 'prepared':
      return prepareAgain(state, message, mayHold);
    case 'committed':
      return unchanged(state, { kind: 'committed', replayed: true });
    case 'declined':
      return unchanged(state, { kind: 'no', reason: state.reason, replayed: true });
  }
}

/**
 * Carries out one decision.
 *
 * The caller makes `state` and `effect` durable before it acknowledges. Repeating the message changes nothing.
 * A decision about another body than the leg's is not about this leg: an abort of it is acknowledged and ignored.
 */
export function stepDecide(state: LegState, log: LogId, decision: Decision): DecideStep {
  return decision.outcome === 'committed' ? commit(state, log, decision) : abort(state, log, decision);
}

function prepareNew(message: PrepareMessage, mayHold: MayHold): PrepareStep {
  const { log, attempt, fingerprint } = message;
  const reason = mayHold('new');
  if (reason !== undefined) {
    return { state: { kind: 'declined', fingerprint, reason }, effect: 'none', vote: { kind: 'no', reason, replayed: false } };
  }
  if (message.onePhase) {
    return { state: { kind: 'committed', fingerprint, attempt, log }, effect: 'apply', vote: { kind: 'committed', replayed: false } };
  }
  return { state: { kind: 'prepared', fingerprint, attempt, log }, effect: 'hold', vote: { kind: 'yes' } };
}

function prepareAgain(state: LegState & { kind: 'prepared' }, message: PrepareMessage, mayHold: MayHold): PrepareStep {
  if (message.log !== state.log) return unchanged(state, { kind: 'busy' });
  // The running attempt itself is alive, so only those below it are dead.
  if (message.attempt < state.attempt) return unchanged(state, { kind: 'fenced', fence: state.attempt - 1 });
  if (message.attempt === state.attempt) return unchanged(state, { kind: 'yes' });
  // A higher attempt of the same log takes the hold over, or ends it: it began only after the lower one's abort was durable there.
  const reason = mayHold('taken over');
  if (reason !== undefined) {
    const { fingerprint } = state;
    return { state: { kind: 'declined', fingerprint, reason }, effect: 'release', vote: { kind: 'no', reason, replayed: false } };
  }
  return { state: { ...state, attempt: message.attempt }, effect: 'none', vote: { kind: 'yes' } };
}

function commit(state: LegState, log: LogId, decision: Decision): DecideStep {
  const { attempt, fingerprint } = decision;
  if (state.kind === 'absent') return broken('commit of a transfer that was never prepared here');
  if (state.fingerprint !== fingerprint) return broken('commit of another body than the one prepared here');
  switch (state.kind) {
    case 'prepared':
      if (state.log !== log) return broken(`commit by log ${log} of a leg that log ${state.log} prepared`);
      if (state.attempt !== attempt) return broken(`commit of attempt ${attempt} where attempt ${state.attempt} is prepared`);
      return acknowledged({ kind: 'committed', fingerprint, attempt, log }, 'settle');
    case 'committed':
      return state.log === log ? acknowledged(state, 'none') : broken(`commit by log ${log} of a leg that log ${state.log} committed`);
    case 'aborted':
      return broken(`commit of attempt ${attempt} where attempts up to ${state.attempt} are aborted`);
    case 'declined':
      return broken('commit of a transfer that was declined here');
  }
}

function abort(state: LegState, log: LogId, decision: Decision & { outcome: 'aborted' }): DecideStep {
  const { attempt, fingerprint, reason } = decision;
  if (state.kind === 'absent') return acknowledged(fenceOrClose(attempt, fingerprint, reason), 'none');
  if (state.fingerprint !== fingerprint) return acknowledged(state, 'none');
  switch (state.kind) {
    case 'prepared':
      if (state.log !== log || attempt < state.attempt) return acknowledged(state, 'none');
      return acknowledged(fenceOrClose(attempt, fingerprint, reason), 'release');
    case 'committed':
      if (state.log !== log || attempt < state.attempt) return acknowledged(state, 'none');
      return broken(`abort of attempt ${attempt} where attempt ${state.attempt} is committed`);
    case 'aborted':
      return acknowledged(fenceOrClose(Math.max(attempt, state.attempt), fingerprint, reason), 'none');
    case 'declined':
      return acknowledged(state, 'none');
  }
}

function fenceOrClose(attempt: number, fingerprint: Fingerprint, reason: Reason | undefined): LegState {
  return reason === undefined ? { kind: 'aborted', fingerprint, attempt } : { kind: 'declined', fingerprint, reason };
}

function unchanged(state: LegState, vote: Vote): PrepareStep {
  return { state, effect: 'none', vote };
}

function acknowledged(state: LegState, effect: LedgerEffect): DecideStep {
  return { kind: 'acknowledged', state, effect };
}

function broken(rule: string): DecideStep {
  return { kind: 'broken', rule };
}
