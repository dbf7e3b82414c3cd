// How the cluster of a spec finds itself and gets its certificates: by files, or by a Consul agent of its own. jest.config.mjs runs each spec of flows/
// both ways; what has a meaning in one of them only says so in its name.

import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { createAuthority, spiffeUri } from '@strife/certs';
import type { Authority, TlsMaterial } from '@strife/certs';
import { startConsul } from '@strife/consul';
import type { ConsulAgent } from '@strife/consul';
import { openConsulRegistry, openEmbeddedRegistry } from '@strife/discovery';
import type { Registry } from '@strife/discovery';

declare global {
  /** The path of the program, in specs that run over Consul; tools/jest/consul-environment.mjs sets it. */
  var strifeConsul: string | undefined;
}

export interface TestDiscovery {
  /** With `discovery: consul`. */
  readonly agent: ConsulAgent | undefined;
  /** For a service that is started by hand. */
  readonly flags: Readonly<Record<string, string>>;
  /** The registry that the services are in; the caller closes it. */
  openRegistry(): Promise<Registry>;
  /** The authority that every certificate of the cluster is from. */
  authority(): Promise<Authority>;
  /** The name in the certificate of an identity such as `bank/alpha` or `client/dev`. */
  uri(identity: string): string;
  /** A good certificate of an identity; over Consul, the one that the agent gives out. */
  certificate(identity: string): Promise<TlsMaterial>;
  end(): Promise<void>;
}

/** Whether this run is the one over Consul. */
export const isOverConsul = globalThis.strifeConsul !== undefined;

/** As `describe`, for what there is with files alone; over Consul it is reported as skipped, with the reason. */
export function describeEmbedded(name: string, reason: string, tests: () => void): void {
  if (isOverConsul) describe.skip(`${name} (embedded only: ${reason})`, tests);
  else describe(name, tests);
}

/** As `describe`, for what there is with Consul alone; with files it is reported as skipped, with the reason. */
export function describeOverConsul(name: string, reason: string, tests: () => void): void {
  if (isOverConsul) describe(name, tests);
  else describe.skip(`${name} (Consul only: ${reason})`, tests);
}

/** For the one cluster whose certificates and registry are, or will be, in `certs` and `registry` under the folder. */
export async function openTestDiscovery(root: string): Promise<TestDiscovery> {
  return globalThis.strifeConsul === undefined ? openFiles(root) : openConsul(join(root, 'consul'), globalThis.strifeConsul);
}

function openFiles(root: string): TestDiscovery {
  const certs = join(root, 'certs');
  async function authority(): Promise<Authority> {
    const [key, cert] = await Promise.all(['ca.key', 'ca.pem'].map((file) => readFile(join(certs, file), 'utf8')));
    return createAuthority({ key: key!, cert: cert! });
  }
  return {
    agent: undefined,
    flags: {},
    openRegistry: () => openEmbeddedRegistry({ directory: join(root, 'registry') }),
    authority,
    uri: spiffeUri,
    certificate: async (identity) => (await authority()).issue({ uris: [spiffeUri(identity)] }),
    end: async () => {},
  };
}

/** Consul signs with a key that the test has too, so that it can sign what Consul would not. */
async function openConsul(directory: string, program: string): Promise<TestDiscovery> {
  const agent = await startConsul({ directory, program });
  const authority = await exchangeRoot(agent);
  const { TrustDomain: trustDomain } = await rootsOf(agent);
  return {
    agent,
    flags: { discovery: 'consul', 'consul-addr': agent.address },
    openRegistry: () => openConsulRegistry({ address: agent.address }),
    authority: async () => authority,
    uri: (identity) => `spiffe://${trustDomain}/ns/default/dc/dc1/svc/${connectService(identity)}`,
    async certificate(identity) {
      const [{ CertPEM: cert, PrivateKeyPEM: key }, { Roots }] = await Promise.all([
        getJson<{ CertPEM: string; PrivateKeyPEM: string }>(agent, `/v1/agent/connect/ca/leaf/${connectService(identity)}`), rootsOf(agent),
      ]);
      return { cert, key, ca: Roots.map(({ RootCert }) => RootCert).join('') };
    },
    end: () => agent.stop(),
  };
}

/** `bank/alpha` is `strife-bank-alpha`; clients and operators have no names. */
function connectService(identity: string): string {
  const [role = '', ...name] = identity.split('/');
  return ['strife', role, ...(role === 'client' || role === 'operator' ? name.slice(1) : name)].join('-');
}

/** Makes Consul sign with another root from now on, and returns it with its key; all that Consul lists are trusted. */
export async function exchangeRoot(agent: ConsulAgent): Promise<Authority> {
  const { key } = await createAuthority();
  const PrivateKey = createPrivateKey(key).export({ type: 'sec1', format: 'pem' });
  const Config = { PrivateKey, RootCert: '', LeafCertTTL: '72h', IntermediateCertTTL: '8760h', RotationPeriod: '2160h' };
  const response = await fetch(`${agent.address}/v1/connect/ca/configuration`, { method: 'PUT', body: JSON.stringify({ Provider: 'consul', Config }) });
  if (!response.ok) throw new Error(`Consul does not take the root: ${await response.text()}`);
  const { Roots } = await rootsOf(agent);
  return createAuthority({ key, cert: Roots.find(({ Active }) => Active)!.RootCert });
}

function rootsOf(agent: ConsulAgent): Promise<{ TrustDomain: string; Roots: { Active: boolean; RootCert: string }[] }> {
  return getJson(agent, '/v1/connect/ca/roots');
}

async function getJson<Answer>(agent: ConsulAgent, path: string): Promise<Answer> {
  const response = await fetch(`${agent.address}${path}`);
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return (await response.json()) as Answer;
}
