// UUIDs and fingerprints as the stores keep them: 16 bytes. Converted by hand, digit by digit: it happens several times a payment, and
// takes half the time of regular expressions and slices.

const ID_CHARS = 36;
const HEX_CHARS = 32;
const BYTES = 16;
const DASH = 0x2d;
/** No hexadecimal digit. */
const NONE = 0x80;

const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
/** What a digit stands for, by its character code up to 127. */
const VALUES = new Uint8Array(128).fill(NONE);
DIGITS.forEach((code, value) => (VALUES[code] = value));

/** Whether the text is a UUID in canonical lower-case form. */
export function isId(text: string): boolean {
  return writeBytesOfId(text, draft);
}

/** A canonical lower-case UUID as 16 bytes. Throws RangeError for anything else: one id must have one spelling. */
export function idToBlob(id: string): Buffer {
  const blob = Buffer.allocUnsafe(BYTES);
  writeId(id, blob);
  return blob;
}

/** As `idToBlob`, into a blob of 16 bytes: for statements, which copy what they are given, and for ids that are kept. */
export function writeId(id: string, blob: Uint8Array): void {
  if (!writeBytesOfId(id, blob)) throw new RangeError(`not a UUID in canonical form: ${JSON.stringify(id.slice(0, 50))}`);
}

/** 16 bytes as a canonical lower-case UUID. */
export function blobToId(blob: Uint8Array): string {
  let at = 0;
  for (let index = 0; index < BYTES; index += 1) {
    if (startsGroup(index)) draft[at++] = DASH;
    const byte = blob[index]!;
    draft[at++] = DIGITS[byte >> 4]!;
    draft[at++] = DIGITS[byte & 15]!;
  }
  return draft.toString('latin1');
}

/** 32 hex digits as 16 bytes. Throws RangeError for anything else. */
export function hexToBlob(hex: string): Buffer {
  const blob = Buffer.allocUnsafe(BYTES);
  writeHex(hex, blob);
  return blob;
}

/** As `hexToBlob`, into a blob of 16 bytes. */
export function writeHex(hex: string, blob: Uint8Array): void {
  let seen = 0;
  for (let index = 0; index < BYTES; index += 1) {
    const high = digitAt(hex, 2 * index);
    const low = digitAt(hex, 2 * index + 1);
    seen |= high | low;
    blob[index] = (high << 4) | low;
  }
  if (seen >= NONE || hex.length !== HEX_CHARS) throw new RangeError(`not 16 bytes in hexadecimal: ${JSON.stringify(hex.slice(0, 50))}`);
}

export function blobToHex(blob: Uint8Array): string {
  return Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength).toString('hex');
}

/** Where texts are put together and tried. */
const draft = Buffer.alloc(ID_CHARS);

/** False, and anything in `blob`, for a text that is no canonical UUID. */
function writeBytesOfId(id: string, blob: Uint8Array): boolean {
  if (id.length !== ID_CHARS) return false;
  let seen = 0;
  let at = 0;
  for (let index = 0; index < BYTES; index += 1) {
    if (startsGroup(index) && id.charCodeAt(at++) !== DASH) return false;
    const high = digitAt(id, at++);
    const low = digitAt(id, at++);
    seen |= high | low;
    blob[index] = (high << 4) | low;
  }
  return seen < NONE;
}

/** Whether a dash stands before this byte (RFC 9562, section 4). */
function startsGroup(index: number): boolean {
  return index === 4 || index === 6 || index === 8 || index === 10;
}

function digitAt(text: string, at: number): number {
  return VALUES[text.charCodeAt(at)] ?? NONE;
}
