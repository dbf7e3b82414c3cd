// Mutual TLS with certificates from a real Consul, which exchanges its root under load; and the same way with files.

import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureCertificates } from '@strife/certs';
import { startConsul } from '@strife/consul';
import type { ConsulAgent } from '@strife/consul';
import { describeWithConsul } from '@strife/consul/testing';
import { openCertificateFiles, openConnectCertificates, openConnectIntentions } from '@strife/discovery';
import type { Certificates, CertificateSource } from '@strife/discovery';
import { createClient, createPeerChannel, fixedTls, isTlsFailure, Status, tlsFailureReason } from '@strife/service';
import type { TlsMaterial } from '@strife/service';
import { BankServiceDefinition } from '@strife/stubs/bank';
import type { BankServiceClient } from '@strife/stubs/bank';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { onThisMachine } from '../support/patience.ts';
import { startLocalBank } from './services.ts';
import type { LocalBank } from './services.ts';

const CALLS_A_SECOND = 500;
/** A machine that is too busy for the rate gets fewer calls instead of ever more at once. */
const IN_FLIGHT_MAX = 500;
const TICK_MS = 10;
const INTENTION_HONOURED_MS = 2000;

let directory: string;
const ends: (() => unknown)[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'strife-connect-e2e-'));
});
afterEach(async () => {
  // oxlint-disable-next-line no-await-in-loop -- the last one made goes first
  while (ends.length > 0) await ends.pop()!();
});
afterAll(() => rm(directory, { recursive: true }));

async function bankWith(...start: Parameters<typeof startLocalBank>): Promise<LocalBank> {
  const bank = await startLocalBank(...start);
  ends.push(bank.close);
  return bank;
}

async function untilExchanged(source: CertificateSource, condition: (certificates: Certificates) => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = (certificates: Certificates): void => {
      if (condition(certificates)) resolve();
    };
    source.onRotate(look);
    look(source.current());
  });
}

/** Calls at a steady rate until it is ended; resolves when all are answered, with the rate at which they were begun. */
function startLoad(client: BankServiceClient): { succeeded(): number; end(): Promise<{ sent: number; succeeded: number; perSecond: number; failures: string[] }> } {
  const begun = performance.now();
  const failures: string[] = [];
  const running = new Set<Promise<void>>();
  let sent = 0;
  let succeeded = 0;
  const timer = setInterval(() => {
    for (const due = ((performance.now() - begun) / 1000) * CALLS_A_SECOND; sent < due && running.size < IN_FLIGHT_MAX; sent += 1) {
      const call = client.authenticate({}).then(() => { succeeded += 1; }, (error: Error) => { failures.push(error.message); }).finally(() => running.delete(call));
      running.add(call);
    }
  }, TICK_MS);
  return {
    succeeded: () => succeeded,
    async end() {
      clearInterval(timer);
      const perSecond = sent / ((performance.now() - begun) / 1000);
      await Promise.all(running);
      return { sent, succeeded, failures, perSecond };
    },
  };
}

const failureOf = (call: Promise<unknown>): Promise<{ code?: number } | undefined> => call.then(() => undefined, (error: { code?: number }) => error);

await describeWithConsul('services with certificates from Consul', (program) => {
  let agent: ConsulAgent;

  beforeAll(async () => {
    agent = await startConsul({ directory: join(directory, 'agent'), program });
  });
  afterAll(() => agent.stop());

  const certificatesOf = async (service: string): Promise<CertificateSource> => {
    const source = await openConnectCertificates({ address: agent.address, service, random: () => 0 });
    ends.push(() => source.close());
    return source;
  };
  const put = async (method: string, path: string, body?: object): Promise<string> => {
    const response = await fetch(`${agent.address}${path}`, { method, ...(body && { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(await response.text());
    return response.text();
  };
  const exchangeRoot = (settings: object): Promise<string> => put('PUT', '/v1/connect/ca/configuration', {
    Provider: 'consul',
    Config: {
      PrivateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'sec1', format: 'pem' }),
      RootCert: '', LeafCertTTL: '72h', IntermediateCertTTL: '8760h', RotationPeriod: '2160h',
    },
    ...settings,
  });

  it('know each other', async () => {
    const bank = await bankWith(await certificatesOf('strife-bank-alpha'));
    await expect(bank.client(await certificatesOf('strife-gateway-g1')).authenticate({})).resolves.toMatchObject({ account: 'g1' });
  });

  it('are refused by a caller that expects another, in words', async () => {
    const bank = await bankWith(await certificatesOf('strife-bank-beta'));
    const error = await failureOf(bank.client(await certificatesOf('strife-gateway-g1')).authenticate({}));
    expect(tlsFailureReason(error)).toBe('server identity refused: expected bank/alpha, but bank/beta answered');
  });

  it.each([
    ['strife-bank-beta', Status.PERMISSION_DENIED],
    ['strife-client', Status.PERMISSION_DENIED],
    ['web', Status.UNAUTHENTICATED],
  ])('refuse the calls of %s', async (service, code) => {
    const bank = await bankWith(await certificatesOf('strife-bank-alpha'));
    expect(await failureOf(bank.client(await certificatesOf(service)).authenticate({}))).toMatchObject({ code });
  });

  it('do not trust the development authority, nor does it trust them: a typed failure and no endless try', async () => {
    const folder = join(directory, 'strangers');
    await ensureCertificates({ directory: folder, identities: ['bank/alpha'] });
    const files = await openCertificateFiles({ directory: folder, role: 'bank', name: 'alpha' });
    ends.push(() => files.close());
    const bank = await bankWith(files);
    const error = await failureOf(bank.client(await certificatesOf('strife-gateway-g1')).authenticate({}));
    expect(isTlsFailure(error)).toBe(true);
    expect(tlsFailureReason(error)).toMatch(/^TLS: .*certificate/);
  });

  it('honour intentions within two seconds, and their lifting', async () => {
    const intentions = await openConnectIntentions({ address: agent.address, service: 'strife-bank-alpha' });
    const bank = await bankWith(await certificatesOf('strife-bank-alpha'), intentions);
    const client = bank.client(await certificatesOf('strife-gateway-g1'));
    const untilAnswer = async (code: Status | undefined): Promise<void> => {
      const begun = performance.now();
      // oxlint-disable no-await-in-loop -- asks until the answer is another
      while ((await failureOf(client.authenticate({})))?.code !== code) {
        expect(performance.now() - begun).toBeLessThan(onThisMachine(INTENTION_HONOURED_MS));
        await sleep(TICK_MS);
      }
      // oxlint-enable no-await-in-loop
    };
    await untilAnswer(undefined);
    const made = await put('POST', '/v1/connect/intentions', {
      SourceName: 'strife-gateway-g1', DestinationName: 'strife-bank-alpha', SourceType: 'consul', Action: 'deny',
    });
    await untilAnswer(Status.PERMISSION_DENIED);
    // The agent's last word stays when it cannot be asked.
    await agent.kill('SIGSTOP');
    await sleep(INTENTION_HONOURED_MS);
    expect((await failureOf(client.authenticate({})))?.code).toBe(Status.PERMISSION_DENIED);
    await agent.kill('SIGCONT');
    await put('DELETE', `/v1/connect/intentions/${(JSON.parse(made) as { ID: string }).ID}`);
    await untilAnswer(undefined);
    expect(new Set(bank.troubles)).toEqual(new Set(['intentions cannot be asked for; the last answers stay']));
  });

  it.each([
    ['by cross-signing', {}],
    ['without asking for cross-signing', { ForceWithoutCrossSigning: true }],
  ])('lose no call of 500 a second while the root is exchanged %s', async (_how, settings) => {
    const server = await certificatesOf('strife-bank-alpha');
    const gateway = await certificatesOf('strife-gateway-g1');
    const before: TlsMaterial = gateway.current();
    const bank = await bankWith(server);
    const client = bank.client(gateway);
    const load = startLoad(client);
    await sleep(500);

    await exchangeRoot(settings);
    const newRoot = await activeRoot();
    const trusts = ({ ca }: Certificates): boolean => ca.toString().includes(newRoot.toString().trim());
    const isOfNewRoot = ({ cert }: Certificates): boolean => new X509Certificate(cert).verify(newRoot.publicKey);
    await Promise.all([server, gateway].map((source) => untilExchanged(source, trusts)));
    // An agent spreads new certificates over half a minute; one that starts anew gives them out at once.
    await agent.restart();
    await Promise.all([server, gateway].map((source) => untilExchanged(source, isOfNewRoot)));
    const enough = load.succeeded() + CALLS_A_SECOND;
    while (load.succeeded() < enough) await sleep(TICK_MS);

    const { sent, succeeded, failures, perSecond } = await load.end();
    expect(failures).toEqual([]);
    expect(succeeded).toBe(sent);
    expect(succeeded).toBeGreaterThan(2 * CALLS_A_SECOND);
    expect(perSecond).toBeGreaterThan((CALLS_A_SECOND * 0.95) / onThisMachine(1));
    expect(bank.troubles).toEqual([]);
    // New connections work, also of one that has not heard of the new root: the old one vouches for it.
    for (const tls of [gateway.current(), before]) {
      const channel = createPeerChannel({ address: bank.address, tls, expect: { role: 'bank', name: 'alpha' } });
      await expect(createClient(BankServiceDefinition, channel).authenticate({})).resolves.toMatchObject({ account: 'g1' });
      channel.close();
    }
  }, 120_000);

  async function activeRoot(): Promise<X509Certificate> {
    const { Roots } = (await (await fetch(`${agent.address}/v1/connect/ca/roots`)).json()) as { Roots: { Active: boolean; RootCert: string }[] };
    return new X509Certificate(Roots.find(({ Active }) => Active)!.RootCert);
  }
});

describe('services with certificates from files', () => {
  it('take new files in use on live connections, and lose no call', async () => {
    const folder = join(directory, 'files');
    const identities = ['bank/alpha', 'gateway/g1'];
    await ensureCertificates({ directory: folder, identities });
    const [server, gateway] = await Promise.all(([['bank', 'alpha'], ['gateway', 'g1']] as const)
      .map(([role, name]) => openCertificateFiles({ directory: folder, role, name, pollIntervalMs: 50 })));
    ends.push(() => [server, gateway].map((source) => source!.close()));
    const bank = await bankWith(server!);
    const load = startLoad(bank.client(gateway!));
    const before = [server!.current().cert, gateway!.current().cert];

    await Promise.all(['bank-alpha.pem', 'gateway-g1.pem'].map((file) => rm(join(folder, file))));
    await ensureCertificates({ directory: folder, identities });
    await Promise.all([server!, gateway!].map((source, index) => untilExchanged(source, ({ cert }) => !cert.equals(before[index]!))));
    const enough = load.succeeded() + CALLS_A_SECOND;
    // oxlint-disable-next-line no-await-in-loop -- waits for calls
    while (load.succeeded() < enough) await sleep(TICK_MS);

    expect(await load.end()).toMatchObject({ failures: [] });
    expect(bank.troubles).toEqual([]);
    await expect(bank.client(fixedTls(gateway!.current())).authenticate({})).resolves.toMatchObject({ account: 'g1' });
  });
});
