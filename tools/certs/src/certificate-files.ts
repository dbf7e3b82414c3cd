// The development certificates on disk. Two processes may make them at once: private keys appear by link(2), which lets the
// first one win, and certificates by rename(2); any certificate of the winning key is as good as another, so no lock is needed.
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority, createKey, DAY_MS, spiffeUri, type Authority, type TlsMaterial } from './authority.ts';

export interface EnsureOptions {
  directory: string;
  /** Such as `gateway/g1`, `bank/alpha`. */
  identities: readonly string[];
}

export interface EnsureResult {
  /** Names of the certificate files that were made or renewed, in order. */
  made: string[];
  /** Names of the certificate files that were good already. */
  kept: string[];
}

const RENEW_BEFORE_MS = DAY_MS;
const IDENTITY = /^(gateway|bank|client|operator)\/([a-z0-9][a-z0-9-]{0,62})$/;

/**
 * Makes what is missing in `directory`: the authority (`ca.pem`, `ca.key`) and for each identity a certificate and a key
 * (`bank-alpha.pem`, `bank-alpha.key`). Certificates are renewed when less than a day is left or when the authority changed;
 * keys are kept. Repeating it, also from several processes at once, is harmless.
 *
 * @throws Error when an identity is malformed (before anything is written) or the directory cannot be written.
 */
export async function ensureCertificates({ directory, identities }: EnsureOptions): Promise<EnsureResult> {
  const stems = identities.map(fileStem);
  await mkdir(directory, { recursive: true });
  const result: EnsureResult = { made: [], kept: [] };

  const authorityKey = await ensureKey(directory, 'ca');
  const authority = await ensureAuthority(directory, authorityKey, result);
  for (const [index, stem] of stems.entries()) {
    const uri = spiffeUri(identities[index]!);
    const key = await ensureKey(directory, stem);
    const file = `${stem}.pem`;
    const present = await read(directory, file);
    if (present !== undefined && isGoodLeaf(present, { key, uri, authority })) {
      result.kept.push(file);
    } else {
      await publish(directory, file, (await authority.issue({ uris: [uri], key })).cert);
      result.made.push(file);
    }
  }
  return result;
}

/**
 * The certificate, key and authority of one identity.
 *
 * @throws Error naming the file that is missing and the command that makes it.
 */
export async function loadTls(directory: string, identity: string): Promise<TlsMaterial> {
  const stem = fileStem(identity);
  const load = async (file: string) => {
    const text = await read(directory, file);
    if (text === undefined) {
      throw new Error(
        `${join(directory, file)} is missing; make it with: node --conditions=@strife/source tools/certs/src/main.ts --dir ${directory} ${identity}`,
      );
    }
    return text;
  };
  return { ca: await load('ca.pem'), cert: await load(`${stem}.pem`), key: await load(`${stem}.key`) };
}

function fileStem(identity: string): string {
  const match = IDENTITY.exec(identity);
  if (match === null) {
    const expected = 'gateway/NAME, bank/NAME, client/NAME or operator/NAME, with a NAME of a-z, 0-9 and -';
    throw new Error(`not an identity: ${JSON.stringify(identity)}; expected ${expected}`);
  }
  return `${match[1]}-${match[2]}`;
}

async function ensureAuthority(directory: string, key: string, result: EnsureResult): Promise<Authority> {
  const present = await read(directory, 'ca.pem');
  if (present !== undefined && isGoodAuthority(present, key)) {
    result.kept.push('ca.pem');
    return createAuthority({ key, cert: present });
  }
  const authority = await createAuthority({ key });
  await publish(directory, 'ca.pem', authority.cert);
  result.made.push('ca.pem');
  return authority;
}

function isGoodAuthority(cert: string, key: string): boolean {
  const certificate = parse(cert);
  return certificate !== undefined && certificate.ca && isFresh(certificate) && certificate.checkPrivateKey(createPrivateKey(key));
}

function isGoodLeaf(cert: string, expected: { key: string; uri: string; authority: Authority }): boolean {
  const certificate = parse(cert);
  return (
    certificate !== undefined &&
    isFresh(certificate) &&
    certificate.subjectAltName === `URI:${expected.uri}` &&
    certificate.checkPrivateKey(createPrivateKey(expected.key)) &&
    certificate.verify(new X509Certificate(expected.authority.cert).publicKey)
  );
}

function isFresh(certificate: X509Certificate): boolean {
  return certificate.validFromDate.getTime() <= Date.now() && certificate.validToDate.getTime() - Date.now() >= RENEW_BEFORE_MS;
}

function parse(cert: string): X509Certificate | undefined {
  try {
    return new X509Certificate(cert);
  } catch {
    return undefined;
  }
}

/** The private key of `stem`, made if absent. Whoever links it first wins, and all others take that one. */
async function ensureKey(directory: string, stem: string): Promise<string> {
  const file = `${stem}.key`;
  const present = await read(directory, file);
  if (present !== undefined) return present;
  const temporary = await writeTemporary(directory, file, createKey(), 0o600);
  try {
    await link(temporary, join(directory, file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  return readFile(join(directory, file), 'utf8');
}

async function publish(directory: string, file: string, text: string): Promise<void> {
  await rename(await writeTemporary(directory, file, text, 0o644), join(directory, file));
}

async function writeTemporary(directory: string, file: string, text: string, mode: number): Promise<string> {
  const path = join(directory, `.${file}.${randomBytes(6).toString('hex')}.tmp`);
  await writeFile(path, text, { mode, flag: 'wx' });
  return path;
}

async function read(directory: string, file: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, file), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
