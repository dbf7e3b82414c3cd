// Tells a refused certificate from a server that is merely away: gRPC gives both as UNAVAILABLE, but only one is worth retrying.
import { Status } from 'nice-grpc-common';

/** How the text of an error starts that a peer channel makes when another server answers than the expected one. */
export const IDENTITY_FAILURE = 'server identity refused';

/** grpc-js puts the last error of a connection attempt into this text, and into nothing else. */
const NO_CONNECTION = /^No connection established\. Last error: ([\s\S]*?)(?: \(\d{4}-[^)]*\))?\. Resolution note:/;

/** Texts of Node's and OpenSSL's verification errors and of TLS alerts. */
const TLS_TEXT = /certificate|self-signed|SSL routines|\balert\b|ERR_(?:SSL|TLS)|EPROTO|wrong version number/i;

/**
 * Why TLS refused the connection, on this side or on the other, for a person; undefined for any other error.
 *
 * It is not seen in one case: a server that distrusts a certificate which does exist closes the connection without a word.
 * `loadTlsFiles` finds such certificates before they are used.
 */
export function tlsFailureReason(error: unknown): string | undefined {
  const { code, details } = (error ?? {}) as { code?: unknown; details?: unknown };
  if (code !== Status.UNAVAILABLE || typeof details !== 'string') return undefined;
  const cause = NO_CONNECTION.exec(details)?.[1]?.trim();
  if (cause === undefined) return undefined;
  const text = cause.replace(/^Error: /, '');
  if (text.startsWith(IDENTITY_FAILURE)) return text;
  if (!TLS_TEXT.test(text)) return undefined;
  // OpenSSL: `406D:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:../deps/...`
  const opensslReason = /:SSL routines:[^:]*:([^:]+):/.exec(text)?.[1];
  return `TLS: ${opensslReason ?? text}`;
}

/** Whether a call failed because a certificate or an identity was refused. Retrying does not help. */
export function isTlsFailure(error: unknown): boolean {
  return tlsFailureReason(error) !== undefined;
}
