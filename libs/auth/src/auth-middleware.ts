// Server middleware that lets only calls with a valid session token through, and tells the handlers who calls.

import type { CallContext } from 'nice-grpc-common';
import { AuthError } from './auth-error.ts';
import type { Revocations } from './revocations.ts';
import { isSessionRevoked } from './session-revocation.ts';
import type { Session, SessionTokens } from './session-tokens.ts';
import { TOKEN_BYTES_MAX } from './signed-tokens.ts';

/** What the middleware adds to the call context. Absent on public methods and on services that are not protected. */
export interface SessionContext {
  session: Session;
}

/** Returns what to add to the context of a call, at once where the token is known; nothing for a method that is open to all. */
export type AuthMiddleware = (path: string, context: Pick<CallContext, 'metadata'>) => SessionContext | undefined | Promise<SessionContext>;

/**
 * Makes the middleware. On a method of `services` that is not in `publicMethods`, the call must carry exactly one
 * `authorization: Bearer <token>` with a token that verifies and is not revoked; otherwise it throws, or rejects with, the error that `refuse`
 * makes. Revocations are asked on every call, also for remembered tokens.
 */
export function createAuthMiddleware({ tokens, revocations, publicMethods, services, refuse }: {
  tokens: Pick<SessionTokens, 'verify' | 'verifyCached'>;
  revocations: Pick<Revocations, 'isRevoked'>;
  /** Full method paths, such as `/strife.gateway.v1.SessionService/Login`. */
  publicMethods: ReadonlySet<string>;
  /** Full service names, such as `strife.gateway.v1.TransferService`. Others pass through: they have their own protection. */
  services: ReadonlySet<string>;
  /** Turns the refusal into the transport's error. */
  refuse: (error: AuthError) => Error;
}): AuthMiddleware {
  const isProtected = (path: string): boolean => !publicMethods.has(path) && services.has(path.slice(1, path.lastIndexOf('/')));

  function unlessRevoked(session: Session): SessionContext {
    if (isSessionRevoked(revocations, session)) throw refuse(new AuthError('TOKEN_REVOKED'));
    return { session };
  }

  async function verify(header: string | undefined, more: number): Promise<SessionContext> {
    let session: Session;
    try {
      session = await tokens.verify(bearerToken(header, more));
    } catch (error) {
      throw error instanceof AuthError ? refuse(error) : error;
    }
    return unlessRevoked(session);
  }

  return (path, { metadata }) => {
    if (!isProtected(path)) return undefined;
    const [header, ...more] = metadata.getAll('authorization');
    // Nearly all calls: as clients write it, with a token that was seen before, which has no blank or comma in it.
    const known = header?.startsWith('Bearer ') === true && more.length === 0 ? tokens.verifyCached(header.slice('Bearer '.length)) : undefined;
    return known === undefined ? verify(header, more.length) : unlessRevoked(known);
  };
}

/** RFC 6750 section 2.1; the scheme's case does not matter (RFC 9110 section 11.1). */
function bearerToken(header: string | undefined, more: number): string {
  if (header === undefined) throw new AuthError('TOKEN_MISSING');
  // nice-grpc joins repeated headers with commas, which no token contains.
  if (more > 0 || header.includes(',')) throw new AuthError('TOKEN_MALFORMED', 'authorization: sent more than once; send one "Bearer <token>"');
  if (header.length > TOKEN_BYTES_MAX) throw new AuthError('TOKEN_MALFORMED', `authorization: longer than ${TOKEN_BYTES_MAX} bytes; send the token that Login returned`);
  const token = /^bearer +(\S+)$/i.exec(header)?.[1];
  if (token === undefined) throw new AuthError('TOKEN_MALFORMED');
  return token;
}
