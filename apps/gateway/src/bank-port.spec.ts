// The flights of a bank's port over a bank that the test answers: what is in them, and what their answers and failures mean.

import { describe, expect, it } from '@jest/globals';
import { Acknowledgement, VoteKind } from '@strife/stubs/bank';
import type { DecideRequest, DecideResponse, ExchangeRequest, ExchangeResponse, PrepareRequest, PrepareResponse, Refusal } from '@strife/stubs/bank';
import { DeclineReason } from '@strife/stubs/type';
import { fingerprintOf, OverloadedError, systemClock } from '@strife/two-phase-commit';
import type { PrepareLeg } from '@strife/two-phase-commit';
import { ClientError, Status } from 'nice-grpc-common';
import { createBankPort } from './bank-port.ts';

interface Answers {
  prepare?(request: PrepareRequest): PrepareResponse | Refusal;
  decide?(request: DecideRequest): DecideResponse;
  /** In place of an answer. */
  failure?: Error;
}

/** A port over a bank that answers each message at once; `opened` counts the calls that it made. */
function portOver({ prepare, decide, failure }: Answers) {
  let opened = 0;
  let nowMs = 0;
  async function* exchange(requests: AsyncIterable<ExchangeRequest>): AsyncGenerator<ExchangeResponse> {
    opened += 1;
    for await (const { number, content } of requests) {
      if (failure !== undefined) throw failure;
      if (content?.$case === 'decide') yield { number, content: { $case: 'decide', value: decide!(content.value) } };
      if (content?.$case !== 'prepare') continue;
      const value = prepare!(content.value);
      yield { number, content: 'votes' in value ? { $case: 'prepare', value } : { $case: 'refusal', value } };
    }
  }
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const port = createBankPort({ client: { exchange: exchange as never }, logId: 'log-1', clock });
  return { ...port, opened: () => opened, pass: (ms: number) => void (nowMs += ms) };
}

function leg(index: number, grant: string, side: PrepareLeg['side'] = 'debit'): { leg: PrepareLeg } {
  const body = { from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 1n, memo: '' };
  const id = `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`;
  return { leg: { request: { id, body, fingerprint: fingerprintOf(body), createdAtMs: 0 }, attempt: 1, side, deadlineMs: 2000, grant } };
}

const yes = { kind: VoteKind.YES, reason: DeclineReason.UNSPECIFIED, fence: 0, field: '', replayed: false, atUnixMs: 0n };

describe('the port to a bank', () => {
  it('sends each grant once, and none for credits', async () => {
    let sent: PrepareRequest | undefined;
    const port = portOver({ prepare: (request) => ((sent = request), { votes: [yes, yes, yes, yes], acknowledgements: [] }) });
    await port.send({ legs: [leg(1, 'grant-a'), leg(2, 'grant-b'), leg(3, 'grant-a'), leg(4, 'grant-c', 'credit')], decisions: [] }, 100);
    expect([sent?.logId, sent?.grants]).toEqual(['log-1', ['grant-a', 'grant-b']]);
    expect(sent?.legs.map(({ grantIndex }) => grantIndex)).toEqual([0, 1, 0, 0]);
  });

  it('takes a missing vote for no vote', async () => {
    const port = portOver({ prepare: () => ({ votes: [yes], acknowledgements: [] }) });
    const { votes } = await port.send({ legs: [leg(1, 'a'), leg(2, 'a')], decisions: [] }, 100);
    expect(votes).toEqual([{ kind: 'yes' }, { kind: 'unreachable' }]);
  });

  it('takes the word of the bank that nothing was done, and no other failure for it', async () => {
    const refusing = (reason: string) => portOver({ prepare: () => ({ code: Status.RESOURCE_EXHAUSTED, message: 'told to', reason }) });
    const send = (port: ReturnType<typeof portOver>) => port.send({ legs: [leg(1, 'a')], decisions: [] }, 100).catch((error: unknown) => error);
    expect(await send(refusing('OVERLOADED'))).toBeInstanceOf(OverloadedError);
    const failure = new ClientError('/strife.bank.v1.ParticipantService/Exchange', Status.RESOURCE_EXHAUSTED, 'too large');
    for (const port of [refusing('OTHER'), portOver({ failure })]) {
      const failed = await send(port);
      expect(failed).toBeInstanceOf(ClientError);
      expect(failed).not.toBeInstanceOf(OverloadedError);
    }
  });

  it('sends by one call for a second, then by a new one, and by a new one after a failure', async () => {
    const port = portOver({ decide: () => ({ acknowledgements }) });
    const send = () => port.send({ legs: [], decisions }, 100);
    await send();
    port.pass(999);
    await send();
    expect(port.opened()).toBe(1);
    port.pass(1);
    await send();
    expect(port.opened()).toBe(2);
    const broken = portOver({ failure: new Error('connection lost') });
    await expect(broken.send({ legs: [], decisions }, 100)).rejects.toThrow('connection lost');
    await expect(broken.send({ legs: [], decisions }, 100)).rejects.toThrow('connection lost');
    expect(broken.opened()).toBe(2);
  });

  const acknowledgements = [Acknowledgement.DONE, Acknowledgement.REFUSED, Acknowledgement.UNSPECIFIED];
  const decision = { outcome: 'committed' as const, attempt: 1, fingerprint: leg(1, 'a').leg.request.fingerprint };
  const decisions = [1, 2, 3].map((index) => ({ request: leg(index, 'a').leg.request, decision }));

  it('takes only a clear acknowledgement for one', async () => {
    const port = portOver({ decide: () => ({ acknowledgements }) });
    expect(await port.send({ legs: [], decisions }, 100)).toEqual({ votes: [], answers: ['acknowledged', 'refused', undefined] });
  });

  it('sends decisions along with legs, in one message', async () => {
    let sent: PrepareRequest | undefined;
    const port = portOver({ prepare: (request) => ((sent = request), { votes: [yes], acknowledgements }) });
    expect(await port.send({ legs: [leg(4, 'a')], decisions }, 100)).toEqual({ votes: [{ kind: 'yes' }], answers: ['acknowledged', 'refused', undefined] });
    expect([sent?.legs.length, sent?.decisions.length]).toEqual([1, 3]);
  });
});
