// A connection to the gateways for the time of one command. Loads the SDK, and gRPC with it, only now.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Session, Strife } from '@strife/sdk';
import type { Context } from './context.ts';
import { NotLoggedInError, UsageError } from './failure.ts';
import { readSession } from './session-file.ts';
import type { Settings } from './settings.ts';

/** Runs `work` with a client that uses `session`, or none, and closes it. */
export async function withStrife<T>(
  { settings, signal }: Context,
  session: Session | undefined,
  work: (strife: Strife) => Promise<T>,
): Promise<T> {
  const tls = readCertificates(settings);
  const { connect } = await import('@strife/sdk');
  const { gateways, timeoutMs } = settings;
  await using strife = await connect({ gateways, tls, session, timeoutMs, signal });
  return await work(strife);
}

/** As `withStrife`, for the user who is logged in. Throws NotLoggedInError if nobody is. */
export async function withSession<T>(
  context: Context,
  work: (strife: Strife, session: Session) => Promise<T>,
): Promise<T> {
  const session = currentSession(context.settings);
  return withStrife(context, session, (strife) => work(strife, session));
}

/** The stored session. Throws NotLoggedInError if there is none or it is over. */
export function currentSession(settings: Settings): Session {
  const session = readSession(settings.sessionFile);
  if (!session) throw new NotLoggedInError('nobody is logged in');
  if (isOver(session)) throw new NotLoggedInError(`the session of ${session.account} is over`);
  return session;
}

/** By this machine's clock; the gateway has the last word. */
export function isOver(session: Session): boolean {
  return session.expiresAtMs <= Date.now();
}

function readCertificates({ certsDir, certificate }: Settings): { ca: Buffer; cert: Buffer; key: Buffer } {
  const read = (name: string): Buffer => {
    try {
      return readFileSync(join(certsDir, name));
    } catch (cause) {
      throw new UsageError(`the certificate file ${join(certsDir, name)} cannot be read`, {
        field: 'certs_dir',
        hint: 'Say where the certificates are: --certs-dir, STRIFE_CERTS_DIR, or certs_dir in a profile.\nIn a checkout, `npm start` makes certificates and a profile.',
        cause,
      });
    }
  };
  const stem = certificate.replaceAll('/', '-');
  return { ca: read('ca.pem'), cert: read(`${stem}.pem`), key: read(`${stem}.key`) };
}
