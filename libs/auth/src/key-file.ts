// The file of a key ring: a JWK set with private parts.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { KEYS_MAX, thumbprint, type PublicJwk } from './public-keys.ts';
import { KeyFileError, makeSecretFile, readSecretFile, replaceSecretFile } from './secret-file.ts';

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
  const keys = parseKeyFile(file, await readSecretFile(file) ?? await makeSecretFile(file, textOf([firstKey(nowMs)])));
  if (keys.length === 0) throw new KeyFileError(file, `holds no key; ${RESTORE}`);
  if (keys.length > KEYS_MAX) throw new KeyFileError(file, `holds more than ${KEYS_MAX} keys; take out those whose last token has expired`);
  return keys;
}

/** Replaces the file by one with these keys; durable when it resolves. @throws KeyFileError */
export function writeKeyFile(file: string, keys: readonly Key[]): Promise<void> {
  return replaceSecretFile(file, textOf(keys));
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

function firstKey(nowMs: number | undefined): Key {
  return { ...newKey(), ...(nowMs === undefined ? {} : { signsSinceMs: nowMs }) };
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
