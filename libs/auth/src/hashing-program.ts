// The program of the process that hashes passwords, at low priority: a flood of logins takes the processor time that payments leave.
// It has one parent, which bounds the work, and ends with it. No message and no error that leaves it holds a password.

import { randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { getPriority, setPriority } from 'node:os';
import argon2 from 'argon2';

/** One password, prepared, and what to do with it. `verify` without a hash is for an unknown user: the same work, and the answer is false. */
export type HashingRequest = { readonly id: number; readonly password: Uint8Array } & (
  | { readonly kind: 'hash' }
  | { readonly kind: 'verify'; readonly hash: string | undefined }
);

/** `hash` gets the hash, `verify` whether it matches; a failure is a text that holds no password and no hash. */
export type HashingReply = { readonly id: number } & ({ readonly result: string | boolean } | { readonly failure: string });

/** OWASP Password Storage Cheat Sheet: argon2id with 19 MiB of memory, 2 iterations, 1 degree of parallelism. */
const PARAMETERS = { type: argon2.argon2id, memoryCost: 19 * 1024, timeCost: 2, parallelism: 1, hashLength: 32 } as const;
const SALT_BYTES = 16;

/**
 * How much nicer than the parent: a third of its weight. Whoever wakes up gets the processor from this process as soon as with a larger
 * number; what a larger one adds is that logins starve where payments, or others, take all there is.
 */
const NICENESS = 5;
const NICENESS_MAX = 19;
const AUTOGROUP_FILE = '/proc/self/autogroup';
const AUTOGROUP_RETRY_MS = 150;
const AUTOGROUP_TRIES = 20;

const unknownUserHash = makeUnmatchableHash();

// A terminal or a service manager signals every process. The parent still finishes its calls then, and ends this process after them.
process.on('SIGTERM', () => {}).on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
process.on('message', (request: HashingRequest) => void answer(request));
// Node would write it at the end, but this process is killed. Without it, what strips the types is loaded each time, and stays: 18 MB.
flushCompileCache();
stepBack();
stepBackAsGroup(AUTOGROUP_TRIES);

async function answer(request: HashingRequest): Promise<void> {
  const { id } = request;
  let reply: HashingReply;
  try {
    reply = { id, result: await work(request) };
  } catch (error) {
    reply = { id, failure: (error as Error).message };
  }
  // The parent may have ended meanwhile; then so does this process.
  process.send?.(reply, undefined, undefined, () => {});
}

async function work(request: HashingRequest): Promise<string | boolean> {
  // A view of the bytes that came, and no copy of them.
  const password = Buffer.from(request.password.buffer, request.password.byteOffset, request.password.byteLength);
  if (request.kind === 'hash') return argon2.hash(password, PARAMETERS);
  const matches = await verify(request.hash ?? unknownUserHash, password);
  return request.hash !== undefined && matches;
}

async function verify(hash: string, password: Buffer): Promise<boolean> {
  if (!hash.startsWith('$argon2id$')) throw new Error('a stored password hash is damaged: it is not an argon2id hash');
  try {
    return await argon2.verify(hash, password);
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

/**
 * Linux has a priority for each thread, and libuv's may run already; threads that start later inherit. Elsewhere it is the
 * process that has one. Where it may not be set, hashing goes on at the usual one.
 */
function stepBack(): void {
  let threads = [0];
  try {
    threads = readdirSync('/proc/self/task').map(Number);
  } catch {
    // Not Linux: 0 is the process.
  }
  const priority = Math.min(getPriority() + NICENESS, NICENESS_MAX);
  for (const thread of threads) {
    try {
      setPriority(thread, priority);
    } catch {
      // The thread has ended, or the system forbids it.
    }
  }
}

/**
 * Where Linux groups processes by session (sched(7), autogroup), a priority counts inside the group only, and groups have one of
 * their own. This process leads its session, so the group is its own. The kernel takes such changes only some times a second, from anybody.
 */
function stepBackAsGroup(tries: number): void {
  try {
    writeFileSync(AUTOGROUP_FILE, String(NICENESS));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || tries <= 1) return;
    setTimeout(stepBackAsGroup, AUTOGROUP_RETRY_MS, tries - 1);
  }
}
