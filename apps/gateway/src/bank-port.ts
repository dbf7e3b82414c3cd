// One bank's ParticipantService as a line's port: the encoding of a flight, and what its answer or failure means.

import { withTimeLimit } from '@strife/service';
import { Acknowledgement } from '@strife/stubs/bank';
import type { Decision, ParticipantServiceClient, PrepareRequest } from '@strife/stubs/bank';
import { OverloadedError } from '@strife/two-phase-commit';
import type { BankPort, DecideAnswer, DecisionToDeliver, LogId, PrepareLeg } from '@strife/two-phase-commit';
import { describeFailure, isOverloaded } from './call-failures.ts';
import { encodeDecision, encodeLeg, voteFrom } from './participant-wire.ts';

/** Calls in the name of the log `logId`. A call that fails rejects with the failure, or with OverloadedError where the bank's own word says so. */
export function createBankPort(client: Pick<ParticipantServiceClient, 'prepare' | 'decide'>, logId: LogId): BankPort {
  return {
    async send({ legs, decisions }, timeoutMs) {
      try {
        if (legs.length === 0) {
          const { acknowledgements } = await withTimeLimit(timeoutMs, (signal) => client.decide({ logId, decisions: decisionsToWire(decisions) }, { signal }));
          return { votes: [], answers: acknowledgements.map(answerFrom) };
        }
        const request = prepareRequest(logId, legs, decisions);
        const { votes, acknowledgements } = await withTimeLimit(timeoutMs, (signal) => client.prepare(request, { signal }));
        return { votes: legs.map((_, index) => voteFrom(votes[index])), answers: acknowledgements.map(answerFrom) };
      } catch (error) {
        throw isOverloaded(error) ? new OverloadedError(describeFailure(error), { cause: error }) : error;
      }
    },
  };
}

function prepareRequest(logId: LogId, batch: readonly { readonly leg: PrepareLeg }[], decisions: readonly DecisionToDeliver[]): PrepareRequest {
  const grantIndexes = new Map<string, number>();
  const legs = batch.map(({ leg }) => {
    let grantIndex = 0;
    if (leg.side !== 'credit') {
      grantIndex = grantIndexes.get(leg.grant) ?? grantIndexes.size;
      grantIndexes.set(leg.grant, grantIndex);
    }
    return encodeLeg(leg, grantIndex);
  });
  return { logId, grants: [...grantIndexes.keys()], legs, decisions: decisionsToWire(decisions) };
}

function decisionsToWire(batch: readonly DecisionToDeliver[]): Decision[] {
  return batch.map(({ request, decision }) => encodeDecision(request, decision));
}

function answerFrom(acknowledgement: Acknowledgement): DecideAnswer | undefined {
  if (acknowledgement === Acknowledgement.DONE) return 'acknowledged';
  return acknowledgement === Acknowledgement.REFUSED ? 'refused' : undefined;
}
