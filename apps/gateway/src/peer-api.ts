// strife.gateway.v1.PeerService: takes in what other gateways revoked, and lists what this one knows. Gateways only.

import type { Revocations } from '@strife/auth';
import type { SqliteDecisionLog } from '@strife/storage';
import type { PeerServiceImplementation, Revocation } from '@strife/stubs/gateway';
import { invalidArgument, toRpcError } from './failures.ts';
import { revocationFromWire, revocationToWire } from './revocation-wire.ts';

const REVOKED_AT_ONCE_MAX = 1000;
const PAGE_ROWS = 5000;
const TEXT_CHARACTERS_MAX = 256;

export interface PeerApiOptions {
  readonly revocations: Pick<Revocations, 'learn'>;
  readonly log: Pick<SqliteDecisionLog, 'logId' | 'revocations'>;
}

export function createPeerApi({ revocations, log }: PeerApiOptions): PeerServiceImplementation {
  return {
    async revoke({ revocations: revoked }) {
      if (revoked.length === 0 || revoked.length > REVOKED_AT_ONCE_MAX) {
        throw toRpcError(invalidArgument('revocations', 'BATCH_SIZE', `must be 1 to ${REVOKED_AT_ONCE_MAX}, not ${revoked.length}`));
      }
      revoked.forEach(checkRevocation);
      await revocations.learn(revoked.map(revocationFromWire));
      return {};
    },

    async listRevocations({ logId, afterSeq }) {
      const { lastSeq, after } = log.revocations;
      // Another store, or this one brought back from a backup: what was asked for has no meaning here.
      const from = logId === log.logId && afterSeq >= 0n && afterSeq <= BigInt(lastSeq()) ? Number(afterSeq) : 0;
      const rows = after(from, PAGE_ROWS);
      return {
        logId: log.logId,
        revocations: rows.map(revocationToWire),
        lastSeq: BigInt(rows.at(-1)?.seq ?? from),
        more: rows.length === PAGE_ROWS,
      };
    },
  };
}

function checkRevocation({ issuer, jti, expiresAtUnixMs }: Revocation, index: number): void {
  for (const [field, text] of [['issuer', issuer], ['jti', jti]] as const) {
    if (text !== '' && text.length <= TEXT_CHARACTERS_MAX) continue;
    throw toRpcError(invalidArgument(`revocations[${index}].${field}`, 'MALFORMED_REVOCATION', `must have 1 to ${TEXT_CHARACTERS_MAX} characters`));
  }
  if (expiresAtUnixMs <= 0n || expiresAtUnixMs > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw toRpcError(invalidArgument(`revocations[${index}].expires_at_unix_ms`, 'MALFORMED_REVOCATION', 'must be a time'));
  }
}
