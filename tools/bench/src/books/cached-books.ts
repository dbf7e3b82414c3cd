// Books are made once and kept, since large ones take minutes; a run works on a copy.

import { constants, existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm, statfs } from 'node:fs/promises';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { SOURCE_FLAGS } from '../load/load-process.ts';
import type { BooksPlan } from './make-books.ts';

/** Changes when what `makeBooks` writes changes, so that what was kept is made anew. */
const BOOKS_VERSION = 5;
/** What a customer and a past payment take on disk, at both banks and the gateway together; measured, and rounded up. */
const ACCOUNT_BYTES = 600;
const PAYMENT_BYTES = 600;
/** Twice, for the kept books and the copy, and what a run adds. */
const SPACE_FACTOR = 2;
const SPACE_SPARE_BYTES = 2 * 1024 ** 3;

/** Whether the disk has room for such books and a run on a copy of them. */
export async function hasRoomFor(directory: string, { accounts, pastPayments }: BooksPlan): Promise<boolean> {
  await mkdir(directory, { recursive: true });
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize > SPACE_FACTOR * (accounts * ACCOUNT_BYTES + pastPayments * PAYMENT_BYTES) + SPACE_SPARE_BYTES;
}

/**
 * Copies books of this plan into `target`, from those kept under `cache`, which are made when they are missing.
 *
 * @throws Error when they cannot be made
 */
export async function provideBooks(cache: string, plan: BooksPlan, passwordHash: () => Promise<string>, target: string, signal: AbortSignal): Promise<void> {
  const kept = join(cache, `books-v${BOOKS_VERSION}-${plan.accounts}-accounts-${plan.pastPayments}-payments`);
  if (!existsSync(kept)) {
    const draft = `${kept}.${process.pid}.new`;
    await rm(draft, { recursive: true, force: true });
    try {
      await makeInProcess(draft, plan, await passwordHash(), signal);
      await rename(draft, kept);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }
  await mkdir(target, { recursive: true });
  for (const file of await readdir(kept)) await copyFile(join(kept, file), join(target, file), constants.COPYFILE_FICLONE);
}

/** In a process of its own: it takes its time and memory, and Ctrl-C must get through meanwhile. */
async function makeInProcess(directory: string, plan: BooksPlan, passwordHash: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const child = fork(join(import.meta.dirname, 'make-books-main.ts'), { execArgv: SOURCE_FLAGS, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const stop = (): void => void child.kill('SIGKILL');
  process.once('exit', stop);
  signal.addEventListener('abort', stop);
  child.send({ directory, plan, passwordHash });
  const [code, killedBy] = (await once(child, 'exit')) as [number | null, string | null];
  process.off('exit', stop);
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`books of ${plan.accounts} accounts and ${plan.pastPayments} payments cannot be made: ${killedBy ?? `exit ${code}`}`);
}
