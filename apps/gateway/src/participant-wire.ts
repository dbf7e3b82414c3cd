// Legs, votes and decisions as ParticipantService carries them.

import { declineReasonFromWire, declineReasonToWire, fingerprintToWire, transferIdToWire, UNIX_MS_MAX } from '@strife/service';
import { DecisionOutcome, Side, VoteKind } from '@strife/stubs/bank';
import type { Decision as WireDecision, Leg, Vote as WireVote } from '@strife/stubs/bank';
import { DeclineReason } from '@strife/stubs/type';
import type { Decision, PrepareLeg, Silence, TransferRequest, Vote } from '@strife/two-phase-commit';

const sides = { debit: Side.DEBIT, credit: Side.CREDIT, both: Side.BOTH } satisfies Record<PrepareLeg['side'], Side>;

export function encodeLeg({ request, attempt, side, deadlineMs, expiresAtMs = 0 }: PrepareLeg, grantIndex: number): Leg {
  const { from, to, currency, amountMinor, memo } = request.body;
  return {
    transferId: request.key?.id ?? transferIdToWire(request.id),
    attempt,
    fingerprint: request.key?.fingerprint ?? fingerprintToWire(request.fingerprint),
    side: sides[side],
    payerAccount: from.account,
    payeeAccount: to.account,
    peerBank: side === 'credit' ? from.bank : to.bank,
    currency,
    amountMinor,
    memo,
    deadlineUnixMs: BigInt(deadlineMs),
    grantIndex,
    // For the payer's bank alone: it decides, by its own clock.
    expiresAtUnixMs: side === 'credit' ? 0n : BigInt(expiresAtMs),
  };
}

export function encodeDecision({ id, fingerprint, key }: TransferRequest, decision: Decision): WireDecision {
  return {
    transferId: key?.id ?? transferIdToWire(id),
    attempt: decision.attempt,
    fingerprint: key?.fingerprint ?? fingerprintToWire(fingerprint),
    outcome: decision.outcome === 'committed' ? DecisionOutcome.COMMIT : DecisionOutcome.ABORT,
    reason: decision.outcome === 'aborted' && decision.reason !== undefined ? declineReasonToWire(decision.reason) : DeclineReason.UNSPECIFIED,
  };
}

/** When something was, by a bank's word; nothing where no date is that far from now. */
function readTime(unixMs: bigint): { atMs?: number } {
  return unixMs > 0n && unixMs <= UNIX_MS_MAX ? { atMs: Number(unixMs) } : {};
}

/** A vote that is missing or of an unknown kind is no vote: the leg may or may not be prepared. */
export function voteFrom(vote: WireVote | undefined): Vote | Silence {
  switch (vote?.kind) {
    case VoteKind.YES:
      return { kind: 'yes' };
    case VoteKind.NO: {
      const reason = declineReasonFromWire(vote.reason);
      return reason === undefined ? { kind: 'unreachable' } : { kind: 'no', reason, replayed: vote.replayed, ...readTime(vote.atUnixMs) };
    }
    case VoteKind.COMMITTED:
      return { kind: 'committed', replayed: vote.replayed, ...readTime(vote.atUnixMs) };
    case VoteKind.FENCED:
      return { kind: 'fenced', fence: vote.fence };
    case VoteKind.BUSY:
      return { kind: 'busy' };
    case VoteKind.MISMATCH:
      return { kind: 'mismatch', field: vote.field };
    case VoteKind.UNAUTHORIZED:
      return { kind: 'unauthorized' };
    case VoteKind.INVALID:
      return { kind: 'invalid', field: vote.field };
    default:
      return { kind: 'unreachable' };
  }
}
