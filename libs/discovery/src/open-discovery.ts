// Where a service finds the others and gets its certificates: on one machine from files, elsewhere from the Consul agent beside it.

import { openCertificateFiles, type CertificateSource } from './certificates.ts';
import { openConnectCertificates } from './connect-certificates.ts';
import { openConnectIntentions, type ConnectIntentions } from './connect-intentions.ts';
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

async function openConsul({ role, name, consulAddress: address, consulToken: token, onProblem }: DiscoveryOptions): Promise<Omit<Discovery, 'close'>> {
  const agent = { address, ...(token === undefined ? {} : { token }) };
  const service = `strife-${role}-${name}`;
  const certificates = await openConnectCertificates({
    ...agent, service, onProblem,
    onExpiring: (validUntil) => onProblem({ where: service, message: `the certificate ends at ${validUntil.toISOString()} and is not renewed` }),
  });
  const intentions = await openConnectIntentions({ ...agent, service });
  return { certificates, intentions, registry: await openConsulRegistry({ ...agent, onProblem }) };
}
