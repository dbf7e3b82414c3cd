// Revocations between gateways, as messages.

import type { RevocationRow } from '@strife/auth';
import type { Revocation } from '@strife/stubs/gateway';

export function revocationToWire({ issuer, jti, expiresAtMs }: RevocationRow): Revocation {
  return { issuer, jti, expiresAtUnixMs: BigInt(expiresAtMs) };
}

export function revocationFromWire({ issuer, jti, expiresAtUnixMs }: Revocation): RevocationRow {
  return { issuer, jti, expiresAtMs: Number(expiresAtUnixMs) };
}
