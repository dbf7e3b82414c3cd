// Certificates and intentions from a real agent: clear about what is missing, and following what changes.

import { execFile } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startConsul, type ConsulAgent, type ConsulOptions } from '@strife/consul';
import { describeWithConsul } from '@strife/consul/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Certificates, CertificateSource } from './certificates.ts';
import { openConnectCertificates, type ConnectCertificatesOptions } from './connect-certificates.ts';
import { openConnectIntentions } from './connect-intentions.ts';
import { openConsulRegistry } from './consul-registry.ts';
import { expiryProblem, openDiscovery } from './open-discovery.ts';
import type { RegistryProblem } from './registry.ts';
import { listen } from './testing/consul-stage.ts';

const SERVICE = 'strife-bank-alpha';

const sources: CertificateSource[] = [];
const open = async (options: Pick<ConnectCertificatesOptions, 'address'> & Partial<ConnectCertificatesOptions>): Promise<CertificateSource> => {
  const source = await openConnectCertificates({ service: SERVICE, ...options });
  sources.push(source);
  return source;
};
afterEach(() => {
  for (const source of sources.splice(0)) source.close();
});

const rootsIn = ({ ca }: Certificates): number => ca.toString().split('BEGIN CERTIFICATE').length - 1;
const leafOf = ({ cert }: Certificates): X509Certificate => new X509Certificate(cert);

/** Resolves when the source has certificates of which the condition holds. */
const until = (source: CertificateSource, condition: (certificates: Certificates) => boolean): Promise<Certificates> => new Promise((resolve) => {
  const look = (certificates: Certificates): void => {
    if (condition(certificates)) resolve(certificates);
  };
  source.onRotate(look);
  look(source.current());
});

await describeWithConsul('Connect with a Consul agent', (program) => {
  let directory: string;
  let agent: ConsulAgent;
  /** Of one test each. */
  const agents: ConsulAgent[] = [];
  const start = async (name: string, options: Partial<ConsulOptions> = {}) => startConsul({ directory: join(directory, name), program, ...options });
  const startOwn = async (...options: Parameters<typeof start>): Promise<ConsulAgent> => {
    const own = await start(...options);
    agents.push(own);
    return own;
  };
  afterEach(() => Promise.all(agents.splice(0).map((own) => own.stop())));
  const put = async (path: string, body: object, method = 'PUT'): Promise<unknown> => {
    const request: RequestInit = { method, body: JSON.stringify(body) };
    const response = await fetch(`${agent.address}${path}`, request);
    if (!response.ok) throw new Error(await response.text());
    return response.text();
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-connect-'));
    agent = await start('main');
  });

  afterAll(async () => {
    await agent.stop();
    await rm(directory, { recursive: true });
  });

  it('gives a certificate that names the service, with its key and its root', async () => {
    const source = await open({ address: agent.address });
    const leaf = leafOf(source.current());
    expect(leaf.subjectAltName).toMatch(/^URI:spiffe:\/\/[0-9a-f-]{36}\.consul\/ns\/default\/dc\/dc1\/svc\/strife-bank-alpha$/);
    expect(leaf.verify(new X509Certificate(source.current().ca).publicKey)).toBe(true);
    expect(source.current().key.toString()).toContain('PRIVATE KEY');
  });

  it('tells again and again of a certificate that is about to expire', async () => {
    let nowMs = Date.now();
    const warnings: Date[] = [];
    const warned = Promise.withResolvers<void>();
    const source = await open({
      address: agent.address, nowMs: () => nowMs, expiryCheckIntervalMs: 5,
      onExpiring: (validUntil) => {
        if (warnings.push(validUntil) === 2) warned.resolve();
      },
    });
    const { validToDate } = leafOf(source.current());
    expect(warnings).toEqual([]);
    nowMs = validToDate.getTime() - 60_000;
    await warned.promise;
    expect(warnings[0]).toEqual(validToDate);
    expect(expiryProblem(SERVICE, validToDate)).toMatchObject({ severity: 'error', message: expect.stringContaining(validToDate.toISOString()) });
  });

  it('trusts the old root and the new one as soon as there is a new one, and presents what both trust', async () => {
    const source = await open({ address: agent.address });
    const before = source.current();
    const PrivateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'sec1', format: 'pem' });
    await put('/v1/connect/ca/configuration', { Provider: 'consul', Config: { PrivateKey, RootCert: '', LeafCertTTL: '72h', IntermediateCertTTL: '8760h', RotationPeriod: '2160h' } });
    const after = await until(source, (certificates) => rootsIn(certificates) === 2);
    expect(after.ca.toString()).toContain(before.ca.toString());
    // A service that asks now gets a certificate of the new root, which the old root vouches for.
    const newcomer = (await open({ address: agent.address, service: 'strife-gateway' })).current();
    const [leaf, between] = newcomer.cert.toString().split(/(?<=-----END CERTIFICATE-----\n)/).map((pem) => new X509Certificate(pem));
    expect(leaf!.verify(new X509Certificate(before.ca).publicKey)).toBe(false);
    expect(leaf!.verify(between!.publicKey)).toBe(true);
    expect(between!.verify(new X509Certificate(before.ca).publicKey)).toBe(true);
  });

  it('keeps the last certificates while Consul is away, says so once, and follows it again: also one that lost all it knew', async () => {
    const own = await startOwn('own');
    const problems: RegistryProblem[] = [];
    const told = Promise.withResolvers<void>();
    const source = await open({
      address: own.address,
      random: () => 0.1,
      onProblem: (problem) => {
        problems.push(problem);
        told.resolve();
      },
    });
    const before = source.current();
    await own.kill('SIGKILL');
    await told.promise;
    expect(source.current()).toBe(before);
    await own.restart({ empty: true });
    // Another cluster has another trust domain.
    const after = await until(source, (certificates) => leafOf(certificates).subjectAltName !== leafOf(before).subjectAltName);
    expect(after.ca.equals(before.ca)).toBe(false);
    expect(leafOf(after).verify(new X509Certificate(after.ca).publicKey)).toBe(true);
    const outages = problems.filter(({ message }) => message.includes('does not answer ('));
    expect(outages).toHaveLength(1);
    expect(outages[0]).toMatchObject({ where: `certificates of ${SERVICE}`, message: expect.stringMatching(/the certificate from before stays in use$/) });
    expect(problems.at(-1)).toMatchObject({ recovered: true });
  });

  it('notices an agent that hangs, and that it goes on', async () => {
    const own = await startOwn('hanging');
    const heard = listen();
    await open({ address: own.address, waitMs: 500, random: () => 0.1, onProblem: heard.onProblem });
    await own.kill('SIGSTOP');
    await heard.until('no answer within');
    await own.kill('SIGCONT');
    await heard.until('come from Consul again');
    expect(heard.problems).toHaveLength(2);
  });

  it('says nothing and asks nothing after it was closed', async () => {
    const own = await startOwn('closing');
    const problems: RegistryProblem[] = [];
    const source = await open({ address: own.address, onProblem: (problem) => problems.push(problem) });
    source.close();
    await own.stop();
    expect(problems).toEqual([]);
  });

  describe('over https', () => {
    let secure: ConsulAgent;
    let ca: string;
    let other: string;
    beforeAll(async () => {
      const folder = join(directory, 'authority');
      await mkdir(folder);
      const tls = (...args: string[]) => promisify(execFile)(program, ['tls', ...args], { cwd: folder });
      await tls('ca', 'create');
      await tls('cert', 'create', '-server');
      await tls('ca', 'create', '-domain', 'other');
      const [authority, cert, key, stranger] = await Promise.all(
        ['consul-agent-ca.pem', 'dc1-server-consul-0.pem', 'dc1-server-consul-0-key.pem', 'other-agent-ca.pem'].map((file) => readFile(join(folder, file), 'utf8')));
      [ca, other] = [authority!, stranger!];
      secure = await start('secure', { https: { ca, cert: cert!, key: key! } });
    });
    afterAll(() => secure.stop());

    it('gives certificates and lists to whoever knows its authority', async () => {
      await expect(open({ address: secure.httpsAddress, ca })).resolves.toBeDefined();
      await expect(openConnectIntentions({ address: secure.httpsAddress, ca, service: SERVICE })).resolves.toBeDefined();
      const registry = await openConsulRegistry({ address: secure.httpsAddress, ca });
      await registry.register({ service: 'bank', id: 'alpha', host: '127.0.0.1', port: 1, meta: {} });
      await registry.close();
    });

    it('is not believed by whoever knows none, or another one', async () => {
      for (const authority of [undefined, other]) {
        const options = { address: secure.httpsAddress, ca: authority };
        await expect(open(options)).rejects.toMatchObject({ code: 'CONSUL_UNREACHABLE', message: expect.stringMatching(/ shows a certificate that is not trusted \(\w+\); name the file of its authority with --consul-ca$/) });
        await expect(openConsulRegistry(options)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', message: expect.stringMatching(/CERT|SIGNATURE/) });
      }
    });

    it('is used by a service that is told the file, and a wrong file is named', async () => {
      const discovery = (consulCa: string) => openDiscovery({
        mode: 'consul', role: 'bank', name: 'alpha', registryDir: '', certsDir: '', consulAddress: secure.httpsAddress, consulCa, onProblem: () => {},
      });
      await (await discovery(join(directory, 'authority', 'consul-agent-ca.pem'))).close();
      await expect(discovery(join(directory, 'nothing.pem'))).rejects.toMatchObject({ name: 'CertificateError', message: expect.stringContaining('nothing.pem: is missing') });
      await expect(discovery(join(directory, 'authority', 'dc1-server-consul-0-key.pem'))).rejects.toMatchObject({ name: 'CertificateError' });
    });
  });

  describe('that has ACLs', () => {
    let guarded: ConsulAgent;
    beforeAll(async () => {
      guarded = await start('guarded', { acl: true });
    });
    afterAll(() => guarded.stop());

    it.each([
      ['no token', undefined],
      ['a token that it does not know', '11111111-2222-3333-4444-555555555555'],
    ])('denies certificates and intentions in one line to %s, and does not quote it', async (_what, token) => {
      for (const opening of [open, openConnectIntentions]) {
        const error = await opening({ address: guarded.address, token, service: SERVICE }).then(() => undefined, (failure: Error) => failure);
        expect(error).toMatchObject({ name: 'ConnectError', code: 'CONNECT_DENIED' });
        expect(error!.message).toMatch(token === undefined ? /^consul: this token may not [^\n]+\(service:write[^\n]*\)$/ : /^consul: this token is not known at \S+ \(ACL not found\)$/);
        expect(error!.message).not.toContain('11111111-2222');
      }
    });

    it('gives them to a token that may', async () => {
      await expect(open({ address: guarded.address, token: guarded.token })).resolves.toBeDefined();
      const intentions = await openConnectIntentions({ address: guarded.address, token: guarded.token, service: SERVICE });
      // Whatever is not allowed is denied there.
      await expect(intentions.isAllowed('spiffe://any.consul/ns/default/dc/dc1/svc/strife-gateway', '0A')).resolves.toBe(false);
    });
  });

  it('says in one line that Connect is off', async () => {
    const plain = await startOwn('plain', { connect: false });
    await expect(open({ address: plain.address })).rejects.toMatchObject({
      code: 'CONNECT_DISABLED', message: `Consul at ${plain.address} runs without Connect, its certificate authority; set connect { enabled = true } on its servers`,
    });
  });

  it('tells within two seconds what an intention forbids, and allows again', async () => {
    const intentions = await openConnectIntentions({ address: agent.address, service: SERVICE });
    const uri = `spiffe://any.consul/ns/default/dc/dc1/svc/strife-gateway`;
    const untilAllowed = async (allowed: boolean): Promise<void> => {
      const begun = performance.now();
      while ((await intentions.isAllowed(uri, '0A3F')) !== allowed) expect(performance.now() - begun).toBeLessThan(2000);
    };
    await untilAllowed(true);
    const made = await put('/v1/connect/intentions', { SourceName: 'strife-gateway', DestinationName: SERVICE, SourceType: 'consul', Action: 'deny' }, 'POST');
    await untilAllowed(false);
    await put(`/v1/connect/intentions/${(JSON.parse(String(made)) as { ID: string }).ID}`, {}, 'DELETE');
    await untilAllowed(true);
  });
});

describe('without an agent', () => {
  it('says in one line that nobody answers', async () => {
    const address = await freeAddress();
    for (const opening of [open, openConnectIntentions]) {
      await expect(opening({ address, service: SERVICE })).rejects.toMatchObject({
        code: 'CONSUL_UNREACHABLE', message: `Consul at ${address} does not answer (ECONNREFUSED); start an agent there, or set the right address`,
      });
    }
  });

  it('says in one line that something else answers', async () => {
    const other = createServer((_request, response) => response.end('<html>')).listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const address = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    await expect(open({ address })).rejects.toMatchObject({ code: 'CONNECT_UNUSABLE', message: expect.stringContaining('is not Consul') });
    other.closeAllConnections();
    other.close();
  });
});

async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}
