// Where a process gets its TLS certificate from, and how it hears of a new one. This driver reads files.

import { X509Certificate, createPrivateKey } from 'node:crypto';
import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { oneAtATime } from './one-at-a-time.ts';

/** All in PEM. */
export interface Certificates {
  /** Who is trusted to sign the other side's certificate. */
  readonly ca: Buffer;
  /** The own certificate, with what stands between it and the authority. */
  readonly cert: Buffer;
  /** The private key: never logged. */
  readonly key: Buffer;
}

export interface CertificateSource {
  /** Always a whole, matching set. */
  current(): Certificates;
  /** Calls after `current` changed; connections made before keep what they have. Returns how to stop listening. */
  onRotate(listener: (certificates: Certificates) => void): () => void;
  close(): void;
}

/** A file is missing, damaged, or does not fit the others. The message names it and says what to do. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  readonly code = 'CERTIFICATE';
  readonly file: string;
  constructor(file: string, problem: string) {
    super(`certificate file ${file}: ${problem}`);
    this.file = file;
  }
}

/**
 * Opens `ca.pem`, `<role>-<name>.pem` and `<role>-<name>.key` in the directory and follows their replacement: at once
 * where the system tells, else within `pollIntervalMs`. While the files do not make a whole, matching set (somebody is replacing them one by
 * one), the set before stays current, and `onProblem` hears why, once. Does not keep the process alive.
 *
 * @throws CertificateError
 */
export async function openCertificateFiles({ directory, role, name, pollIntervalMs = 5000, nowMs = Date.now, onProblem = () => {} }: {
  directory: string;
  role: string;
  name: string;
  pollIntervalMs?: number;
  nowMs?: () => number;
  onProblem?: (error: CertificateError) => void;
}): Promise<CertificateSource> {
  const files = {
    ca: join(directory, 'ca.pem'),
    cert: join(directory, `${role}-${name}.pem`),
    key: join(directory, `${role}-${name}.key`),
  };
  const listeners = new Set<(certificates: Certificates) => void>();
  let current = await load(files, nowMs());
  let reported: string | undefined;
  let isClosed = false;

  const reload = oneAtATime(async () => {
    let loaded: Certificates;
    try {
      loaded = await load(files, nowMs());
    } catch (error) {
      const problem = error as CertificateError;
      if (!isClosed && problem.message !== reported) onProblem(problem);
      reported = problem.message;
      return;
    }
    reported = undefined;
    if (isClosed || areEqual(loaded, current)) return;
    current = loaded;
    for (const listener of listeners) listener(loaded);
  });
  const timer = setInterval(reload, pollIntervalMs).unref();
  const watcher = watchWherePossible(directory, reload);

  return {
    current: () => current,
    onRotate(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      isClosed = true;
      clearInterval(timer);
      watcher?.close();
    },
  };
}

type CertificateFiles = Readonly<Record<keyof Certificates, string>>;

const REMEDY = 'make it with: npm run certs';

async function load(files: CertificateFiles, nowMs: number): Promise<Certificates> {
  // One after the other, so that of several missing files the same one is always named.
  const ca = await read(files.ca);
  const cert = await read(files.cert);
  const key = await read(files.key);
  parseCertificate(files.ca, ca, nowMs);
  const own = parseCertificate(files.cert, cert, nowMs);
  let privateKey;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    throw new CertificateError(files.key, `is not a private key in PEM; ${REMEDY}`);
  }
  if (!own.checkPrivateKey(privateKey)) throw new CertificateError(files.key, `is not the key of ${files.cert}; ${REMEDY}`);
  return Object.freeze({ ca, cert, key });
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CertificateError(file, code === 'ENOENT' ? `is missing; ${REMEDY}` : `cannot be read (${code}); it must be a file that this user may read`);
  }
}

function parseCertificate(file: string, pem: Buffer, nowMs: number): X509Certificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    throw new CertificateError(file, `is not a certificate in PEM; ${REMEDY}`);
  }
  if (certificate.validToDate.getTime() <= nowMs) throw new CertificateError(file, `expired on ${certificate.validToDate.toISOString()}; ${REMEDY}`);
  return certificate;
}

function areEqual(a: Certificates, b: Certificates): boolean {
  return a.ca.equals(b.ca) && a.cert.equals(b.cert) && a.key.equals(b.key);
}

/** The whole directory is watched, since files are replaced by rename, or by swapping a directory that they link into. */
function watchWherePossible(directory: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, onChange);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
