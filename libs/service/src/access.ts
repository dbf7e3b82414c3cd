// Who may call a service, by the role in the certificate.
import { Status } from 'nice-grpc-common';
import { rpcError } from './errors.ts';
import type { PeerIdentity, Role } from './identity.ts';
import type { IntentionGate } from './intentions.ts';
import type { Peer } from './verified-peer.ts';

/** Roles; `peer` is any verified identity, `certificate` any certificate of the authority, with or without an identity. */
export type Access = readonly Role[] | 'peer' | 'certificate';

export const NOBODY: PeerIdentity = { uri: '', trustDomain: '', role: 'client', name: '' };

/** @throws RichServerError UNAUTHENTICATED or PERMISSION_DENIED */
export function admit(service: string, access: Access, { verified, shown }: Peer): PeerIdentity {
  const identity = verified?.identity;
  if (access === 'certificate') return identity ?? NOBODY;
  if (identity === undefined) {
    throw rpcError({
      code: Status.UNAUTHENTICATED,
      message: `the client certificate does not say who calls (${shown})`,
      reason: 'PEER_NOT_IDENTIFIED',
      outcome: 'not_applied',
      retryable: false,
    });
  }
  if (access === 'peer' || access.includes(identity.role)) return identity;
  throw rpcError({
    code: Status.PERMISSION_DENIED,
    message: `${service} is closed to the role ${identity.role}`,
    reason: 'ROLE_NOT_ALLOWED',
    outcome: 'not_applied',
    retryable: false,
  });
}

/**
 * Asks the intentions about a caller that the table lists by its role; undefined when there is nothing to ask.
 *
 * @throws what the gate throws
 */
export function askIntentions(gate: IntentionGate | undefined, access: Access, { verified }: Peer): Promise<void> | undefined {
  return gate === undefined || verified === undefined || typeof access === 'string' ? undefined : gate.admit(verified);
}
