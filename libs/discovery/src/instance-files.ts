// The files of the embedded registry, `<directory>/<service>/<id>.json`: written whole, owned by one process, replaced by it alone.
// A heartbeat only moves the file's modification time.

import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, readlink, rename, stat, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, type ProcessIdentity } from './process-identity.ts';
import { readInstance, type Instance, type ServiceName } from './registry.ts';

export type InstanceKey = Pick<Instance, 'service' | 'id'>;

/** What is found under an instance's name. The text has a nonce, so it also tells one file from a later one. */
export type Found =
  | { kind: 'absent' }
  | { kind: 'unreadable'; problem: string }
  | { kind: 'damaged'; text: string; problem: string }
  | { kind: 'record'; text: string; instance: Instance; owner: ProcessIdentity; heartbeatAtMs: number };

export type Claim =
  | { kind: 'claimed'; text: string }
  | { kind: 'taken'; by: ProcessIdentity };

export function instanceFile(directory: string, { service, id }: InstanceKey): string {
  return join(directory, service, `${id}.json`);
}

/**
 * Creates the instance's file, unless a live process has it. The file of a dead process, or a damaged one, is replaced.
 * Of several processes that claim at once, one gets it.
 */
export async function claimFile(directory: string, instance: Instance, owner: ProcessIdentity, nowMs: number): Promise<Claim> {
  const file = instanceFile(directory, instance);
  const { temporary, text } = await writeTemporary(directory, instance, owner, nowMs);
  try {
    for (let attempt = 0; attempt < CLAIM_ATTEMPTS_MAX; attempt += 1) {
      // Unlike rename, link never replaces a file that another process made in the meantime.
      if (await unless('EEXIST', link(temporary, file))) return { kind: 'claimed', text };
      const found = await readFound(directory, instance);
      if (found.kind === 'unreadable') throw new Error(`${file} ${found.problem}`);
      if (found.kind === 'record' && isAlive(found.owner)) return { kind: 'taken', by: found.owner };
      const isRemoved = found.kind === 'absent' || await removeDeadFile(directory, instance, found.text, owner);
      if (!isRemoved) await delay(CLAIM_RETRY_MS);
    }
    throw new Error(`${file} is being removed by a process that does not go on`);
  } finally {
    await unlink(temporary);
  }
}

/**
 * Puts a file with this instance in place of the caller's own, of that text; readers find the one or the other. Undefined, and nothing changed, when
 * another text is there: the file was removed, or belongs to somebody else now.
 */
export async function replaceOwnFile(directory: string, instance: Instance, ownText: string, owner: ProcessIdentity, nowMs: number): Promise<string | undefined> {
  const file = instanceFile(directory, instance);
  const { temporary, text } = await writeTemporary(directory, instance, owner, nowMs);
  try {
    if (await readText(file) !== ownText) return undefined;
    // While its owner lives nobody else replaces it.
    await rename(temporary, file);
    return text;
  } finally {
    await unless('ENOENT', unlink(temporary));
  }
}

/** Removes the caller's own file. While its owner lives nobody else removes it. */
export async function removeOwnFile(directory: string, key: InstanceKey, text: string): Promise<void> {
  const file = instanceFile(directory, key);
  if (await readText(file) === text) await unless('ENOENT', unlink(file));
}

/**
 * Removes the file with that text, whose owner is dead. False when another live process is about to.
 *
 * Files cannot be compared and removed in one step, and a plain unlink could hit the file that another process has put in the
 * place by then. So whoever wants to remove this very text takes turn 1 on it, by creating a link of that name; turn n + 1
 * may be taken when the holder of turn n is dead. Hence one live process at most holds the last turn, and
 * while it does, this text goes only by its hand. A turn taken too late finds another text, or none, and does nothing.
 */
export async function removeDeadFile(directory: string, key: InstanceKey, text: string, self: ProcessIdentity): Promise<boolean> {
  const file = instanceFile(directory, key);
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 32);
  const turnFile = (turn: number) => join(directory, key.service, `.removal-${key.id}-${digest}-${turn}`);
  for (let turn = 1; turn <= TURNS_MAX; turn += 1) {
    if (await unless('EEXIST', symlink(JSON.stringify(self), turnFile(turn)))) {
      try {
        if (await readText(file) === text) await unlink(file);
      } finally {
        for (let past = 1; past <= turn; past += 1) await unless('ENOENT', unlink(turnFile(past)));
      }
      return true;
    }
    const holder = await readTurn(turnFile(turn));
    // Undefined: that removal has just ended.
    if (!holder || isAlive(holder)) return false;
  }
  return false;
}

/** Moves the modification time of the file with that text. */
export async function beat(directory: string, key: InstanceKey, text: string, nowMs: number): Promise<'beaten' | 'gone' | 'replaced'> {
  const file = instanceFile(directory, key);
  const found = await readText(file);
  if (found === undefined) return 'gone';
  if (found !== text) return 'replaced';
  return await unless('ENOENT', utimes(file, nowMs / 1000, nowMs / 1000)) ? 'beaten' : 'gone';
}

/** Reads what is under every name of a service. A directory that is not there holds none. */
export async function readService(directory: string, service: ServiceName): Promise<ReadonlyMap<string, Found>> {
  const names = await namesIn(join(directory, service));
  const ids = names.filter((name) => name.endsWith('.json') && !name.startsWith('.')).map((name) => name.slice(0, -'.json'.length));
  return new Map(await Promise.all(ids.map(async (id): Promise<[string, Found]> => [id, await readFound(directory, { service, id })])));
}

/** Removes what processes that were killed in the middle of a claim left behind. */
export async function sweepLeftovers(directory: string, service: ServiceName): Promise<void> {
  for (const name of await namesIn(join(directory, service))) {
    const pid = TEMPORARY_NAME.exec(name)?.[1];
    if (pid !== undefined && !isAlive({ pid: Number(pid), startedAt: '' })) {
      await unless('ENOENT', unlink(join(directory, service, name)));
    }
  }
}

/** Together half a second, for a removal that takes less than a millisecond. */
const CLAIM_ATTEMPTS_MAX = 100;
const CLAIM_RETRY_MS = 5;
/** Each turn but the last means a process that was killed within one removal. */
const TURNS_MAX = 100;
const TEMPORARY_NAME = /^\.(\d+)-/;

async function writeTemporary(directory: string, instance: Instance, owner: ProcessIdentity, nowMs: number): Promise<{ temporary: string; text: string }> {
  const temporary = join(directory, instance.service, `.${process.pid}-${randomUUID()}-${instance.id}`);
  const text = `${JSON.stringify({ instance, owner, nonce: randomUUID() }, null, 2)}\n`;
  await mkdir(join(directory, instance.service), { recursive: true });
  try {
    await writeFile(temporary, text, { flag: 'wx' });
    await utimes(temporary, nowMs / 1000, nowMs / 1000);
  } catch (error) {
    await unless('ENOENT', unlink(temporary));
    throw error;
  }
  return { temporary, text };
}

/** What a turn's link points to is not a file but the holder: the one thing that appears at once and whole, or not at all. */
async function readTurn(turn: string): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readlink(turn)) as ProcessIdentity;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function readFound(directory: string, key: InstanceKey): Promise<Found> {
  const file = instanceFile(directory, key);
  let text: string | undefined;
  let heartbeatAtMs: number;
  try {
    heartbeatAtMs = (await stat(file)).mtimeMs;
    text = await readText(file);
  } catch (error) {
    return isCode(error, 'ENOENT') ? { kind: 'absent' } : { kind: 'unreadable', problem: `cannot be read (${codeOf(error)})` };
  }
  if (text === undefined) return { kind: 'absent' };
  const content = parse(text, key);
  return typeof content === 'string' ? { kind: 'damaged', text, problem: content } : { kind: 'record', text, heartbeatAtMs, ...content };
}

/** The content, or what is wrong with it. */
function parse(text: string, { service, id }: InstanceKey): { instance: Instance; owner: ProcessIdentity } | string {
  let content: { instance?: unknown; owner?: { pid?: unknown; startedAt?: unknown } } | null;
  try {
    content = JSON.parse(text) as typeof content;
  } catch {
    return 'is not JSON';
  }
  const instance = readInstance(content?.instance);
  if ('wrong' in instance) return `instance.${instance.wrong}`;
  if (instance.service !== service || instance.id !== id) return 'is named after another instance';
  const { pid, startedAt } = content?.owner ?? {};
  if (!Number.isInteger(pid) || Number(pid) < 1 || typeof startedAt !== 'string') return 'owner: must have a pid and startedAt';
  return { instance, owner: { pid: Number(pid), startedAt } };
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Tells whether it was done; false when it failed with that code. Other failures throw. */
async function unless(code: string, done: Promise<unknown>): Promise<boolean> {
  try {
    await done;
    return true;
  } catch (error) {
    if (isCode(error, code)) return false;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return codeOf(error) === code;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
