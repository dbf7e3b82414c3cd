// Password hashing with argon2id, off the event loop, with bounded concurrency and a bounded queue.

import { randomBytes } from 'node:crypto';
import argon2 from 'argon2';

export interface Passwords {
  /**
   * Returns the argon2id hash in PHC string form, with a fresh salt.
   *
   * @throws PasswordOutOfRangeError, before any work
   * @throws PasswordsBusyError, before any work
   */
  hash(password: string): Promise<string>;

  /**
   * Tells whether the password is the one that was hashed.
   *
   * `hash` is undefined for an unknown user: the same work is done against a hash that nothing matches, so that
   * the time taken does not tell which users exist, and the answer is false.
   *
   * @throws PasswordOutOfRangeError, PasswordsBusyError, before any work
   * @throws Error when the stored hash is damaged; the message does not contain it
   */
  verify(hash: string | undefined, password: string): Promise<boolean>;
}

/** The password, as UTF-8 after normalisation, is not 1 to 1024 bytes long, or is not well-formed text. */
export class PasswordOutOfRangeError extends Error {
  override readonly name = 'PasswordOutOfRangeError';
  readonly code = 'PASSWORD_OUT_OF_RANGE';
  constructor() {
    super(`password: must be text of 1 to ${PASSWORD_BYTES_MAX} bytes in UTF-8`);
  }
}

/** Too many passwords are being checked already. Nothing was done; try again later. */
export class PasswordsBusyError extends Error {
  override readonly name = 'PasswordsBusyError';
  readonly code = 'PASSWORDS_BUSY';
  constructor() {
    super('too many logins at once; try again in a moment');
  }
}

export const PASSWORD_BYTES_MAX = 1024;

/**
 * Makes the password hasher. argon2 runs on libuv's thread pool, which has four threads and also serves files and
 * name look-ups: hence two at a time. A hash costs about 20 ms and 19 MiB; the queue bounds memory and waiting.
 */
export function createPasswords({ concurrencyMax = 2, queueMax = 64 }: {
  concurrencyMax?: number;
  queueMax?: number;
} = {}): Passwords {
  const limited = createLimiter(concurrencyMax, queueMax);
  const unknownUserHash = makeUnmatchableHash();

  return {
    async hash(password) {
      const prepared = prepare(password);
      return limited(() => argon2.hash(prepared, PARAMETERS));
    },
    async verify(hash, password) {
      const prepared = prepare(password);
      const matches = await limited(() => verifyPrepared(hash ?? unknownUserHash, prepared));
      return hash !== undefined && matches;
    },
  };
}

/** OWASP Password Storage Cheat Sheet: argon2id with 19 MiB of memory, 2 iterations, 1 degree of parallelism. */
const PARAMETERS = { type: argon2.argon2id, memoryCost: 19 * 1024, timeCost: 2, parallelism: 1, hashLength: 32 } as const;
const SALT_BYTES = 16;

/**
 * Prepares a password as RFC 8265 section 4.2 (OpaqueString) says: other spaces become U+0020, then NFC.
 * NFC and not NFKC: the RFC keeps compatibility characters apart, since folding them would weaken passwords;
 * NFC is enough to make the same text typed on different keyboards equal.
 */
function prepare(password: string): Buffer {
  // A lone surrogate has no UTF-8 form; encoding would turn different passwords into the same U+FFFD.
  if (!password.isWellFormed() || password.length > 4 * PASSWORD_BYTES_MAX) throw new PasswordOutOfRangeError();
  const prepared = Buffer.from(password.replace(/\p{Zs}/gu, ' ').normalize('NFC'), 'utf8');
  if (prepared.length < 1 || prepared.length > PASSWORD_BYTES_MAX) throw new PasswordOutOfRangeError();
  return prepared;
}

async function verifyPrepared(hash: string, prepared: Buffer): Promise<boolean> {
  if (!hash.startsWith('$argon2id$')) throw new Error('a stored password hash is damaged: it is not an argon2id hash');
  try {
    return await argon2.verify(hash, prepared);
  } catch {
    // The cause may quote the hash, so it is left out.
    throw new Error('a stored password hash is damaged: argon2 cannot read it');
  }
}

/** A hash with the usual parameters whose output is random instead of computed, so no known password matches it. */
function makeUnmatchableHash(): string {
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  const { memoryCost, timeCost, parallelism, hashLength } = PARAMETERS;
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$${base64(randomBytes(SALT_BYTES))}$${base64(randomBytes(hashLength))}`;
}

/** Runs at most `concurrencyMax` tasks at a time, lets `queueMax` more wait in order, and refuses the rest. */
function createLimiter(concurrencyMax: number, queueMax: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;

  return async (task) => {
    if (running < concurrencyMax) {
      running += 1;
    } else {
      if (waiting.length >= queueMax) throw new PasswordsBusyError();
      // The one that ends hands its place over, so `running` stays as it is.
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
