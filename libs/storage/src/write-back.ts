// Writes parts of a file back to their places, the same bytes, and syncs it: then what a read gives is what the disk holds.
//
// After a failed sync Linux takes the pages that it could not write for clean: they are still read back from memory, but no later sync writes
// them. Writing them again makes them dirty again. Where the file grew, that must be a direct write, past memory: see `rewriteDirectly`.

import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { StoreError } from './store-error.ts';

/** The bytes of a file from `from` up to, and without, `to`. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/**
 * How the end of the file was written: `ordinary` where the file system has no direct writes, as some in memory or over a network, or refuses ours,
 * and where no stretch was at the end; `nothing` when there was no stretch, or no file.
 */
export type WrittenBack = 'nothing' | 'ordinary' | 'direct';

const PIECE_BYTES = 1024 * 1024;
/** What direct writes come in: a multiple of every disk's blocks. */
const BLOCK_BYTES = 4096;

/**
 * Writes the stretches back that `stretchesOf` names for a file of `size` bytes, in ascending order, each at most up to its end, and syncs the file. The
 * one that reaches the end is written directly, where the file system can: only there can the file have grown.
 *
 * The file keeps its bytes and its size, so that neither a crash half-way nor a reader notices; but a power cut half-way may leave up to a block of
 * zeros after its end. Call as the only one who writes it. POSIX drops all locks that a process has on a file with any of its descriptors, so
 * nobody in this process may have a database open that is this file.
 *
 * @throws StoreError that names the file, which cannot be read, written or synced; doing it again is safe
 */
export function writeBack(path: string, stretchesOf: (size: number) => Iterable<Stretch>): WrittenBack {
  try {
    return withFile(path, constants.O_RDWR, ['ENOENT'], (file) => writeStretches(path, file, stretchesOf)) ?? 'nothing';
  } catch (error) {
    throw new StoreError(path, `cannot be written back to the disk, so what it holds is not safe: ${(error as Error).message}`, { cause: error });
  }
}

/** Undefined when opening or `work` fails with one of the `expected` codes. */
export function withFile<T>(path: string, flags: number, expected: readonly string[], work: (descriptor: number) => T): T | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, flags);
    return work(descriptor);
  } catch (error) {
    if (expected.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function writeStretches(path: string, file: number, stretchesOf: (size: number) => Iterable<Stretch>): WrittenBack {
  const { size } = fstatSync(file);
  // One that may be resized begins at a page of memory, as direct writes want it.
  const piece = new Uint8Array(new ArrayBuffer(PIECE_BYTES, { maxByteLength: PIECE_BYTES }));
  let written: WrittenBack = 'nothing';
  for (const { from, to } of stretchesOf(size)) {
    written = 'ordinary';
    // The block that a stretch begins in may hold other bytes before it: then it was on the disk before the file grew.
    const direct = to === size ? Math.min(roundUp(from), size) : to;
    rewrite(file, file, { from, to: direct }, piece, 1);
    if (direct === to) continue;
    const rest = { from: direct, to };
    if (rewriteDirectly(path, file, rest, piece)) written = 'direct';
    else rewrite(file, file, rest, piece, 1);
  }
  if (written !== 'nothing') fsyncSync(file);
  return written;
}

/**
 * False where the file system has no direct writes, or refuses these.
 *
 * ext4 keeps a new block as unwritten when its first write fails, and a later write of the same page in memory does not change that, so that the block
 * would read as zeros after a power cut. A direct write looks at the block itself.
 */
function rewriteDirectly(path: string, file: number, stretch: Stretch, piece: Uint8Array): boolean {
  // Not of every system.
  const direct = constants.O_DIRECT as number | undefined;
  if (direct === undefined) return false;
  try {
    return withFile(path, constants.O_RDWR | direct, ['EINVAL'], (target) => rewrite(file, target, stretch, piece, BLOCK_BYTES)) !== undefined;
  } finally {
    // The last block was filled up with zeros. A crash may leave them there: to SQLite they are part of neither a log nor a database.
    ftruncateSync(file, stretch.to);
  }
}

/** Writes a stretch to the same file's same place, in multiples of `unit`: the last one filled up with zeros. */
function rewrite(source: number, target: number, { from, to }: Stretch, piece: Uint8Array, unit: number): true {
  for (let position = from; position < to; position += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, to - position);
    transfer(length, (done, count) => readSync(source, piece, done, count, position + done));
    const padded = Math.ceil(length / unit) * unit;
    piece.fill(0, length, padded);
    transfer(padded, (done, count) => writeSync(target, piece, done, count, position + done));
  }
  return true;
}

/** Repeats `step`, which says how much it did, until all is done. */
function transfer(length: number, step: (done: number, count: number) => number): void {
  for (let done = 0; done < length;) {
    const count = step(done, length - done);
    if (count === 0) throw new Error('it became shorter meanwhile');
    done += count;
  }
}

function roundUp(position: number): number {
  return Math.ceil(position / BLOCK_BYTES) * BLOCK_BYTES;
}
