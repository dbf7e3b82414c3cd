// The fingerprint of a transfer's body: how a gateway and a bank see that one id is used for two different payments.

import { hash } from 'node:crypto';
import type { Fingerprint, TransferBody } from './protocol/vocabulary.ts';

/** The first 16 bytes of SHA-256 over the body's fields as a JSON array, in hex. Equal bodies have equal fingerprints. */
export function fingerprintOf(body: TransferBody): Fingerprint {
  const { from, to, currency, amountMinor, memo } = body;
  const canonical = JSON.stringify([from.bank, from.account, to.bank, to.account, currency, amountMinor.toString(), memo]);
  return hash('sha256', canonical, 'hex').slice(0, 32);
}
