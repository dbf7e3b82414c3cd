// How identifiers, decline reasons and memos look in messages between servers.

import { DeclineReason } from '@strife/stubs/type';

/** The wire's decline reasons by their names in the ledger. */
const declineReasons = {
  insufficient_funds: DeclineReason.INSUFFICIENT_FUNDS,
  no_such_payer: DeclineReason.NO_SUCH_PAYER,
  no_such_payee: DeclineReason.NO_SUCH_PAYEE,
  payer_frozen: DeclineReason.PAYER_FROZEN,
  payee_frozen: DeclineReason.PAYEE_FROZEN,
  payer_currency: DeclineReason.PAYER_CURRENCY,
  payee_currency: DeclineReason.PAYEE_CURRENCY,
  limit_exceeded: DeclineReason.LIMIT_EXCEEDED,
  expired: DeclineReason.EXPIRED,
} as const;

const declineReasonNames = new Map<DeclineReason, keyof typeof declineReasons>(
  Object.entries(declineReasons).map(([name, reason]) => [reason, name as keyof typeof declineReasons]),
);

/** @throws {RangeError} for a reason that has no place on the wire. */
export function declineReasonToWire(name: string): DeclineReason {
  const reason = declineReasons[name as keyof typeof declineReasons];
  if (reason === undefined) throw new RangeError(`no decline reason is called ${name}`);
  return reason;
}

/** The ledger's name of the reason, or undefined for UNSPECIFIED and for reasons of a newer peer. */
export function declineReasonFromWire(reason: DeclineReason): keyof typeof declineReasons | undefined {
  return declineReasonNames.get(reason);
}

/** What a payee may know of why a payment was declined: what is about the payee. Anything else is between the payer and its bank: UNSPECIFIED. */
export function declineReasonForPayee(reason: DeclineReason): DeclineReason {
  return reasonsForPayee.has(reason) ? reason : DeclineReason.UNSPECIFIED;
}

const reasonsForPayee: ReadonlySet<DeclineReason> = new Set<DeclineReason>([
  DeclineReason.NO_SUCH_PAYEE, DeclineReason.PAYEE_FROZEN, DeclineReason.PAYEE_CURRENCY, DeclineReason.LIMIT_EXCEEDED,
]);

/** The canonical lower-case form of a UUID of any version, or undefined when the text is not one (RFC 9562, section 4). */
export function parseTransferId(text: string): string | undefined {
  return readTransferId(text, draft);
}

const draft = new Uint8Array(16);

/** As `parseTransferId`, and writes the 16 bytes of the id into `bytes`, all in one pass; anything, where the text is no id. */
export function readTransferId(text: string, bytes: Uint8Array): string | undefined {
  if (text.length !== 36) return undefined;
  let seen = 0;
  let common = LOWER_CASE;
  let at = 0;
  for (let index = 0; index < 16; index += 1) {
    if (index === 4 || index === 6 || index === 8 || index === 10) {
      if (text.charCodeAt(at) !== DASH) return undefined;
      at += 1;
    }
    const one = text.charCodeAt(at);
    const other = text.charCodeAt(at + 1);
    const high = DIGITS[one] ?? NO_DIGIT;
    const low = DIGITS[other] ?? NO_DIGIT;
    seen |= high | low;
    common &= one & other;
    bytes[index] = (high << 4) | low;
    at += 2;
  }
  if (seen >= NO_DIGIT) return undefined;
  return common === LOWER_CASE ? text : text.toLowerCase();
}

/** 16 bytes of a canonical UUID. */
export function transferIdToWire(id: string): Buffer {
  const bytes = Buffer.allocUnsafe(16);
  let at = 0;
  for (let index = 0; index < 16; index += 1) {
    if (id.charCodeAt(at) === DASH) at += 1;
    bytes[index] = (digitAt(id, at) << 4) | digitAt(id, at + 1);
    at += 2;
  }
  return bytes;
}

/** @throws {RangeError} unless there are exactly 16 bytes. */
export function transferIdFromWire(bytes: Uint8Array): string {
  requireSixteen(bytes);
  const high = (index: number): number => HIGH[bytes[index]!]!;
  const low = (index: number): number => LOW[bytes[index]!]!;
  return String.fromCharCode(
    high(0), low(0), high(1), low(1), high(2), low(2), high(3), low(3), DASH, high(4), low(4), high(5), low(5), DASH,
    high(6), low(6), high(7), low(7), DASH, high(8), low(8), high(9), low(9), DASH,
    high(10), low(10), high(11), low(11), high(12), low(12), high(13), low(13), high(14), low(14), high(15), low(15),
  );
}

export function fingerprintToWire(fingerprint: string): Buffer {
  return Buffer.from(fingerprint, 'hex');
}

/** @throws {RangeError} unless there are exactly 16 bytes. */
export function fingerprintFromWire(bytes: Uint8Array): string {
  requireSixteen(bytes);
  const high = (index: number): number => HIGH[bytes[index]!]!;
  const low = (index: number): number => LOW[bytes[index]!]!;
  return String.fromCharCode(
    high(0), low(0), high(1), low(1), high(2), low(2), high(3), low(3), high(4), low(4), high(5), low(5), high(6), low(6), high(7), low(7),
    high(8), low(8), high(9), low(9), high(10), low(10), high(11), low(11), high(12), low(12), high(13), low(13), high(14), low(14), high(15), low(15),
  );
}

function requireSixteen(bytes: Uint8Array): void {
  if (bytes.length !== 16) throw new RangeError(`expected 16 bytes, got ${bytes.length}`);
}

const DASH = 0x2d;

/**
 * The character codes of a byte's two hexadecimal digits. By hand, here and in `digitAt`: it happens several times a payment, and a text that
 * is written at once costs a tenth of what a buffer's hexadecimal text costs that is cut and put together again.
 */
const HIGH = Uint8Array.from({ length: 256 }, (_, byte) => '0123456789abcdef'.charCodeAt(byte >> 4));
const LOW = Uint8Array.from({ length: 256 }, (_, byte) => '0123456789abcdef'.charCodeAt(byte & 15));

const NO_DIGIT = 0x80;
/** What a hexadecimal digit stands for, in either case, by its character code up to 127. */
const DIGITS = new Uint8Array(128).fill(NO_DIGIT);
for (let value = 0; value < 16; value += 1) {
  const digit = value.toString(16);
  DIGITS[digit.charCodeAt(0)] = value;
  DIGITS[digit.toUpperCase().charCodeAt(0)] = value;
}

/** The bit that all digits have but for A to F. */
const LOWER_CASE = 0x20;

/** What a lower-case hexadecimal digit stands for. */
function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 0x3a ? code - 0x30 : code - 0x57;
}

/** The last moment that a date can name (ECMA-262, time values). */
export const UNIX_MS_MAX = 8_640_000_000_000_000n;

/** Names of banks and accounts. */
export const namePattern = /^[a-z0-9][a-z0-9._-]{0,62}$/;
export const nameRule = 'must be 1 to 63 of a-z, 0-9, ".", "_" and "-"';

/** What a client makes up for a request that may be sent again. */
export const requestIdPattern = /^[\w-]{16,64}$/;
export const requestIdRule = 'must be 16 to 64 of A-Z, a-z, 0-9, "_" and "-"';

/** The name of a decision log: its gateway's name, a dot, and what makes it unique. */
const logIdPattern = /^([a-z0-9][a-z0-9-]{0,62})\.[a-z0-9-]{1,64}$/;

/** The gateway that owns the log, or undefined when the text is not the name of a log. */
export function gatewayOfLog(logId: string): string | undefined {
  return logIdPattern.exec(logId)?.[1];
}

export const MEMO_CHARACTERS_MAX = 140;

/** Whether the memo is short enough, in characters as people count them: Unicode code points, of one or two units each. */
export function memoFits(memo: string): boolean {
  // Most need no counting, and one of megabytes is not worth it.
  if (memo.length <= MEMO_CHARACTERS_MAX || memo.length > 2 * MEMO_CHARACTERS_MAX) return memo.length <= MEMO_CHARACTERS_MAX;
  return [...memo].length <= MEMO_CHARACTERS_MAX;
}
