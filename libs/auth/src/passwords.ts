// Password hashing with argon2id, in a process of its own at low priority, with bounded concurrency and a bounded queue.

import { HASHES_AT_ONCE, startHashingProcess } from './hashing-process.ts';

export interface Passwords {
  /**
   * Returns the argon2id hash in PHC string form, with a fresh salt.
   *
   * @throws PasswordOutOfRangeError, before any work
   * @throws PasswordsBusyError, before any work
   * @throws PasswordsUnavailableError; the next call may succeed
   */
  hash(password: string): Promise<string>;

  /**
   * Tells whether the password is the one that was hashed.
   *
   * `hash` is undefined for an unknown user: the same work is done against a hash that nothing matches, so that
   * the time taken does not tell which users exist, and the answer is false.
   *
   * @throws PasswordOutOfRangeError, PasswordsBusyError, before any work
   * @throws PasswordsUnavailableError; the next call may succeed
   * @throws Error when the stored hash is damaged; the message does not contain it
   */
  verify(hash: string | undefined, password: string): Promise<boolean>;

  /** Whether passwords can be checked here: for the start of a service. @throws PasswordsUnavailableError */
  ready(): Promise<void>;

  /** Ends the process; calls fail with PasswordsUnavailableError from now on. */
  close(): Promise<void>;
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

/** A password that took longer did not work for so long: it waited for the processor, or for a process that stood still. */
const REST_MAX_MS = 100;

export interface PasswordsOptions {
  /** How many are worked at together; by default as in HASHES_AT_ONCE. With the queue it bounds memory and waiting. */
  readonly concurrencyMax?: number;
  /** How many more may wait. */
  readonly queueMax?: number;
  readonly onProblem?: (problem: Error) => void;
  /** Whether the processors have more urgent work: then each password is followed by a rest as long as its work. */
  readonly restsWhile?: () => boolean;
  /** Calls back after so many milliseconds. */
  readonly after?: (callback: () => void, delayMs: number) => void;
}

/**
 * Makes the password hasher and starts its process, which ends with this one and keeps it from ending only while calls run.
 * When it dies, the calls that it works at fail, `onProblem` hears of it, and it is started again. A hash costs about 20 ms and 19 MiB.
 */
export function createPasswords(options: PasswordsOptions = {}): Passwords {
  const limited = createLimiter(options);
  const hashing = startHashingProcess(options.onProblem ?? (() => {}));

  return {
    async hash(password) {
      const prepared = prepare(password);
      return limited(() => hashing.hash(prepared));
    },
    async verify(hash, password) {
      const prepared = prepare(password);
      return limited(() => hashing.verify(hash, prepared));
    },
    async ready() {
      await hashing.verify(undefined, prepare('any'));
    },
    close: () => hashing.close(),
  };
}

/**
 * Prepares a password as RFC 8265 section 4.2 (OpaqueString) says: other spaces become U+0020, then NFC.
 * NFC and not NFKC: the RFC keeps compatibility characters apart, since folding them would weaken passwords;
 * NFC is enough to make the same text typed on different keyboards equal.
 */
function prepare(password: string): Uint8Array {
  // A lone surrogate has no UTF-8 form; encoding would turn different passwords into the same U+FFFD.
  if (!password.isWellFormed() || password.length > 4 * PASSWORD_BYTES_MAX) throw new PasswordOutOfRangeError();
  const prepared = Buffer.from(password.replace(/\p{Zs}/gu, ' ').normalize('NFC'), 'utf8');
  if (prepared.length < 1 || prepared.length > PASSWORD_BYTES_MAX) throw new PasswordOutOfRangeError();
  return prepared;
}

/** Runs at most `concurrencyMax` tasks at a time, lets `queueMax` more wait in order, and refuses the rest. */
function createLimiter({ concurrencyMax = HASHES_AT_ONCE, queueMax = 64, restsWhile = () => false, after = setTimeout }: PasswordsOptions): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;

  function handOver(): void {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }

  return async (task) => {
    if (running < concurrencyMax) {
      running += 1;
    } else {
      if (waiting.length >= queueMax) throw new PasswordsBusyError();
      // The one that ends hands its place over, so `running` stays as it is.
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    const begunAtMs = performance.now();
    try {
      return await task();
    } finally {
      if (restsWhile()) after(handOver, Math.min(performance.now() - begunAtMs, REST_MAX_MS));
      else handOver();
    }
  };
}
