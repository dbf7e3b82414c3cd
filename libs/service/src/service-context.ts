// What a handler knows about its call.
import type { CallContext } from 'nice-grpc-common';
import type { PeerIdentity } from './identity.ts';
import type { TerminatorContext } from './terminator.ts';

/** What a Strife server adds to nice-grpc's call context; it takes the place of its `peer`, a network address. */
export interface CallIdentity {
  /** Verified by the TLS handshake and the access table. */
  readonly peer: PeerIdentity;
  /** The caller's `x-request-id`, or one made here; the caller gets it back in the trailing metadata. */
  readonly requestId: string;
}

/** The context of every handler and of the middleware given to `createServiceServer`. */
export type ServiceContext = Omit<CallContext, 'peer'> & CallIdentity & TerminatorContext;
