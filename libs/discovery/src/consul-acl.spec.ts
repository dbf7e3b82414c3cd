// A real agent with ACLs that deny by default: what each token of the access profile may do, and that every refusal names the right that lacks.

import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootstrapAccess, startConsul, type ConsulAgent } from '@strife/consul';
import { describeWithConsul } from '@strife/consul/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { openConnectCertificates } from './connect-certificates.ts';
import { openConnectIntentions } from './connect-intentions.ts';
import { openConsulRegistry } from './consul-registry.ts';
import { bank, idsOf, record } from './registry-contract.ts';
import type { Instance, Registry } from './registry.ts';
import { HEARD_WITHIN_MS, listen, type Listener } from './testing/consul-stage.ts';

const gateway = (id: string): Instance => ({ service: 'gateway', id, host: '127.0.0.1', port: 1000, meta: { logId: `${id}:1`, keys: '{}', version: '1' } });

await describeWithConsul('with ACLs that deny by default', (program) => {
  let directory: string;
  let agent: ConsulAgent;
  const tokens: Record<string, string> = {};
  const opened: Registry[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-acl-'));
    agent = await startConsul({ directory: join(directory, 'agent'), program, acl: true });
    const { files } = await bootstrapAccess({
      address: agent.address, token: agent.token, directory: join(directory, 'tokens'), gateways: ['g1', 'g2'], banks: ['alpha', 'beta'], agents: [],
    });
    for (const [name, file] of Object.entries(files)) tokens[name] = (await readFile(file, 'utf8')).trim();
  });
  afterEach(() => Promise.all(opened.splice(0).map((registry) => registry.close())));
  afterAll(async () => {
    await agent.stop();
    await rm(directory, { recursive: true });
  });

  async function open(name: string | undefined, { onProblem }: Partial<Listener> = {}): Promise<Registry> {
    const registry = await openConsulRegistry({ address: agent.address, ttlMs: 400, token: name === undefined ? undefined : (tokens[name] ?? name), ...(onProblem && { onProblem }) });
    opened.push(registry);
    return registry;
  }
  /** What Consul answers to that token. */
  async function ask(name: string, method: string, path: string, body?: object): Promise<number> {
    const request: RequestInit = { method, headers: { 'X-Consul-Token': tokens[name] ?? name }, body: body === undefined ? null : JSON.stringify(body) };
    return (await fetch(`${agent.address}/v1${path}`, request)).status;
  }
  const claimOf = async (name: string): Promise<string> => {
    const answer = await fetch(`${agent.address}/v1/agent/services`, { headers: { 'X-Consul-Token': agent.token ?? '' } });
    return Object.keys((await answer.json()) as object).find((id) => id.startsWith(`${name}-`)) ?? 'none';
  };

  it('the profile is enough to register, update, find each other, get certificates and ask for intentions', async () => {
    const [g1, alpha] = [await open('strife-gateway-g1'), await open('strife-bank-alpha')];
    const registration = await g1.register(gateway('g1'));
    await alpha.register(bank('alpha'));
    const [banks, gateways] = [record(g1, 'bank', HEARD_WITHIN_MS), record(alpha, 'gateway', HEARD_WITHIN_MS)];
    await banks.until((list) => idsOf(list).join() === 'alpha');
    await registration.update({ ...gateway('g1').meta, keys: '{"keys":[]}' });
    await gateways.until((list) => list[0]?.meta['keys'] === '{"keys":[]}');

    for (const service of ['strife-gateway-g1', 'strife-bank-alpha', 'strife-client', 'strife-operator']) {
      const source = await openConnectCertificates({ address: agent.address, token: tokens[service], service });
      expect(new X509Certificate(source.current().cert).subjectAltName).toMatch(new RegExp(`/svc/${service}$`));
      source.close();
    }
    const intentions = await openConnectIntentions({ address: agent.address, token: tokens['strife-bank-alpha'], service: 'strife-bank-alpha' });
    const uriOf = (service: string): string => `spiffe://any.consul/ns/default/dc/dc1/svc/${service}`;
    expect(await intentions.isAllowed(uriOf('strife-gateway-g1'), '0A')).toBe(true);
    for (const service of ['strife-bank-beta', 'strife-client', 'strife-gateway-g9']) expect(await intentions.isAllowed(uriOf(service), '0A')).toBe(false);
  });

  describe.each([
    ['bank alpha', 'strife-bank-alpha', bank('beta')],
    ['bank alpha', 'strife-bank-alpha', gateway('g1')],
    ['gateway g1', 'strife-gateway-g1', gateway('g2')],
    ['gateway g1', 'strife-gateway-g1', bank('alpha')],
    ['a client', 'strife-client', gateway('g1')],
    ['a client', 'strife-client', bank('alpha')],
    ['an operator', 'strife-operator', bank('alpha')],
  ])('the token of %s (%s)', (_, token, other) => {
    const name = `strife-${other.service}-${other.id}`;

    it(`may not register as ${name}, and is told the right that lacks`, async () => {
      const registry = await open(token);
      await expect(registry.register(other)).rejects.toMatchObject({
        name: 'RegistryError', code: 'NOT_PERMITTED', message: `consul: this token may not register ${name} (service:write)`,
      });
    });

    it(`may not have the certificate and key of ${name}`, async () => {
      await expect(openConnectCertificates({ address: agent.address, token: tokens[token], service: name })).rejects.toMatchObject({
        name: 'ConnectError', code: 'CONNECT_DENIED', message: `consul: this token may not have the certificate of ${name} (service:write)`,
      });
      await expect(openConnectIntentions({ address: agent.address, token: tokens[token], service: name })).rejects.toMatchObject({ code: 'CONNECT_DENIED' });
    });

    it(`may not deregister ${name}, end its signs of life, hide it, replace it or add to it`, async () => {
      const owner = await open(name);
      await owner.register(other);
      const watched = record(owner, other.service, HEARD_WITHIN_MS);
      await watched.until((list) => idsOf(list).includes(other.id));
      const claim = await claimOf(name);
      const answers = await Promise.all([
        ask(token, 'PUT', `/agent/service/deregister/${claim}`),
        ask(token, 'PUT', `/agent/check/fail/${claim}:heartbeat`),
        ask(token, 'PUT', `/agent/check/deregister/${claim}:heartbeat`),
        ask(token, 'PUT', `/agent/service/maintenance/${claim}?enable=true`),
        ask(token, 'PUT', '/agent/service/register', { Name: token, ID: claim }),
        ask(token, 'PUT', '/agent/check/register', { Name: 'x', ServiceID: claim, TTL: '1s', Status: 'critical' }),
        ask(token, 'PUT', '/catalog/deregister', { Node: agent.node, ServiceID: claim }),
      ]);
      expect(answers).toEqual(answers.map(() => 403));
      await expect(owner.register(other)).rejects.toMatchObject({ code: 'ALREADY_REGISTERED' });
      expect(idsOf(watched.instances())).toContain(other.id);
    });
  });

  it.each(['strife-bank-alpha', 'strife-gateway-g1', 'strife-client', 'strife-operator'])('%s can neither read nor write keys and values, nor change Consul', async (token) => {
    expect(await ask(agent.token ?? '', 'PUT', '/kv/secret', {})).toBe(200);
    const answers = await Promise.all([
      ask(token, 'GET', '/kv/secret'),
      ask(token, 'PUT', '/kv/mine', {}),
      ask(token, 'DELETE', '/kv/secret'),
      ask(token, 'GET', '/acl/tokens'),
      ask(token, 'GET', '/connect/ca/configuration'),
      ask(token, 'PUT', '/connect/ca/configuration', {}),
      ask(token, 'POST', '/connect/intentions', { SourceName: 'strife-client', DestinationName: 'strife-bank-alpha', SourceType: 'consul', Action: 'allow' }),
      ask(token, 'PUT', '/agent/force-leave/any'),
    ]);
    expect(answers).toEqual(answers.map(() => 403));
  });

  it('an entry under its own name cannot pass for another one', async () => {
    const g1 = await open('strife-gateway-g1');
    await (await open('strife-bank-alpha')).register(bank('alpha'));
    await (await open('strife-bank-beta')).register(bank('beta'));
    const watched = record(g1, 'bank', HEARD_WITHIN_MS);
    await watched.until((list) => list.length === 2);
    const forged = { Name: 'strife-bank-alpha', Address: '127.0.0.1', Port: 6666 };
    expect(await ask('strife-bank-alpha', 'PUT', '/agent/service/register', { ...forged, ID: 'strife-bank-beta-000000000000', Meta: {} })).toBe(200);
    expect(await ask('strife-bank-alpha', 'PUT', '/agent/service/register', { ...forged, ID: 'strife-bank-alpha-000000000000', Meta: { bank: 'beta' } })).toBe(200);
    const own = listen();
    const newcomer = record(await open('strife-gateway-g2', own), 'bank', HEARD_WITHIN_MS);
    await own.until('meta: "bank" must be "alpha"');
    await newcomer.until((list) => list.length === 2);
    expect(newcomer.instances()).toEqual([bank('alpha'), bank('beta')]);
    for (const id of ['strife-bank-beta-000000000000', 'strife-bank-alpha-000000000000']) await ask('strife-bank-alpha', 'PUT', `/agent/service/deregister/${id}`);
  });

  it('a client finds gateways, and is told that it cannot see banks', async () => {
    const own = listen();
    const client = await open('strife-client', own);
    await (await open('strife-gateway-g1')).register(gateway('g1'));
    await (await open('strife-bank-alpha')).register(bank('alpha'));
    await record(client, 'gateway', HEARD_WITHIN_MS).until((list) => idsOf(list).join() === 'g1');
    const banks = record(client, 'bank', HEARD_WITHIN_MS);
    await own.until('may not see strife-bank-*');
    await banks.until((list) => list.length === 0);
    expect(own.problems).toEqual([{
      where: agent.address, severity: 'error', message: 'consul: this token may not see strife-bank-* (service:read): Consul leaves them out of its lists',
    }]);
  });

  it.each([
    ['no token', undefined, 'consul: this token may not register strife-bank-alpha (service:write)'],
    ['a token that Consul does not know', '11111111-2222-3333-4444-555555555555', 'consul: this token is not known there (ACL not found)'],
  ])('whoever has %s is told so', async (_, token, message) => {
    await expect((await open(token)).register(bank('alpha'))).rejects.toMatchObject({ code: 'NOT_PERMITTED', message });
  });

  it('a token that was deleted is told of by all who use it, once each, and what was known stays', async () => {
    const { AccessorID, SecretID } = await (await fetch(`${agent.address}/v1/acl/token`, {
      method: 'PUT', headers: { 'X-Consul-Token': agent.token ?? '' }, body: JSON.stringify({ Policies: [{ Name: 'strife-gateway-g1' }] }),
    })).json() as { AccessorID: string; SecretID: string };
    await (await open('strife-bank-alpha')).register(bank('alpha'));
    const own = listen();
    const registry = await open(SecretID, own);
    const registration = await registry.register(gateway('g1'));
    const watched = record(registry, 'bank', HEARD_WITHIN_MS);
    await watched.until((list) => list.length === 1);
    expect(await ask(agent.token ?? '', 'DELETE', `/acl/token/${AccessorID}`)).toBe(200);
    await own.until('no heartbeat: consul: this token is not known there');
    await expect(registration.update({})).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    expect(idsOf(watched.instances())).toEqual(['alpha']);
  });
});
