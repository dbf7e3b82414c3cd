// Where a service finds the others and gets its certificates: on one machine from files, elsewhere from the Consul agent beside it.

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { CertificateError, openCertificateFiles, type CertificateSource } from './certificates.ts';
import { openConnectCertificates } from './connect-certificates.ts';
import { openConnectIntentions, type ConnectIntentions } from './connect-intentions.ts';
import { consulServiceName } from './consul-catalog.ts';
import { openConsulRegistry } from './consul-registry.ts';
import { openEmbeddedRegistry } from './embedded-registry.ts';
import type { Registry, RegistryProblem } from './registry.ts';

export interface DiscoveryOptions {
  readonly mode: 'embedded' | 'consul';
  readonly role: 'gateway' | 'bank';
  readonly name: string;
  /** Embedded: where the registry and the certificates are. */
  readonly registryDir: string;
  readonly certsDir: string;
  /** Consul: the agent on this machine, and the token that this service has there. */
  readonly consulAddress: string;
  readonly consulToken?: string | undefined;
  /** The file, in PEM, of who signed the certificate of an agent at `https:`. Otherwise those count that Node trusts. */
  readonly consulCa?: string | undefined;
  readonly onProblem: (problem: RegistryProblem) => void;
}

export interface Discovery {
  readonly registry: Registry;
  readonly certificates: CertificateSource;
  /** Which peers may call this service; absent where nobody but the access table says so. */
  readonly intentions?: ConnectIntentions;
  /** Leaves the registry and lets go of everything. */
  close(): Promise<void>;
}

/** @throws RegistryError, CertificateError or ConnectError, each of one line that says what to do */
export async function openDiscovery(options: DiscoveryOptions): Promise<Discovery> {
  const parts = options.mode === 'consul' ? await openConsul(options) : await openFiles(options);
  return {
    ...parts,
    async close() {
      await parts.registry.close();
      parts.certificates.close();
    },
  };
}

async function openFiles({ role, name, registryDir, certsDir, onProblem }: DiscoveryOptions): Promise<Omit<Discovery, 'close'>> {
  const certificates = await openCertificateFiles({
    directory: certsDir, role, name, onProblem: ({ file, message }) => onProblem({ where: file, message }),
  });
  return { certificates, registry: await openEmbeddedRegistry({ directory: registryDir, onProblem }) };
}

async function openConsul({ role, name, consulAddress: address, consulToken: token, consulCa, onProblem }: DiscoveryOptions): Promise<Omit<Discovery, 'close'>> {
  const agent = { address, token, ca: consulCa === undefined ? undefined : await readAuthority(consulCa) };
  const service = consulServiceName({ service: role, id: name });
  const certificates = await openConnectCertificates({
    ...agent, service, onProblem,
    onExpiring: (validUntil) => onProblem(expiryProblem(service, validUntil)),
  });
  const intentions = await openConnectIntentions({ ...agent, service });
  return { certificates, intentions, registry: await openConsulRegistry({ ...agent, onProblem }) };
}

export function expiryProblem(service: string, validUntil: Date): RegistryProblem {
  const message = `the certificate ends at ${validUntil.toISOString()} and Consul has not renewed it; see to Consul, or calls fail from then on`;
  return { where: `certificates of ${service}`, severity: 'error', message };
}

async function readAuthority(file: string): Promise<string> {
  try {
    const pem = await readFile(file, 'utf8');
    void new X509Certificate(pem);
    return pem;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CertificateError(file, code === 'ENOENT' ? 'is missing; --consul-ca names it' : `is no certificate in PEM that can be read (${code}); --consul-ca names it`);
  }
}
