// The Consul registry: who gets a name, whom Consul lets register, and whom it checks.

import { once } from 'node:events';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createAuthority, spiffeUri } from '@strife/certs';
import { describeWithConsul } from '@strife/consul/testing';
import { expect, it } from '@jest/globals';
import { openConsulRegistry } from './consul-registry.ts';
import { bank, idsOf, record } from './registry-contract.ts';
import { BACK_WITHIN_MS, listen, setStage } from './testing/consul-stage.ts';

await describeWithConsul('the Consul registry', (program) => {
  const on = setStage(program);

  it('lets one of several registries that claim a name at once have it', async () => {
    const others = await Promise.all(Array.from({ length: 4 }, () => openConsulRegistry({ address: on.agent.address })));
    const results = await Promise.allSettled(others.map((other, index) => other.register(bank('alpha', 1001 + index))));
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected']);
    await on.watched.until((list) => list.length === 1);
    expect(on.watched.instances()[0]?.port).toBe(1001 + results.findIndex(({ status }) => status === 'fulfilled'));
    await Promise.all(others.map((other) => other.close()));
    expect(on.listsSince(1)[0]).toBe('alpha');
  });

  it('gives the name of a process that hangs to another, and not back before that one leaves', async () => {
    // The agent hears from somebody else, as it does where several services run: see `openConsulRegistry`.
    await on.registry.register({ ...bank('g1'), service: 'gateway' });
    const member = await on.startMember(bank('alpha', 1001));
    await on.watched.until((list) => list[0]?.port === 1001);
    member.child.kill('SIGSTOP');
    await on.watched.until((list) => list.length === 0);
    const registration = await on.registry.register(bank('alpha', 1002));
    await on.watched.until((list) => list[0]?.port === 1002);
    member.child.kill('SIGCONT');
    await member.reported('now belongs to another process');
    await registration.leave();
    await on.watched.until((list) => list[0]?.port === 1001, BACK_WITHIN_MS);
    await member.reported('is registered again');
    expect(on.watched.lists.flatMap((list) => list.map(({ port }) => port))).toEqual([1001, 1002, 1001]);
    await member.stop();
  });

  it('gives way to another that holds the name, although it was first: it was taken for dead', async () => {
    const own = listen();
    const first = await openConsulRegistry({ address: on.agent.address, ttlMs: 400, onProblem: own.onProblem });
    await first.register(bank('alpha', 1001));
    const { service, id, ...rest } = bank('alpha', 1002);
    const usurper = `strife-${service}-${id}-ffffffffffff`;
    await on.put('service/register', { Name: 'strife-bank-alpha', ID: usurper, Address: rest.host, Port: rest.port, Meta: rest.meta, Check: { TTL: '1m', Status: 'passing' } });
    await own.until('now belongs to another process');
    await on.watched.until((list) => list[0]?.port === 1002);
    await on.put(`service/deregister/${usurper}`);
    await own.until('is registered again');
    await on.watched.until((list) => list[0]?.port === 1001, BACK_WITHIN_MS);
    await first.close();
  });

  it('ignores what it did not register, and says so once', async () => {
    await on.put('service/register', { Name: 'strife-bank-alpha', ID: 'by-hand', Port: 1 });
    await on.heard.until('ID: must be');
    await on.register('alpha');
    expect(on.heard.problems).toEqual([{ where: 'strife-bank-alpha by-hand', message: expect.stringContaining('ignored') }]);
    await on.put('service/deregister/by-hand');
  });

  it('refuses what Consul refuses, in its words', async () => {
    await expect(on.registry.register({ ...bank('alpha'), meta: { 'no blanks': '1' } }))
      .rejects.toMatchObject({ code: 'INSTANCE_INVALID', message: expect.stringContaining('Meta') });
  });

  it('shows whoever answers the agent over mutual TLS, and nobody else', async () => {
    const authority = await createAuthority();
    const own = await authority.issue({ uris: [spiffeUri('bank/alpha')] });
    const checking = await on.startAgent({ checkTls: await authority.issue({ uris: [spiffeUri('operator/consul')] }) });
    const server = createSecureServer({ ca: own.ca, cert: own.cert, key: own.key, requestCert: true, rejectUnauthorized: true });
    server.on('stream', answerServing).listen(0, '127.0.0.1');
    await once(server, 'listening');

    const registry = await openConsulRegistry({ address: checking.address, serverCheckIntervalMs: 1000 });
    const watched = record(registry, 'bank', 5000);
    await registry.register(bank('alpha', (server.address() as AddressInfo).port));
    await registry.register(bank('beta', 1));
    await watched.until((list) => list.length === 1);
    expect(idsOf(watched.instances())).toEqual(['alpha']);
    await registry.close();
    server.close();
  });
});

/** A gRPC answer by hand: HealthCheckResponse with status SERVING. */
function answerServing(stream: ServerHttp2Stream): void {
  stream.on('error', () => {}).resume();
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
}
