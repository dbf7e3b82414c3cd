// Makes the log that a crash left beside a store durable before anybody trusts it.
//
// After a failed sync Linux takes the pages that it could not write for clean: they are still read back from memory, but no later sync writes
// them. So a log that looks whole after a restart may not be on the disk, and everything committed after it would be lost with it.

import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { StoreError } from './store-error.ts';

const PIECE_BYTES = 1024 * 1024;
/** What direct writes come in: a multiple of every disk's blocks. */
const BLOCK_BYTES = 4096;

/**
 * Writes every byte of `<path>-wal` back to its place and syncs it: then all that SQLite will find in it is on the disk. The bytes stay the same, so
 * that neither a crash half-way nor a reader of the store notices. Does nothing where there is no such file, which is so after every clean stop.
 *
 * Where the file system can, past its memory: ext4 keeps a block that a file grew by as unwritten when its first write fails, and a later write of the
 * same page in memory does not change that, so that the block would read as zeros after a power cut. A direct write looks at the block itself.
 *
 * Call as the owner of the store, before SQLite opens it: nobody else may write the log meanwhile.
 *
 * @throws StoreError that names the log, which cannot be read, written or synced; doing it again is safe
 */
export function resyncWriteAheadLog(path: string): void {
  const log = `${path}-wal`;
  try {
    withFile(log, constants.O_RDWR, ['ENOENT'], (file) => {
      const { size } = fstatSync(file);
      if (size === 0) return;
      if (!rewriteDirectly(log, file, size)) rewrite(file, file, size, 1);
      // Direct writes fill the last block with zeros, which a crash may leave there: to SQLite they are no part of the log.
      ftruncateSync(file, size);
      fsyncSync(file);
    });
  } catch (error) {
    throw new StoreError(log, `cannot be written back to the disk, so what it holds is not safe: ${(error as Error).message}`, { cause: error });
  }
}

/** False where the file system has no direct writes, as some in memory or over a network. */
function rewriteDirectly(log: string, file: number, size: number): boolean {
  // Not of every system.
  const direct = constants.O_DIRECT as number | undefined;
  if (direct === undefined) return false;
  return withFile(log, constants.O_RDWR | direct, ['EINVAL'], (target) => rewrite(file, target, size, BLOCK_BYTES)) !== undefined;
}

/** Writes the first `size` bytes to the same file's same places, in multiples of `unit`: the last one filled up with zeros. */
function rewrite(source: number, target: number, size: number, unit: number): true {
  // One that may be resized begins at a page of memory, as direct writes want it.
  const piece = new Uint8Array(new ArrayBuffer(PIECE_BYTES, { maxByteLength: PIECE_BYTES }));
  for (let position = 0; position < size; position += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, size - position);
    transfer(length, (from, count) => readSync(source, piece, from, count, position + from));
    const padded = Math.ceil(length / unit) * unit;
    piece.fill(0, length, padded);
    transfer(padded, (from, count) => writeSync(target, piece, from, count, position + from));
  }
  return true;
}

/** Repeats `step`, which says how much it did, until all is done. */
function transfer(length: number, step: (from: number, count: number) => number): void {
  for (let done = 0; done < length;) {
    const count = step(done, length - done);
    if (count === 0) throw new Error('it became shorter meanwhile');
    done += count;
  }
}

/** Undefined when opening or `work` fails with one of the `expected` codes. */
function withFile<T>(path: string, flags: number, expected: readonly string[], work: (descriptor: number) => T): T | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, flags);
    return work(descriptor);
  } catch (error) {
    if (expected.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  } finally {
    // POSIX drops all locks that a process has on a file with any of its descriptors. SQLite keeps none on the log.
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
