// One bank's ParticipantService as a line's port: the encoding of a flight, and what its answer or failure means.

import { Acknowledgement } from '@strife/stubs/bank';
import type { Decision, ParticipantServiceClient, PrepareRequest, Refusal } from '@strife/stubs/bank';
import { OverloadedError } from '@strife/two-phase-commit';
import type { BankPort, Clock, DecideAnswer, DecisionToDeliver, FlightAnswer, LogId, PrepareLeg } from '@strife/two-phase-commit';
import { ClientError } from 'nice-grpc-common';
import { openFlightStream } from './flight-stream.ts';
import type { FlightContent, FlightStream } from './flight-stream.ts';
import { encodeDecision, encodeLeg, voteFrom } from './participant-wire.ts';

const EXCHANGE_PATH = '/strife.bank.v1.ParticipantService/Exchange';

/** After so long flights go by a new call: only when one begins, certificates and intentions are looked at. */
const STREAM_AGE_MAX_MS = 1000;

export interface StreamedBankPort extends BankPort {
  /** Ends the call when what flies is answered. Nothing is sent afterwards. */
  close(): void;
}

export interface BankPortOptions {
  readonly client: Pick<ParticipantServiceClient, 'exchange'>;
  /** In whose name flights are sent. */
  readonly logId: LogId;
  readonly clock: Pick<Clock, 'after' | 'monotonicMs'>;
}

/** A flight that fails rejects with the failure, or with OverloadedError where the bank's own word says so. */
export function createBankPort({ client, logId, clock }: BankPortOptions): StreamedBankPort {
  let stream: FlightStream | undefined;
  let openedAtMs = 0;

  function openStream(): FlightStream {
    const nowMs = clock.monotonicMs();
    if (stream?.isOpen === true && nowMs - openedAtMs < STREAM_AGE_MAX_MS) return stream;
    stream?.retire();
    openedAtMs = nowMs;
    return (stream = openFlightStream(client, clock));
  }

  return {
    async send({ legs, decisions }, timeoutMs) {
      const content: FlightContent = legs.length === 0
        ? { $case: 'decide', value: { logId, decisions: decisionsToWire(decisions) } }
        : { $case: 'prepare', value: prepareRequest(logId, legs, decisions) };
      const reply = await openStream().send(content, timeoutMs);
      if (reply?.$case === 'refusal') throw refusalError(reply.value);
      if (reply?.$case !== content.$case) throw new Error('the bank answered something else than it was asked');
      const { acknowledgements } = reply.value;
      const votes = reply.$case === 'prepare' ? reply.value.votes : [];
      return { votes: legs.map((_, index) => voteFrom(votes[index])), answers: acknowledgements.map(answerFrom) } satisfies FlightAnswer;
    },
    close: () => stream?.retire(),
  };
}

/** The bank's own word that its queue was full before it did anything, or another failure, after which it may have. */
function refusalError({ code, message, reason }: Refusal): Error {
  return reason === 'OVERLOADED' ? new OverloadedError(message) : new ClientError(EXCHANGE_PATH, code, message);
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
