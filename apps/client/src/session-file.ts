// The stored login: a file that only its owner may read, one for each profile, shared by all commands that run at once.

import { createHash, randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Session, SessionStore } from '@strife/sdk';
import { UsageError } from './failure.ts';

const FILE_VERSION = 1;
/** A refresh takes at most ten seconds; whoever waits for another command's has more. */
const LOCK_RETRIES = { retries: 600, factor: 1, minTimeout: 25, maxTimeout: 25 };
/** A lock whose owner has not touched it for so long is a dead one's. */
const LOCK_STALE_MS = 12_000;

/** The name that everything which belongs to a profile is kept under. Nothing of two profiles ever mixes: a token goes only where it came from. */
export function profileKey(profileFile: string | undefined): string {
  return profileFile === undefined ? 'default' : createHash('sha256').update(profileFile).digest('hex').slice(0, 16);
}

/** Where the session of a profile is kept. */
export function sessionFile(stateDirectory: string, profileFile: string | undefined): string {
  return join(stateDirectory, 'sessions', `${profileKey(profileFile)}.json`);
}

/** The stored session, which may have expired; undefined if there is none, or none that this release can read. */
export function readSession(file: string): Session | undefined {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UsageError(`the session file cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    const { version, session } = JSON.parse(content) as { version: unknown; session: Session };
    return version === FILE_VERSION && isSession(session) ? session : undefined;
  } catch {
    return undefined;
  }
}

/** Stores the session, whole or not at all, and on disk when it returns. */
export function writeSession(file: string, session: Session): void {
  const temporary = `${file}.${randomUUID()}`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, `${JSON.stringify({ version: FILE_VERSION, session })}\n`, { mode: 0o600, flag: 'wx', flush: true });
    renameSync(temporary, file);
    syncDirectory(dirname(file));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new UsageError(`the session cannot be stored: ${(error as Error).message}`, { cause: error });
  }
}

export function deleteSession(file: string): void {
  rmSync(file, { force: true });
}

/** Stores a new login, after a refresh of the old one that another command may have under way. */
export async function storeLogin(file: string, session: Session): Promise<void> {
  await whileLocked(file, async () => writeSession(file, session));
}

/** Forgets the account's session, and with it what a refresh under way brings; somebody else's login stays. */
export async function forgetLogin(file: string, account: string): Promise<void> {
  await whileLocked(file, async () => {
    if (readSession(file)?.account === account) deleteSession(file);
  });
}

/** When it ends for good: until then it is renewed as it is used. Unix time. */
export function sessionEndMs({ expiresAtMs, refreshExpiresAtMs = 0 }: Session): number {
  return Math.max(expiresAtMs, refreshExpiresAtMs);
}

/** The file as the SDK keeps sessions in it: a refresh by one command is what the others go on with. */
export function sessionStore(file: string): SessionStore {
  return {
    load: () => readSession(file),
    save(session) {
      if (session === undefined) deleteSession(file);
      else writeSession(file, session);
    },
    lock: (work) => whileLocked(file, work),
  };
}

/** Runs `work` while no other command does so for this file. Throws UsageError if the lock cannot be had. */
async function whileLocked<T>(file: string, work: () => Promise<T>): Promise<T> {
  const { lock } = await import('proper-lockfile');
  let release: () => Promise<void>;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // A process that slept has lost its lock. It goes on: whoever asks for the same refresh twice gets the same answer.
    release = await lock(file, { realpath: false, stale: LOCK_STALE_MS, retries: LOCK_RETRIES, onCompromised: () => undefined });
  } catch (cause) {
    throw new UsageError(`the session file cannot be locked: ${(cause as Error).message}`, { cause });
  }
  try {
    return await work();
  } finally {
    await release().catch(() => undefined);
  }
}

/** A renamed file is only certain to be there after a crash once its folder is written. */
function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function isSession(value: Partial<Session>): value is Session {
  return (
    typeof value.token === 'string' &&
    typeof value.expiresAtMs === 'number' &&
    typeof value.account === 'string' &&
    typeof value.currency === 'string'
  );
}
