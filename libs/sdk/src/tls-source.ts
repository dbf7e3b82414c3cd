// Where a client's certificate comes from, and how a renewed one is taken up while calls run.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { InvalidArgumentError, TlsError } from './errors.ts';

/** PEM text, or a buffer of it. */
export interface TlsOptions {
  /** The authority that gateways' certificates must come from; several, one after the other, while one takes another's place. */
  ca: string | Buffer;
  /** This client's own certificate, with any chain. */
  cert: string | Buffer;
  /** The private key of `cert`. */
  key: string | Buffer;
}

/** Certificates that are renewed while the client runs. */
export interface TlsSource {
  /** Those to use from now on. Must not throw once it has returned something. */
  current(): TlsOptions;
  /** Calls the listener whenever `current` has changed, until the function that it returns is called. */
  onChange(listener: () => void): () => void;
}

/** The paths of PEM files. */
export interface TlsPaths {
  ca: string;
  cert: string;
  key: string;
}

const LOOK_INTERVAL_MS = 1_000;

/**
 * Certificates in files, which are read again when they change. While certificate and key do not belong together, as in the
 * middle of an exchange, and while a file cannot be read, the last good ones stay. Does not keep the process alive.
 *
 * @throws TlsError TLS_MATERIAL_INVALID for files that cannot be read or used now
 */
export function tlsFiles(paths: TlsPaths): TlsSource {
  for (const field of ['ca', 'cert', 'key'] as const) {
    if (typeof paths[field] !== 'string' || paths[field] === '') {
      throw new InvalidArgumentError(`tlsFiles needs the path of ${field}`, { code: 'INVALID_TLS', field });
    }
  }
  let last = readPair(paths);
  return {
    current: () => last,
    onChange(listener) {
      const look = (): void => {
        let next: TlsOptions;
        try {
          next = readPair(paths);
        } catch {
          return; // Half written: the next change of a file calls again.
        }
        if (isSame(last, next)) return;
        last = next;
        listener();
      };
      const files = Object.values(paths) as string[];
      for (const file of files) watchFile(file, { interval: LOOK_INTERVAL_MS, persistent: false }, look);
      // For what changed between the first reading and now.
      look();
      return () => {
        for (const file of files) unwatchFile(file, look);
      };
    },
  };
}

/** Fixed certificates as a source that never changes. */
export function tlsSource(tls: TlsOptions | TlsSource): TlsSource {
  if (typeof tls === 'object' && tls !== null) {
    if ('current' in tls) return tls;
    if (tls.ca && tls.cert && tls.key) return { current: () => tls, onChange: () => () => {} };
  }
  const field = ['ca', 'cert', 'key'].find((name) => !(tls as unknown as Record<string, unknown> | undefined)?.[name]);
  throw new InvalidArgumentError(`tls needs ca, cert and key; ${field} is missing`, { code: 'INVALID_TLS', field: `tls.${field}` });
}

function readPair({ ca, cert, key }: TlsPaths): TlsOptions {
  try {
    const read = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
    if (new X509Certificate(read.cert).checkPrivateKey(createPrivateKey(read.key))) return read;
  } catch (cause) {
    throw new TlsError(`the TLS certificates cannot be used: ${(cause as Error).message}`, { code: 'TLS_MATERIAL_INVALID', cause });
  }
  throw new TlsError(`${key} is not the key of ${cert}`, { code: 'TLS_MATERIAL_INVALID' });
}

function isSame(one: TlsOptions, other: TlsOptions): boolean {
  return String(one.ca) === String(other.ca) && String(one.cert) === String(other.cert) && String(one.key) === String(other.key);
}
