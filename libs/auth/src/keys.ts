// The Ed25519 keys that a service signs its tokens with, kept in one file that only its user may read.

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface KeyRing {
  /** The name of the signing key: its RFC 7638 thumbprint. */
  readonly kid: string;
  readonly signingKey: KeyObject;
  /** The public key of that name, when it belongs to this ring. */
  verificationKey(kid: string): KeyObject | undefined;
  /** The public halves, as an RFC 7517 key set; the signing key comes first. */
  publicJwks(): { keys: PublicJwk[] };
}

export interface PublicJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly kid: string;
  readonly alg: 'EdDSA';
  readonly use: 'sig';
}

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

/**
 * Opens the key file, or makes it with a new key on first use.
 *
 * The file is a JWK set: the first key signs, all of them verify, so that a new key can be put in front while tokens of
 * the old one live on. It is created whole and durable, or not at all; of several processes that
 * start at once on the same file, one creates it and all use its key.
 *
 * @throws KeyFileError
 */
export async function openKeyRing({ file }: { file: string }): Promise<KeyRing> {
  const content = await readKeyFile(file) ?? await makeKeyFile(file);
  const keys = parseKeyFile(file, content);
  const [signing] = keys;
  if (!signing) throw new KeyFileError(file, `holds no key; ${RESTORE}`);
  const byKid = new Map(keys.map((key) => [key.publicJwk.kid, key]));
  return {
    kid: signing.publicJwk.kid,
    signingKey: signing.privateKey,
    verificationKey: (kid) => byKid.get(kid)?.publicKey,
    publicJwks: () => ({ keys: keys.map((key) => key.publicJwk) }),
  };
}

interface Key {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly publicJwk: PublicJwk;
}

const RESTORE = 'restore it from a backup, or move it away to start with a new key (all tokens signed by it become invalid)';

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

async function makeKeyFile(file: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const content = `${JSON.stringify({ keys: [{ ...describe(privateKey).publicJwk, d: privateKey.export({ format: 'jwk' }).d }] }, null, 2)}\n`;
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
  return jwks.map((jwk: { kty?: unknown; crv?: unknown; x?: unknown; kid?: unknown } | null, index) => {
    let key: Key | undefined;
    try {
      if (jwk?.kty === 'OKP' && jwk.crv === 'Ed25519') key = describe(createPrivateKey({ key: jwk as never, format: 'jwk' }));
    } catch {
      // Reported below, as any other damage.
    }
    if (!key || key.publicJwk.x !== jwk?.x || key.publicJwk.kid !== jwk.kid) {
      throw new KeyFileError(file, `key number ${index + 1} is not a whole Ed25519 private key with its thumbprint as "kid"; ${RESTORE}`);
    }
    return key;
  });
}

function describe(privateKey: KeyObject): Key {
  const publicKey = createPublicKey(privateKey);
  const x = publicKey.export({ format: 'jwk' }).x as string;
  // RFC 7638: SHA-256 over the required members (RFC 8037 names them for OKP), in lexical order, without spaces.
  const kid = createHash('sha256').update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x })).digest('base64url');
  return { privateKey, publicKey, publicJwk: { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' } };
}
