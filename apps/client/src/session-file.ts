// The stored login: a file that only its owner may read, one for each profile.

import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Session } from '@strife/sdk';
import { UsageError } from './failure.ts';

const FILE_VERSION = 1;

/** Where the session of a profile is kept. Sessions of different profiles never mix: a token goes only where it came from. */
export function sessionFile(stateDirectory: string, profileFile: string | undefined): string {
  const name = profileFile === undefined ? 'default' : createHash('sha256').update(profileFile).digest('hex').slice(0, 16);
  return join(stateDirectory, 'sessions', `${name}.json`);
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

/** Stores the session, whole or not at all. */
export function writeSession(file: string, session: Session): void {
  const temporary = `${file}.${randomUUID()}`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, `${JSON.stringify({ version: FILE_VERSION, session })}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new UsageError(`the session cannot be stored: ${(error as Error).message}`, { cause: error });
  }
}

export function deleteSession(file: string): void {
  rmSync(file, { force: true });
}

function isSession(value: Partial<Session>): value is Session {
  return (
    typeof value.token === 'string' &&
    typeof value.expiresAtMs === 'number' &&
    typeof value.account === 'string' &&
    typeof value.currency === 'string'
  );
}
