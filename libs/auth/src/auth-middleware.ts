// Server middleware that lets only calls with a valid session token through, and tells the handlers who calls.

import type { CallContext, ServerMiddleware, ServerMiddlewareCall } from 'nice-grpc-common';
import { AuthError } from './auth-error.ts';
import type { Revocations } from './revocations.ts';
import { isSessionRevoked } from './session-revocation.ts';
import type { Session, SessionTokens } from './session-tokens.ts';
import { TOKEN_BYTES_MAX } from './signed-tokens.ts';

/** What the middleware adds to the call context. Absent on public methods and on services that are not protected. */
export interface SessionContext {
  session: Session;
}

/**
 * Makes the middleware. On a method of `services` that is not in `publicMethods`, the call must carry exactly one
 * `authorization: Bearer <token>` with a token that verifies and is not revoked; otherwise the handler is not reached and the
 * call ends with the error that `refuse` makes. Revocations are asked on every call, also for remembered tokens.
 */
export function createAuthMiddleware({ tokens, revocations, publicMethods, services, refuse }: {
  tokens: Pick<SessionTokens, 'verify'>;
  revocations: Pick<Revocations, 'isRevoked'>;
  /** Full method paths, such as `/strife.gateway.v1.SessionService/Login`. */
  publicMethods: ReadonlySet<string>;
  /** Full service names, such as `strife.gateway.v1.TransferService`. Others pass through: they have their own protection. */
  services: ReadonlySet<string>;
  /** Turns the refusal into the transport's error. */
  refuse: (error: AuthError) => Error;
}): ServerMiddleware<SessionContext> {
  async function authenticate(context: CallContext): Promise<Session> {
    try {
      const session = await tokens.verify(bearerToken(context));
      if (isSessionRevoked(revocations, session)) throw new AuthError('TOKEN_REVOKED');
      return session;
    } catch (error) {
      throw error instanceof AuthError ? refuse(error) : error;
    }
  }

  return async function* authMiddleware<Request, Response>(
    call: ServerMiddlewareCall<Request, Response, SessionContext>,
    context: CallContext,
  ) {
    const { path } = call.method;
    const isProtected = services.has(path.slice(1, path.lastIndexOf('/'))) && !publicMethods.has(path);
    // On the other methods there is no session, which the type of nice-grpc's chain cannot tell.
    const next = isProtected ? { ...context, session: await authenticate(context) } : context as CallContext & SessionContext;
    return yield* call.next(call.request, next);
  };
}

/** RFC 6750 section 2.1; the scheme's case does not matter (RFC 9110 section 11.1). */
function bearerToken({ metadata }: CallContext): string {
  const [header, ...more] = metadata.getAll('authorization');
  if (header === undefined) throw new AuthError('TOKEN_MISSING');
  // nice-grpc joins repeated headers with commas, which no token contains.
  if (more.length > 0 || header.includes(',')) throw new AuthError('TOKEN_MALFORMED', 'authorization: sent more than once; send one "Bearer <token>"');
  if (header.length > TOKEN_BYTES_MAX) throw new AuthError('TOKEN_MALFORMED', `authorization: longer than ${TOKEN_BYTES_MAX} bytes; send the token that Login returned`);
  const token = /^bearer +(\S+)$/i.exec(header)?.[1];
  if (token === undefined) throw new AuthError('TOKEN_MALFORMED');
  return token;
}
