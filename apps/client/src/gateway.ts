// A connection to the gateways for the time of one command. Loads the SDK, and gRPC with it, only now.

import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ConnectOptions, QueueOptions, Session, Strife, TlsPaths } from '@strife/sdk';
import type { Context } from './context.ts';
import { NotLoggedInError, UsageError } from './failure.ts';
import { readSession, sessionEndMs, sessionStore } from './session-file.ts';
import type { Settings } from './settings.ts';

/** Without anybody logged in, runs `work` with a client, and closes it. A login that `work` makes is not stored. */
export async function withStranger<T>(context: Context, work: (strife: Strife) => Promise<T>): Promise<T> {
  await using strife = await connectWith(context, {});
  return await work(strife);
}

/** Runs `work` with a client of this session, which need not be the stored one, and closes it. With the queue, the client holds what is queued at its logout. */
export async function withOldSession<T>(
  context: Context,
  session: Session,
  options: { withQueue: boolean },
  work: (strife: Strife) => Promise<T>,
): Promise<T> {
  const queue = options.withQueue ? { file: queueFile(context), background: false } : undefined;
  await using strife = await connectWith(context, { session, queue });
  return await work(strife);
}

/** Runs `work` with a client of the user who is logged in. The session is renewed where it must be. Throws NotLoggedInError if nobody is. */
export async function withSession<T>(context: Context, work: (strife: Strife, session: Session) => Promise<T>): Promise<T> {
  const session = currentSession(context.settings);
  await using strife = await connectWith(context, { sessionStore: sessionStore(context.settings.sessionFile) });
  return await work(strife, session);
}

/** As `withSession`, with the offline queue; also for a session that is over, since queueing and looking need none. */
export async function withQueue<T>(context: Context, queue: Pick<QueueOptions, 'background'>, work: (strife: Strife) => Promise<T>): Promise<T> {
  const { sessionFile } = context.settings;
  await using strife = await connectWith(context, { sessionStore: sessionStore(sessionFile), queue: { file: queueFile(context), ...queue } });
  const { setAside } = strife.queue;
  if (setAside !== undefined) context.output.message(`The queue's file was corrupt (${setAside.reason}). It is kept as ${setAside.path}; a new one was begun.`);
  return await work(strife);
}

/** The stored session. Throws NotLoggedInError if there is none or it is over. */
export function currentSession(settings: Settings): Session {
  const session = readSession(settings.sessionFile);
  if (!session) throw new NotLoggedInError('nobody is logged in');
  if (isOver(session)) throw new NotLoggedInError(`the session of ${session.account} is over`);
  return session;
}

/** By this machine's clock; the gateway has the last word. A session that can be renewed is not over. */
export function isOver(session: Session): boolean {
  return sessionEndMs(session) <= Date.now();
}

/** The files of the certificate that calls use. */
export function certificateFiles({ certsDir, certificate }: Settings): TlsPaths {
  const stem = certificate.replaceAll('/', '-');
  return { ca: join(certsDir, 'ca.pem'), cert: join(certsDir, `${stem}.pem`), key: join(certsDir, `${stem}.key`) };
}

async function connectWith({ settings, signal }: Context, options: Partial<ConnectOptions>): Promise<Strife> {
  const { connect, gatewaysFromConsul, gatewaysFromRegistryDirectory, tlsFiles } = await import('@strife/sdk');
  const { source, timeoutMs } = settings;
  const gateways = {
    list: () => settings.gateways,
    registry: () => gatewaysFromRegistryDirectory(settings.registryDir!),
    consul: () => gatewaysFromConsul({ address: settings.consulAddress!, token: settings.consulToken, ca: consulAuthority(settings) }),
  }[source]();
  return connect({ ...options, gateways, tls: readable(settings, tlsFiles), timeoutMs, signal });
}

/** The authority of an https agent, PEM. Throws UsageError if it was given and cannot be read. */
export function consulAuthority({ consulCa }: Settings): Buffer | undefined {
  try {
    return consulCa === undefined ? undefined : readFileSync(consulCa);
  } catch (cause) {
    throw new UsageError(`consul-ca: ${(cause as Error).message}`, { field: 'consul-ca', cause });
  }
}

function readable<T>(settings: Settings, read: (paths: TlsPaths) => T): T {
  try {
    return read(certificateFiles(settings));
  } catch (cause) {
    throw new UsageError(`the certificate of ${settings.certificate} in ${settings.certsDir} cannot be used: ${(cause as Error).message}`, {
      field: 'certs_dir',
      hint: 'Say where the certificates are: --certs-dir, STRIFE_CERTS_DIR, or certs_dir in a profile.\nIn a checkout, `npm start` makes certificates and a profile.',
      cause,
    });
  }
}

/** With its folder made. */
function queueFile({ settings: { queueFile: file } }: Context): string {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    return file;
  } catch (cause) {
    throw new UsageError(`queue: the folder of ${file} cannot be made: ${(cause as Error).message}`, { field: 'queue', cause });
  }
}
