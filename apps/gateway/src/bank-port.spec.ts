// The calls of a bank's port over a client that the test answers: what is in them, and what their answers and failures mean.

import { describe, expect, it } from '@jest/globals';
import { Acknowledgement, VoteKind } from '@strife/stubs/bank';
import type { DecideRequest, DecideResponse, ParticipantServiceClient, PrepareRequest, PrepareResponse } from '@strife/stubs/bank';
import { DeclineReason } from '@strife/stubs/type';
import { fingerprintOf, OverloadedError } from '@strife/two-phase-commit';
import type { PrepareLeg } from '@strife/two-phase-commit';
import { ClientError, Status } from 'nice-grpc-common';
import { createBankPort } from './bank-port.ts';

interface Answers {
  prepare?(request: PrepareRequest): Promise<PrepareResponse>;
  decide?(request: DecideRequest): Promise<DecideResponse>;
}

function portOver(answers: Answers): ReturnType<typeof createBankPort> {
  return createBankPort(answers as unknown as ParticipantServiceClient, 'log-1');
}

function leg(index: number, grant: string, side: PrepareLeg['side'] = 'debit'): { leg: PrepareLeg } {
  const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1n, memo: '' };
  const id = `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`;
  return { leg: { request: { id, body, fingerprint: fingerprintOf(body), createdAtMs: 0 }, attempt: 1, side, deadlineMs: 2000, grant } };
}

const yes = { kind: VoteKind.YES, reason: DeclineReason.UNSPECIFIED, fence: 0, field: '', replayed: false, atUnixMs: 0n };
const failWith = (code: Status) => (): Promise<never> => Promise.reject(new ClientError('/strife.bank.v1.ParticipantService/Prepare', code, 'told to'));

describe('the port to a bank', () => {
  it('sends each grant once, and none for credits', async () => {
    let sent: PrepareRequest | undefined;
    const port = portOver({ prepare: (request) => ((sent = request), Promise.resolve({ votes: [yes, yes, yes, yes], acknowledgements: [] })) });
    await port.send({ legs: [leg(1, 'grant-a'), leg(2, 'grant-b'), leg(3, 'grant-a'), leg(4, 'grant-c', 'credit')], decisions: [] }, 100);
    expect([sent?.logId, sent?.grants]).toEqual(['log-1', ['grant-a', 'grant-b']]);
    expect(sent?.legs.map(({ grantIndex }) => grantIndex)).toEqual([0, 1, 0, 0]);
  });

  it('takes a missing vote for no vote', async () => {
    const port = portOver({ prepare: () => Promise.resolve({ votes: [yes], acknowledgements: [] }) });
    const { votes } = await port.send({ legs: [leg(1, 'a'), leg(2, 'a')], decisions: [] }, 100);
    expect(votes).toEqual([{ kind: 'yes' }, { kind: 'unreachable' }]);
  });

  it('does not take a bare status for the word of the bank that nothing was done', async () => {
    for (const code of [Status.RESOURCE_EXHAUSTED, Status.UNAVAILABLE]) {
      const failure = await portOver({ prepare: failWith(code) }).send({ legs: [leg(1, 'a')], decisions: [] }, 100).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ClientError);
      expect(failure).not.toBeInstanceOf(OverloadedError);
    }
  });

  const acknowledgements = [Acknowledgement.DONE, Acknowledgement.REFUSED, Acknowledgement.UNSPECIFIED];
  const decision = { outcome: 'committed' as const, attempt: 1, fingerprint: leg(1, 'a').leg.request.fingerprint };
  const decisions = [1, 2, 3].map((index) => ({ request: leg(index, 'a').leg.request, decision }));

  it('takes only a clear acknowledgement for one', async () => {
    const port = portOver({ decide: () => Promise.resolve({ acknowledgements }) });
    expect(await port.send({ legs: [], decisions }, 100)).toEqual({ votes: [], answers: ['acknowledged', 'refused', undefined] });
  });

  it('sends decisions along with legs, in one call', async () => {
    let sent: PrepareRequest | undefined;
    const port = portOver({ prepare: (request) => ((sent = request), Promise.resolve({ votes: [yes], acknowledgements })) });
    expect(await port.send({ legs: [leg(4, 'a')], decisions }, 100)).toEqual({ votes: [{ kind: 'yes' }], answers: ['acknowledged', 'refused', undefined] });
    expect([sent?.legs.length, sent?.decisions.length]).toEqual([1, 3]);
  });
});
