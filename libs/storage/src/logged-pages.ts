// Which pages of a database its write-ahead log holds: SQLite's file format, "The Write-Ahead Log".

import { constants, fstatSync, readSync } from 'node:fs';
import { withFile } from './write-back.ts';

export interface LoggedPages {
  readonly pageBytes: number;
  /** Their numbers, from 1 on, in ascending order; a page that was written again is there again. */
  readonly pages: Uint32Array;
}

/** Without its last bit, which says in what order of bytes the checksums were made. */
const MAGIC = 0x377f0682;
const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const SALT_BYTES = 8;
const PIECE_BYTES = 1024 * 1024;

/**
 * The pages of all commits in `log`, up to the first frame that is of an older log in the same file; none when it is missing or no log. SQLite does not
 * take what has a wrong checksum; that is not looked at here, so a commit that a crash cut off may count. Takes 4 bytes of memory a frame.
 */
export function loggedPages(log: string): LoggedPages {
  return withFile(log, constants.O_RDONLY, ['ENOENT'], readPages) ?? NONE;
}

const NONE: LoggedPages = { pageBytes: 0, pages: new Uint32Array() };

function readPages(file: number): LoggedPages {
  const header = Buffer.alloc(HEADER_BYTES);
  if (readSync(file, header, 0, HEADER_BYTES, 0) < HEADER_BYTES) return NONE;
  const pageBytes = header.readUInt32BE(8);
  const isPageSize = pageBytes >= 512 && pageBytes <= 65536 && (pageBytes & (pageBytes - 1)) === 0;
  if (header.readUInt32BE(0) >>> 1 !== MAGIC >>> 1 || !isPageSize) return NONE;
  const salt = header.subarray(16, 16 + SALT_BYTES);
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  const piece = Buffer.alloc(Math.floor(PIECE_BYTES / frameBytes) * frameBytes);
  const pages = new Uint32Array(Math.max(0, Math.floor((fstatSync(file).size - HEADER_BYTES) / frameBytes)));
  let frames = 0;
  let committed = 0;
  while (frames < pages.length) {
    const length = readSync(file, piece, 0, piece.length, HEADER_BYTES + frames * frameBytes);
    const end = Math.min(frames + Math.floor(length / frameBytes), pages.length);
    if (end === frames) break;
    for (let at = 0; frames < end; at += frameBytes) {
      const page = piece.readUInt32BE(at);
      if (page === 0 || salt.compare(piece, at + 8, at + 8 + SALT_BYTES) !== 0) return { pageBytes, pages: pages.subarray(0, committed).sort() };
      pages[frames] = page;
      frames += 1;
      if (piece.readUInt32BE(at + 4) !== 0) committed = frames;
    }
  }
  return { pageBytes, pages: pages.subarray(0, committed).sort() };
}
