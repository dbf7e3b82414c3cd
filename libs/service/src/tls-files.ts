// Certificates from disk, checked before they are used: what is wrong with them shows only dimly in a failed handshake.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from './failures.ts';
import { identityFromAltNames, trustDomainOf, type Role } from './identity.ts';
import type { TlsMaterial } from './tls-source.ts';

/**
 * Reads `ca.pem`, `<role>-<name>.pem` and `<role>-<name>.key`.
 *
 * @throws StartupError naming the file that is missing, unreadable, expired or of somebody else, and the command that makes it.
 */
export async function loadTlsFiles(directory: string, role: Role, name: string): Promise<TlsMaterial> {
  const remedy = `make it with: node --conditions=@strife/source tools/certs/src/main.ts --dir ${directory} ${role}/${name}`;
  const files = { ca: join(directory, 'ca.pem'), cert: join(directory, `${role}-${name}.pem`), key: join(directory, `${role}-${name}.key`) };
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new StartupError(code === 'ENOENT' ? `${path} is missing; ${remedy}` : `cannot read ${path}: ${code}`, { cause: error });
    }
  };
  const material = { ca: await read(files.ca), cert: await read(files.cert), key: await read(files.key) };
  const authority = parse(files.ca, () => new X509Certificate(material.ca));
  const certificate = parse(files.cert, () => new X509Certificate(material.cert));
  const key = parse(files.key, () => createPrivateKey(material.key));

  const identity = identityFromAltNames(certificate.subjectAltName, trustDomainOf(material.cert));
  if (typeof identity === 'string') throw new StartupError(`${files.cert}: ${identity}; ${remedy}`);
  if (identity.role !== role || identity.name !== name) {
    throw new StartupError(`${files.cert} is the certificate of ${identity.role}/${identity.name}, not of ${role}/${name}; ${remedy}`);
  }
  if (!certificate.checkPrivateKey(key)) throw new StartupError(`${files.key} is not the key of ${files.cert}; ${remedy}`);
  if (certificate.validToDate.getTime() <= Date.now()) throw new StartupError(`${files.cert} expired on ${certificate.validTo}; ${remedy}`);
  if (!isChain(material.cert) && !certificate.verify(authority.publicKey)) {
    throw new StartupError(`${files.cert} is not signed by ${files.ca}; ${remedy}`);
  }
  return material;
}

function parse<Value>(path: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    throw new StartupError(`${path} is not valid PEM: ${(error as Error).message}`, { cause: error });
  }
}

/** With intermediate authorities, the handshake finds out. */
function isChain(cert: string): boolean {
  return cert.split('-----BEGIN CERTIFICATE-----').length > 2;
}
