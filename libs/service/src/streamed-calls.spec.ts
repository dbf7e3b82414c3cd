// Calls that a stream carries, on a real server: each is in the log and in the metrics as a call of its own.
import { afterEach, describe, expect, it } from '@jest/globals';
import { ParticipantServiceDefinition, type ExchangeRequest, type ExchangeResponse } from '@strife/stubs/bank';
import { createClient, Registry, rpcError, Status, streamedCalls, type ServiceContext } from './index.ts';
import { startLocalServer, type LocalServer } from './local-server.spec-kit.ts';

let bank: LocalServer;

afterEach(() => bank.close());

async function* exchange(requests: AsyncIterable<ExchangeRequest>, context: ServiceContext): AsyncGenerator<ExchangeResponse> {
  const calls = streamedCalls(context);
  for await (const { number, content } of requests) {
    const call = calls.begin('Prepare', content?.value);
    if (number === 1) {
      const value = { votes: [], acknowledgements: [] };
      call.succeeded(value);
      yield { number, content: { $case: 'prepare', value } };
    } else {
      const error = number === 2 ? rpcError({ code: Status.RESOURCE_EXHAUSTED, reason: 'OVERLOADED', message: 'full' }) : new Error('a bug with a secret');
      yield { number, content: { $case: 'refusal', value: call.failed(error) } };
    }
  }
}

describe('a call that a stream carries', () => {
  it('is logged and counted under its own name, and a bug is told as an internal error', async () => {
    const metrics = new Registry();
    bank = await startLocalServer({
      metrics, access: { [ParticipantServiceDefinition.fullName]: ['gateway'] },
      add: (server) => server.add(ParticipantServiceDefinition, { prepare: async () => ({}), decide: async () => ({}), exchange }),
    });
    const client = createClient(ParticipantServiceDefinition, await bank.channel());
    async function* requests(): AsyncGenerator<ExchangeRequest> {
      for (const number of [1, 2, 3]) yield { number, content: { $case: 'prepare', value: { logId: 'log', grants: [], legs: [], decisions: [] } } };
    }
    const answers: ExchangeResponse[] = [];
    for await (const answer of client.exchange(requests())) answers.push(answer);
    expect(answers).toMatchObject([
      { number: 1, content: { $case: 'prepare' } },
      { number: 2, content: { value: { code: Status.RESOURCE_EXHAUSTED, message: 'full', reason: 'OVERLOADED' } } },
      { number: 3, content: { value: { code: Status.INTERNAL, reason: 'INTERNAL' } } },
    ]);
    expect(JSON.stringify(answers)).not.toContain('secret');
    const shown = await metrics.metrics();
    for (const status of ['OK', 'RESOURCE_EXHAUSTED', 'INTERNAL']) {
      expect(shown).toMatch(new RegExp(`strife_rpc_total\\{method="/strife.bank.v1.ParticipantService/Prepare",status="${status}"\\} 1`));
    }
    const lines = (await bank.logLines()).filter(({ message }) => message === 'rpc');
    const peer = 'spiffe://strife.local/gateway/g1';
    expect(lines).toMatchObject([
      { method: '/strife.bank.v1.ParticipantService/Prepare', peer, status: 'OK' },
      { method: '/strife.bank.v1.ParticipantService/Prepare', peer, status: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED', level: 'warn' },
      { method: '/strife.bank.v1.ParticipantService/Prepare', peer, status: 'INTERNAL', level: 'error' },
      { method: '/strife.bank.v1.ParticipantService/Exchange', peer, status: 'OK', responses: 3 },
    ]);
    expect(new Set(lines.map(({ request_id: id }) => id)).size).toBe(1);
  });

  it('is none of a unary call', async () => {
    let failure: unknown;
    bank = await startLocalServer({
      getAccount: async (_request, context) => {
        try {
          streamedCalls(context);
        } catch (error) {
          failure = error;
        }
        return {};
      },
    });
    await (await bank.bank()).getAccount({});
    expect(failure).toBeInstanceOf(TypeError);
  });
});
