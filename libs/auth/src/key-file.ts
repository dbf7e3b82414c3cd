// The file of a key ring: a JWK set with private parts, created whole or not at all, and replaced whole.

import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KEYS_MAX, thumbprint, type PublicJwk } from './public-keys.ts';

/** The key file cannot be read, made or understood. The message names the file and what to do. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
  readonly code = 'KEY_FILE';
  readonly file: string;
  constructor(file: string, problem: string) {
    super(`key file ${file}: ${problem}`);
    this.file = file;
  }
}

/** One key of the file. The first one signs; a second one is to sign after it, or did before. */
export interface Key {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly publicJwk: PublicJwk;
  /** Of the first: when it began to sign; undefined if nobody noted it. */
  readonly signsSinceMs?: number;
  /** Of the second: it is yet to sign. */
  readonly isNext?: boolean;
  /** Of the second, if it signed before: when its last token is over. */
  readonly endsAtMs?: number;
}

/** The keys in the file, which is made with one new key when it is not there. @throws KeyFileError */
export async function readOrMakeKeyFile(file: string, nowMs: number | undefined): Promise<Key[]> {
  const keys = parseKeyFile(file, await readKeyFile(file) ?? await makeKeyFile(file, nowMs));
  if (keys.length === 0) throw new KeyFileError(file, `holds no key; ${RESTORE}`);
  if (keys.length > KEYS_MAX) throw new KeyFileError(file, `holds more than ${KEYS_MAX} keys; take out those whose last token has expired`);
  return keys;
}

/** Replaces the file by one with these keys; durable when it resolves. @throws KeyFileError */
export async function writeKeyFile(file: string, keys: readonly Key[]): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    await writeDurably(temporary, textOf(keys));
    await rename(temporary, file);
    await syncDirectory(dirname(file));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw new KeyFileError(file, `cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)}); its directory must be one that this user may write`);
  }
}

export function newKey(): Key {
  return describe(generateKeyPairSync('ed25519').privateKey);
}

const RESTORE = 'restore it from a backup, or move it away to start with a new key (all tokens signed by it become invalid)';

function textOf(keys: readonly Key[]): string {
  const jwks = keys.map(({ privateKey, publicJwk, signsSinceMs, isNext, endsAtMs }) => ({
    ...publicJwk, d: privateKey.export({ format: 'jwk' }).d, signs_since_ms: signsSinceMs, is_next: isNext, ends_at_ms: endsAtMs,
  }));
  return `${JSON.stringify({ keys: jwks }, null, 2)}\n`;
}

async function readKeyFile(file: string): Promise<string | undefined> {
  try {
    // Windows has no such permission bits.
    if (process.platform !== 'win32' && ((await stat(file)).mode & 0o077) !== 0) {
      throw new KeyFileError(file, `others than its owner may use it; run: chmod 600 ${file}`);
    }
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof KeyFileError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new KeyFileError(file, `cannot be read (${code}); it must be a file that this user may read`);
  }
}

async function makeKeyFile(file: string, nowMs: number | undefined): Promise<string> {
  const content = textOf([{ ...newKey(), ...(nowMs === undefined ? {} : { signsSinceMs: nowMs }) }]);
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeDurably(temporary, content);
    try {
      // Unlike rename, link never replaces a file that another process made in the meantime.
      await link(temporary, file);
    } finally {
      await unlink(temporary);
    }
    await syncDirectory(dirname(file));
    return content;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const made = code === 'EEXIST' ? await readKeyFile(file) : undefined;
    if (made !== undefined) return made;
    throw new KeyFileError(file, `cannot be made (${code ?? String(error)}); the directory must be one that this user may write`);
  }
}

async function writeDurably(file: string, content: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The cause of a failure is left out of the error: it may quote the private key. */
function parseKeyFile(file: string, content: string): Key[] {
  let jwks: unknown;
  try {
    jwks = (JSON.parse(content) as { keys?: unknown } | null)?.keys;
  } catch {
    throw new KeyFileError(file, `is not JSON; ${RESTORE}`);
  }
  if (!Array.isArray(jwks)) throw new KeyFileError(file, `is not a JWK set, {"keys": [...]}; ${RESTORE}`);
  return jwks.map((jwk: StoredJwk | null, index) => {
    let key: Key | undefined;
    try {
      if (jwk?.kty === 'OKP' && jwk.crv === 'Ed25519') key = describe(createPrivateKey({ key: jwk as never, format: 'jwk' }));
    } catch {
      // Reported below, as any other damage.
    }
    if (!key || key.publicJwk.x !== jwk?.x || key.publicJwk.kid !== jwk.kid) {
      throw new KeyFileError(file, `key number ${index + 1} is not a whole Ed25519 private key with its thumbprint as "kid"; ${RESTORE}`);
    }
    return { ...key, ...times(jwk) };
  });
}

interface StoredJwk {
  kty?: unknown;
  crv?: unknown;
  x?: unknown;
  kid?: unknown;
  signs_since_ms?: unknown;
  is_next?: unknown;
  ends_at_ms?: unknown;
}

function times({ signs_since_ms: signsSinceMs, is_next: isNext, ends_at_ms: endsAtMs }: StoredJwk): Pick<Key, 'signsSinceMs' | 'isNext' | 'endsAtMs'> {
  return {
    ...(typeof signsSinceMs === 'number' ? { signsSinceMs } : {}),
    ...(isNext === true ? { isNext } : {}),
    ...(typeof endsAtMs === 'number' ? { endsAtMs } : {}),
  };
}

function describe(privateKey: KeyObject): Key {
  const publicKey = createPublicKey(privateKey);
  const x = publicKey.export({ format: 'jwk' }).x as string;
  return { privateKey, publicKey, publicJwk: { kty: 'OKP', crv: 'Ed25519', x, kid: thumbprint(x), alg: 'EdDSA', use: 'sig' } };
}
