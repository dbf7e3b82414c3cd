// A call that carries legs and decisions, over a participant that the test answers: which comes first, and what is said when one of them finds no room.

import { describe, expect, it } from '@jest/globals';
import { fingerprintToWire, transferIdToWire } from '@strife/service';
import { Acknowledgement, DecisionOutcome, Side, VoteKind } from '@strife/stubs/bank';
import type { PrepareRequest } from '@strife/stubs/bank';
import { DeclineReason } from '@strife/stubs/type';
import { fingerprintOf, OverloadedError } from '@strife/two-phase-commit';
import type { Participant } from '@strife/two-phase-commit';
import { createParticipantApi } from './participant-api.ts';

const LOG = 'g1.0190f8a2-7c1e-7d3a-9f6b-2b1c3d4e5f60';
const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1n, memo: '' };
const fingerprint = fingerprintToWire(fingerprintOf(body));
const idOf = (number: number) => transferIdToWire(`0190f8a2-7c1e-7d3a-9f6b-00000000000${number}`);

const request: PrepareRequest = {
  logId: LOG,
  grants: [],
  legs: [{
    transferId: idOf(1), attempt: 1, fingerprint, side: Side.CREDIT, payerAccount: 'alice', payeeAccount: 'bob', peerBank: 'alpha',
    currency: 'EUR', amountMinor: 1n, memo: '', deadlineUnixMs: 5_000n, grantIndex: 0, expiresAtUnixMs: 0n,
  }],
  decisions: [2, 3].map((number) => ({ transferId: idOf(number), attempt: 1, fingerprint, outcome: DecisionOutcome.COMMIT, reason: DeclineReason.UNSPECIFIED })),
};

function callOver(participant: Partial<Participant>) {
  const api = createParticipantApi({ bank: 'beta', participant: participant as Participant, grants: {} as never, clock: { monotonicMs: () => 0 } });
  return api.prepare(request, { peer: { name: 'g1' } } as never);
}

const full = () => Promise.reject(new OverloadedError('full'));
const yes: Participant['prepare'] = (commands) => Promise.resolve(commands.map(() => ({ kind: 'yes' })));

describe('a call with legs and decisions', () => {
  it('carries the decisions out first, in the same turn: what they release may be what a leg needs', async () => {
    const asked: string[] = [];
    const answer = callOver({
      prepare: (commands) => (asked.push('legs'), yes(commands)),
      decide: () => (asked.push('decisions'), Promise.resolve(['acknowledged', 'refused'])),
    });
    await expect(answer).resolves.toMatchObject({ votes: [{ kind: VoteKind.YES }], acknowledgements: [Acknowledgement.DONE, Acknowledgement.REFUSED] });
    expect(asked).toEqual(['decisions', 'legs']);
  });

  it('votes for its legs also where there is no room for its decisions, which it leaves unacknowledged', async () => {
    await expect(callOver({ prepare: yes, decide: full })).resolves.toMatchObject({
      votes: [{ kind: VoteKind.YES }], acknowledgements: [Acknowledgement.UNSPECIFIED, Acknowledgement.UNSPECIFIED],
    });
  });

  it('says that it did nothing about the legs only when it did nothing about them', async () => {
    const answer = callOver({ prepare: full, decide: () => Promise.resolve(['acknowledged', 'acknowledged']) });
    await expect(answer).rejects.toThrow('full');
  });
});
