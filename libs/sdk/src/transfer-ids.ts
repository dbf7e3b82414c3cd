// Ids of new payments: UUIDv7. Randomness is drawn for many at once, and each text is written at once: done for each id anew, the two were
// over a third of what the SDK spent on a payment of a batch.

import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

const POOL_BYTES = 4096;
/** The most that an id takes of the pool: its own random bytes, and those of the count. */
const POOL_BYTES_PER_ID = 10;
/** Of the 16 that are asked for, only the last are in an id whose time and count are given. */
const RANDOM_BYTES = 6;
const COUNT_MAX = 2 ** 32 - 1;

const pool = new DataView(new ArrayBuffer(POOL_BYTES));
let poolAt = POOL_BYTES;
/** The time of the last id, and its number among those of that time. */
let lastMs = 0;
let count = 0;

const random = new Uint8Array(16);
const bytes = new Uint8Array(16);

/**
 * A new transfer id, for callers that save it before they pay: a UUIDv7. Each is above the one before it, also within a millisecond and
 * when the clock is set back (RFC 9562, section 6.2): a store appends such ids, where it would have to find a place for others.
 */
export function newTransferId(): string {
  if (poolAt + POOL_BYTES_PER_ID > POOL_BYTES) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const nowMs = Date.now();
  if (nowMs > lastMs || count === COUNT_MAX) {
    lastMs = Math.max(nowMs, lastMs + 1);
    // Begins in the lower half, so that there are numbers left.
    count = pool.getUint32(poolAt) >>> 1;
    poolAt += 4;
  } else {
    count += 1;
  }
  for (let index = random.length - RANDOM_BYTES; index < random.length; index += 1) random[index] = pool.getUint8(poolAt++);
  return textOf(uuidv7({ msecs: lastMs, seq: count, random }, bytes));
}

const DASH = 0x2d;
/** The character codes of a byte's two digits. */
const HIGH = Uint8Array.from({ length: 256 }, (_, byte) => '0123456789abcdef'.charCodeAt(byte >> 4));
const LOW = Uint8Array.from({ length: 256 }, (_, byte) => '0123456789abcdef'.charCodeAt(byte & 15));

/** The canonical form (RFC 9562, section 4). */
function textOf(id: Uint8Array): string {
  const high = (index: number): number => HIGH[id[index]!]!;
  const low = (index: number): number => LOW[id[index]!]!;
  return String.fromCharCode(
    high(0), low(0), high(1), low(1), high(2), low(2), high(3), low(3), DASH, high(4), low(4), high(5), low(5), DASH,
    high(6), low(6), high(7), low(7), DASH, high(8), low(8), high(9), low(9), DASH,
    high(10), low(10), high(11), low(11), high(12), low(12), high(13), low(13), high(14), low(14), high(15), low(15),
  );
}
