// `strife doctor`: looks at everything that a payment from here needs, and says what is wrong.

import type { TlsOptions } from '@strife/sdk';
import type { Context } from '../context.ts';
import { checkOwnCertificate } from '../doctor/certificates.ts';
import { checkConsul, type ConsulAccess } from '../doctor/consul.ts';
import type { Finding, Status } from '../doctor/finding.ts';
import { failure, ok, warning } from '../doctor/finding.ts';
import { checkGateway } from '../doctor/gateways.ts';
import { checkQueue } from '../doctor/queue.ts';
import { checkStores } from '../doctor/stores.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { printable, timeText } from '../format.ts';
import { consulAuthority, isOver, withSession } from '../gateway.ts';
import type { Colors } from '../output.ts';
import { readSession, sessionEndMs } from '../session-file.ts';
import type { Settings } from '../settings.ts';

const REGISTRY_WITHIN_MS = 2000;
const SERVICE_OF_GATEWAY = /^(service strife-gateway-|gateway )[^ ]+$/;

/** Exit code 0 if nothing fails; warnings do not count. */
export async function doctor(context: Context): Promise<ExitCode> {
  const { output, settings } = context;
  const { tls, findings: own } = checkOwnCertificate(settings);
  const asked = await Promise.all([
    ...(tls === undefined ? [] : [checkGateways(settings, tls)]),
    ...(settings.consulAddress === undefined ? [] : [checkConsul(consulAccess(settings, settings.consulAddress), tls)]),
  ]);
  const stores = settings.dataDir === undefined ? [] : checkStores(settings.dataDir);
  const isServed = tls !== undefined && asked.flat().some(({ check, status }) => SERVICE_OF_GATEWAY.test(check) && status === 'ok');
  const findings = [...own, await sessionFinding(context, isServed), checkQueue(settings.queueFile), ...asked.flat(), ...stores];
  const healthy = !findings.some(({ status }) => status === 'failure');
  output.result({ doctor: { healthy, findings } }, () => findings.map((finding) => findingText(finding, output.colors)).join('\n'));
  output.message(healthy ? 'Nothing is in the way of a payment.' : 'Something is in the way; see above.');
  return healthy ? EXIT.ok : EXIT.internal;
}

/** Each that is known; Consul's are looked at with all its services. */
async function checkGateways(settings: Settings, tls: TlsOptions): Promise<Finding[]> {
  if (settings.source === 'consul') return [];
  const addresses = await knownGateways(settings);
  if (addresses.length > 0) return (await Promise.all(addresses.map((address) => checkGateway(address, tls)))).flat();
  return [failure('gateways', `none is registered in ${settings.registryDir}`, 'Does one run? See strife config explain, registry_dir.')];
}

/** Those of the list, or those that a registry knows; Consul's are looked at with all its services. */
async function knownGateways({ source, gateways, registryDir }: Settings): Promise<readonly string[]> {
  if (source === 'list') return gateways;
  const { gatewaysFromRegistryDirectory } = await import('@strife/sdk');
  const { promise, resolve } = Promise.withResolvers<readonly string[]>();
  const end = gatewaysFromRegistryDirectory(registryDir!).watch(resolve);
  const timer = setTimeout(() => resolve([]), REGISTRY_WITHIN_MS);
  const found = await promise;
  clearTimeout(timer);
  end();
  return found;
}

function consulAccess(settings: Settings, address: string): ConsulAccess {
  return { address, token: settings.consulToken, ca: consulAuthority(settings) };
}

/** What is stored here, and what a gateway says of it where one serves. */
async function sessionFinding(context: Context, isServed: boolean): Promise<Finding> {
  const { settings } = context;
  const session = readSession(settings.sessionFile);
  const login = 'strife login <bank> <user>';
  if (session === undefined) return warning('session', 'nobody is logged in', login);
  if (isOver(session)) return warning('session', `the session of ${session.account} is over`, login);
  const until = `${session.account}, until ${timeText(new Date(sessionEndMs(session)))}`;
  if (!isServed) return ok('session', `${until}; no gateway could be asked about it`);
  try {
    await withSession(context, (strife) => strife.balance());
    return ok('session', until);
  } catch (error) {
    return failure('session', `${session.account}: ${(error as Error).message}`, login);
  }
}

function findingText({ check, status, detail, hint }: Finding, colors: Colors): string {
  const marks: Record<Status, string> = { ok: colors.green('ok  '), warning: colors.yellow('warn'), failure: colors.red('FAIL') };
  const line = `${marks[status]}  ${printable(check)}: ${printable(detail)}`;
  return hint === undefined ? line : `${line}\n      ${printable(hint)}`;
}
