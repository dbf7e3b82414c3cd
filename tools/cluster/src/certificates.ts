// The certificates of a local cluster: made here for all, or, with Consul, fetched for the client alone.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureCertificates } from '@strife/certs';
import { openConnectCertificates } from '@strife/discovery';

export const CLIENT_IDENTITY = 'client/dev';
/** The client's name at Consul. */
export const CLIENT_SERVICE = 'strife-client';
const OPERATOR_IDENTITY = 'operator/root';

/** Certificates of the development authority for every service, the client and the operator. */
export async function makeCertificates(directory: string, gateways: readonly string[], banks: readonly string[]): Promise<void> {
  await ensureCertificates({
    directory,
    identities: [...gateways.map((name) => `gateway/${name}`), ...banks.map((name) => `bank/${name}`), CLIENT_IDENTITY, OPERATOR_IDENTITY],
  });
}

/**
 * Writes the client's certificate from Consul Connect to where the command line reads it, now and whenever Consul exchanges it; the
 * services fetch theirs by themselves. Returns how to stop following.
 */
export async function followClientCertificate(directory: string, consulAddress: string, token?: string): Promise<() => void> {
  const source = await openConnectCertificates({ address: consulAddress, token, service: CLIENT_SERVICE });
  const base = CLIENT_IDENTITY.replace('/', '-');
  const write = async ({ ca, cert, key }: ReturnType<typeof source.current>): Promise<void> => {
    await writeFile(join(directory, `${base}.key`), key, { mode: 0o600 });
    await writeFile(join(directory, `${base}.pem`), cert);
    await writeFile(join(directory, 'ca.pem'), ca);
  };
  await write(source.current());
  source.onRotate((certificates) => {
    write(certificates).catch((error: Error) => process.stderr.write(`the client's certificate cannot be written: ${error.message}\n`));
  });
  return () => source.close();
}
