// The fingerprint of a transfer's body: how a gateway and a bank see that one id is used for two different payments.

import { hash } from 'node:crypto';
import type { Fingerprint, TransferBody } from './protocol/vocabulary.ts';

/** The first 16 bytes of SHA-256 over the body's fields as a JSON array, in hex. Equal bodies have equal fingerprints. */
export function fingerprintOf(body: TransferBody): Fingerprint {
  return writeFingerprint(body, draft);
}

/** As `fingerprintOf`, and writes the same 16 bytes into `bytes`. */
export function writeFingerprint(body: TransferBody, bytes: Uint8Array): Fingerprint {
  const { from, to, currency, amountMinor, memo } = body;
  const canonical = JSON.stringify([from.bank, from.account, to.bank, to.account, currency, amountMinor.toString(), memo]);
  // As text, a character a byte: that is made in a third of the time of a buffer. And put together digit by digit, because a piece of a longer
  // text keeps all of it alive, here as long as the payment.
  const digest = hash('sha256', canonical, 'binary');
  for (let index = 0; index < 16; index += 1) bytes[index] = digest.charCodeAt(index);
  const high = (index: number): number => HIGH[bytes[index]!]!;
  const low = (index: number): number => LOW[bytes[index]!]!;
  return String.fromCharCode(
    high(0), low(0), high(1), low(1), high(2), low(2), high(3), low(3), high(4), low(4), high(5), low(5), high(6), low(6), high(7), low(7),
    high(8), low(8), high(9), low(9), high(10), low(10), high(11), low(11), high(12), low(12), high(13), low(13), high(14), low(14), high(15), low(15),
  );
}

const draft = new Uint8Array(16);

/** The character codes of a byte's two hexadecimal digits. */
const HIGH = Uint8Array.from({ length: 256 }, (_, byte) => '0123456789abcdef'.charCodeAt(byte >> 4));
const LOW = Uint8Array.from({ length: 256 }, (_, byte) => '0123456789abcdef'.charCodeAt(byte & 15));
