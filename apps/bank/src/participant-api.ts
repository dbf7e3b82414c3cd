// strife.bank.v1.ParticipantService: checks what gateways send, hands it to the participant, answers when it is durable.

import type { Grants } from '@strife/auth';
import { declineReasonToWire, gatewayOfLog, rpcError } from '@strife/service';
import type { ServiceContext } from '@strife/service';
import { Acknowledgement, Side, VoteKind } from '@strife/stubs/bank';
import type { Decision, DecideRequest, DecideResponse, Leg, PrepareRequest, PrepareResponse, Vote as WireVote } from '@strife/stubs/bank';
import { DeclineReason } from '@strife/stubs/type';
import { OverloadedError } from '@strife/two-phase-commit';
import type { BankName, Clock, DecideAnswer, DecideCommand, Participant, PrepareCommand, Vote } from '@strife/two-phase-commit';
import { Status } from 'nice-grpc-common';
import { createExchange } from './exchange.ts';
import type { Exchange, ExchangedCalls } from './exchange.ts';
import { readDecision, readLeg } from './leg-requests.ts';

const BATCH_ITEMS_MAX = 10_000;

export interface ParticipantApiOptions {
  readonly bank: BankName;
  readonly participant: Participant;
  readonly grants: Grants;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** What it answers is whole, so that nothing needs to copy it. */
export interface ParticipantApi {
  prepare(request: PrepareRequest, context: ServiceContext): Promise<PrepareResponse>;
  decide(request: DecideRequest, context: ServiceContext): Promise<DecideResponse>;
  readonly exchange: Exchange;
}

export function createParticipantApi({ bank, participant, grants, clock }: ParticipantApiOptions): ParticipantApi {
  /** The accounts that the grants of a request speak for, if all of them were verified before. */
  function knownAccounts({ grants: texts }: PrepareRequest): readonly string[] | undefined {
    const accounts: string[] = [];
    for (const text of texts) {
      const known = grants.verifyCached(text);
      if (known === undefined) return undefined;
      accounts.push(known.account);
    }
    return accounts;
  }

  /** The same for any grants; undefined for one that this bank does not honour. */
  function verifiedAccounts({ grants: texts }: PrepareRequest): Promise<readonly (string | undefined)[]> {
    return Promise.all(texts.map((text) => grants.verify(text).then(({ account }) => account, () => undefined)));
  }

  const calls: ExchangedCalls = {
    recognize(request) {
      // One with more is refused before anybody looks at them.
      return request.grants.length > request.legs.length ? [] : (knownAccounts(request) ?? verifiedAccounts(request));
    },

    async prepare(request, { peer }, accounts) {
      const { logId, legs } = request;
      checkOwner(logId, peer.name);
      checkBatch('legs', legs.length);
      if (request.decisions.length > 0) checkBatch('decisions', request.decisions.length);
      if (request.grants.length > legs.length) throw invalid('grants', 'must not be more than there are legs');
      const decisions = commandsOf(logId, request.decisions);
      const votes: WireVote[] = new Array(legs.length);
      const commands: PrepareCommand[] = [];
      const positions: number[] = [];
      legs.forEach((leg, position) => {
        const read = readLeg(leg, logId, bank);
        if (read.kind === 'wrong') votes[position] = { ...emptyVote, kind: VoteKind.INVALID, field: read.field };
        else if (!isGranted(leg, accounts)) votes[position] = { ...emptyVote, kind: VoteKind.UNAUTHORIZED };
        else {
          commands.push(read.value);
          positions.push(position);
        }
      });
      // Asked in one turn, so that both are one write where they fit; decisions first, since what they release may be what a leg needs. When there is no
      // room for the decisions alone, they are not acknowledged: the call has failed, and done nothing about the legs, only when those have none.
      const [acknowledgements, answers] = await Promise.all([
        decisions.length === 0 ? [] : participant.decide(decisions).catch(unheard(decisions.length)),
        commands.length === 0 ? [] : participant.prepare(commands).catch(refuseOverload),
      ]);
      answers.forEach((vote, index) => {
        votes[positions[index]!] = voteToWire(vote);
      });
      return { votes, acknowledgements: acknowledgements.map(acknowledgementToWire) };
    },

    async decide({ logId, decisions }, { peer }) {
      checkOwner(logId, peer.name);
      checkBatch('decisions', decisions.length);
      const answers = await participant.decide(commandsOf(logId, decisions)).catch(refuseOverload);
      return { acknowledgements: answers.map(acknowledgementToWire) };
    },
  };
  return {
    prepare: async (request, context) => calls.prepare(request, context, await calls.recognize(request)),
    decide: calls.decide,
    exchange: createExchange(calls, clock),
  };
}

function commandsOf(logId: string, decisions: readonly Decision[]): DecideCommand[] {
  return decisions.map((decision, index) => {
    const read = readDecision(decision, logId);
    if (read.kind === 'wrong') throw invalid(`decisions[${index}].${read.field}`, 'is malformed');
    return read.value;
  });
}

function unheard(count: number): (error: unknown) => undefined[] {
  return (error) => {
    if (!(error instanceof OverloadedError)) throw error;
    return new Array<undefined>(count).fill(undefined);
  };
}

function acknowledgementToWire(answer: DecideAnswer | undefined): Acknowledgement {
  if (answer === undefined) return Acknowledgement.UNSPECIFIED;
  return answer === 'acknowledged' ? Acknowledgement.DONE : Acknowledgement.REFUSED;
}

/** Only a debit needs the payer's word; anybody may be paid. */
function isGranted(leg: Leg, accounts: readonly (string | undefined)[]): boolean {
  return leg.side === Side.CREDIT || accounts[leg.grantIndex] === leg.payerAccount;
}

/** Only the gateway that owns a log prepares and decides in its name: what the log prepared, nobody else may move. */
function checkOwner(logId: string, gateway: string): void {
  const owner = gatewayOfLog(logId);
  if (owner === undefined) throw invalid('log_id', 'must be the name of a decision log, such as g1.0190f8a2-7c1e-7d3a-9f6b-2b1c3d4e5f60');
  if (owner === gateway) return;
  throw rpcError({
    code: Status.PERMISSION_DENIED, reason: 'OTHER_LOG', field: 'log_id', message: `log_id: the log is not gateway ${gateway}'s`,
    outcome: 'not_applied', retryable: false,
  });
}

function checkBatch(field: string, items: number): void {
  if (items === 0 || items > BATCH_ITEMS_MAX) throw invalid(field, `must be 1 to ${BATCH_ITEMS_MAX}, not ${items}`);
}

function invalid(field: string, message: string): Error {
  return rpcError({ code: Status.INVALID_ARGUMENT, reason: 'INVALID_BATCH', field, message: `${field}: ${message}`, outcome: 'not_applied', retryable: false });
}

function refuseOverload(error: unknown): never {
  if (!(error instanceof OverloadedError)) throw error;
  throw rpcError({ code: Status.RESOURCE_EXHAUSTED, reason: 'OVERLOADED', message: error.message, outcome: 'not_applied', retryable: true });
}

const emptyVote: WireVote = { kind: VoteKind.UNSPECIFIED, reason: DeclineReason.UNSPECIFIED, fence: 0, field: '', replayed: false, atUnixMs: 0n };
/** What nearly every leg gets. */
const yes: WireVote = Object.freeze({ ...emptyVote, kind: VoteKind.YES });

const voteKinds = {
  yes: VoteKind.YES, no: VoteKind.NO, committed: VoteKind.COMMITTED, fenced: VoteKind.FENCED, busy: VoteKind.BUSY,
  mismatch: VoteKind.MISMATCH, unauthorized: VoteKind.UNAUTHORIZED, invalid: VoteKind.INVALID,
} satisfies Record<Vote['kind'], VoteKind>;

function voteToWire(vote: Vote): WireVote {
  if (vote.kind === 'yes') return yes;
  const wire = { ...emptyVote, kind: voteKinds[vote.kind] };
  switch (vote.kind) {
    case 'no':
      return { ...wire, reason: declineReasonToWire(vote.reason), replayed: vote.replayed, atUnixMs: BigInt(vote.atMs ?? 0) };
    case 'committed':
      return { ...wire, replayed: vote.replayed, atUnixMs: BigInt(vote.atMs ?? 0) };
    case 'fenced':
      return { ...wire, fence: vote.fence };
    case 'mismatch':
    case 'invalid':
      return { ...wire, field: vote.field };
    default:
      return wire;
  }
}
