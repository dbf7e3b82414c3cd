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

/** The context of every handler and of the middleware given to `createServiceServer`. Much of it is only made when it is asked for: it is not to be copied. */
export type ServiceContext = Omit<CallContext, 'peer'> & CallIdentity & TerminatorContext;

/**
 * Runs when a caller is let through, before its request is read. Returns what the handlers find in their context too, or nothing; throws to refuse the
 * call.
 *
 * @param path Of the method, such as `/strife.bank.v1.ParticipantService/Prepare`.
 */
export type ContextMiddleware<Ext> = (path: string, context: ServiceContext) => Ext | undefined | Promise<Ext | undefined>;
