// Files that hold secrets: for their owner alone, created whole or not at all, and replaced whole.

import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

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
 * The secret in the file, 32 bytes, which is made by chance when there is none; of several processes that start at once on the
 * same file, one makes it and all use it.
 *
 * @throws KeyFileError
 */
export async function openSecret(file: string): Promise<Uint8Array> {
  const text = (await readSecretFile(file)) ?? (await makeSecretFile(file, `${randomBytes(SECRET_BYTES).toString('base64url')}\n`));
  const secret = Buffer.from(text.trim(), 'base64url');
  if (secret.length !== SECRET_BYTES || secret.toString('base64url') !== text.trim()) {
    throw new KeyFileError(file, 'is not a whole secret; restore it from a backup, or move it away to start with a new one (all refresh tokens become invalid)');
  }
  return secret;
}

const SECRET_BYTES = 32;

/** The content, or undefined when there is no such file. @throws KeyFileError */
export async function readSecretFile(file: string): Promise<string | undefined> {
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

/** Makes the file, durably, unless another process made it meanwhile; returns what is in it. @throws KeyFileError */
export async function makeSecretFile(file: string, content: string): Promise<string> {
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
    const made = code === 'EEXIST' ? await readSecretFile(file) : undefined;
    if (made !== undefined) return made;
    throw new KeyFileError(file, `cannot be made (${code ?? String(error)}); the directory must be one that this user may write`);
  }
}

/** Replaces the file; durable when it resolves. @throws KeyFileError */
export async function replaceSecretFile(file: string, content: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    await writeDurably(temporary, content);
    await rename(temporary, file);
    await syncDirectory(dirname(file));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw new KeyFileError(file, `cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)}); its directory must be one that this user may write`);
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
