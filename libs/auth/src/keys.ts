// The Ed25519 keys that a service signs its tokens with: one signs, and while it is being replaced a second one verifies beside it.

import type { KeyObject } from 'node:crypto';
import { newKey, readOrMakeKeyFile, writeKeyFile, type Key } from './key-file.ts';
import { KEYS_MAX, publishedKeys, type PublicJwk, type VerificationKeys } from './public-keys.ts';

/**
 * The keys of one service. A key is replaced in three steps, each durable before it shows: `rotate` adds the next key, which
 * verifies at once; when it has been published for the lead time, `advance` lets it sign; when the last token of the old one
 * is over, `advance` drops that.
 */
export interface KeyRing extends VerificationKeys {
  /** The name of the signing key: its RFC 7638 thumbprint. */
  readonly kid: string;
  readonly signingKey: KeyObject;
  /** When the signing key began to sign; 0 if nobody noted it. */
  readonly signsSinceMs: number;
  /** The public halves, as an RFC 7517 key set; the signing key comes first. */
  publicJwks(): { keys: PublicJwk[] };
  /** The public halves as a text for a registry: at most PUBLISHED_KEYS_CHARACTERS_MAX characters. */
  published(): string;
  /** Adds the next signing key. False, and nothing is done, while another one is on its way in or out. @throws KeyFileError */
  rotate(): Promise<boolean>;
  /** Others can see `published` from now on. A lead time that was running before a restart starts again. */
  notePublished(nowMs: number): void;
  /** Takes the steps that are due; true when there was one. @throws KeyFileError; the step is then not taken. */
  advance(nowMs: number): Promise<boolean>;
}

export interface KeyRingOptions {
  readonly file: string;
  /** How long a key is published before it signs: longer than the slowest verifier takes to hear of it. Default: a minute. */
  readonly leadMs?: number;
  /** The longest that a token lives: how long a key still verifies after it signed last. Default: an hour. */
  readonly tokenLifetimeMs?: number;
  /** Now, for the age of a key that is made by this call. */
  readonly nowMs?: number;
}

/**
 * Opens the key file, or makes it with a new key on first use.
 *
 * The file is a JWK set of at most two: the first key signs, both verify. It is created whole and durable, or not at all; of
 * several processes that start at once on the same file, one creates it and all use its key. Only one process may rotate.
 *
 * @throws KeyFileError
 */
export async function openKeyRing({ file, leadMs = 60_000, tokenLifetimeMs = 3_600_000, nowMs }: KeyRingOptions): Promise<KeyRing> {
  let [signing, other] = await readOrMakeKeyFile(file, nowMs) as [Key, Key | undefined];
  let nextPublishedAtMs: number | undefined;

  async function become(nextSigning: Key, nextOther: Key | undefined): Promise<void> {
    await writeKeyFile(file, nextOther === undefined ? [nextSigning] : [nextSigning, nextOther]);
    [signing, other] = [nextSigning, nextOther];
  }

  const held = (): Key[] => (other === undefined ? [signing] : [signing, other]);
  const jwks = (): PublicJwk[] => held().map(({ publicJwk }) => publicJwk);

  return {
    get kid() {
      return signing.publicJwk.kid;
    },
    get signingKey() {
      return signing.privateKey;
    },
    get signsSinceMs() {
      return signing.signsSinceMs ?? 0;
    },
    verificationKey: (kid) => held().find(({ publicJwk }) => publicJwk.kid === kid)?.publicKey,
    publicJwks: () => ({ keys: jwks() }),
    published: () => publishedKeys(jwks()),
    async rotate() {
      if (held().length === KEYS_MAX) return false;
      nextPublishedAtMs = undefined;
      await become(signing, { ...newKey(), isNext: true });
      return true;
    },
    notePublished(atMs) {
      if (other?.isNext === true) nextPublishedAtMs ??= atMs;
    },
    async advance(atMs) {
      if (other === undefined) return false;
      if (other.isNext === true) {
        if (nextPublishedAtMs === undefined || atMs - nextPublishedAtMs < leadMs) return false;
        await become(bare(other, { signsSinceMs: atMs }), bare(signing, { endsAtMs: atMs + tokenLifetimeMs }));
        return true;
      }
      // A key that was put in by hand has no end: from now on it has one.
      if (other.endsAtMs === undefined) await become(signing, bare(other, { endsAtMs: atMs + tokenLifetimeMs }));
      else if (atMs >= other.endsAtMs) await become(signing, undefined);
      else return false;
      return true;
    },
  };
}

function bare({ privateKey, publicKey, publicJwk }: Key, times: Pick<Key, 'signsSinceMs' | 'endsAtMs'>): Key {
  return { privateKey, publicKey, publicJwk, ...times };
}
