// UUIDs and fingerprints as the stores keep them: 16 bytes.

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether the text is a UUID in canonical lower-case form. */
export function isId(text: string): boolean {
  return UUID.test(text);
}

/** A canonical lower-case UUID as 16 bytes. Throws RangeError for anything else: one id must have one spelling. */
export function idToBlob(id: string): Buffer {
  if (!isId(id)) throw new RangeError(`not a UUID in canonical form: ${JSON.stringify(id.slice(0, 50))}`);
  return hexToBlob(id.slice(0, 8) + id.slice(9, 13) + id.slice(14, 18) + id.slice(19, 23) + id.slice(24));
}

/** 16 bytes as a canonical lower-case UUID. */
export function blobToId(blob: Uint8Array): string {
  const hex = blobToHex(blob);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** 32 hex digits as 16 bytes. Throws RangeError for anything else. */
export function hexToBlob(hex: string): Buffer {
  const blob = Buffer.from(hex, 'hex');
  if (blob.length !== 16 || hex.length !== 32) throw new RangeError(`not 16 bytes in hexadecimal: ${JSON.stringify(hex.slice(0, 50))}`);
  return blob;
}

export function blobToHex(blob: Uint8Array): string {
  return Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength).toString('hex');
}
