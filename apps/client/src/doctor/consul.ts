// Consul, as its agent tells: whether it works, whether it is a certificate authority, and how the services in it are.

import { get as httpsGet } from 'node:https';
import { text } from 'node:stream/consumers';
import { connect as tlsConnect, type PeerCertificate } from 'node:tls';
import type { TlsOptions } from '@strife/sdk';
import { validity } from './certificates.ts';
import { failure, ok, type Finding } from './finding.ts';

// Not by `import`, which would load fetch and WebSocket too.
const { get: httpGet } = process.getBuiltinModule('node:http');

const ANSWER_WITHIN_MS = 3000;
const OUR_SERVICES = /^strife-(gateway|bank)(-|$)/;

interface HealthEntry {
  readonly Service: { readonly Service: string; readonly Address: string; readonly Port: number };
  readonly Checks: readonly { readonly Status: string; readonly Output: string }[];
}

/** How the agent is asked. */
export interface ConsulAccess {
  readonly address: string;
  readonly token: string | undefined;
  /** The authority of an https agent, PEM. */
  readonly ca: Buffer | undefined;
}

/** `tls`: with it the services' own certificates are looked at too. */
export async function checkConsul(access: ConsulAccess, tls: TlsOptions | undefined): Promise<Finding[]> {
  const { address } = access;
  const ask = <T>(path: string): Promise<T> => askAgent<T>(access, path);
  const check = `consul ${address}`;
  try {
    const leader = await ask<string>('/v1/status/leader');
    if (leader === '') return [failure(check, 'it has no leader', 'Its servers do not see each other.')];
    return [ok(check, `leader ${leader}`), await authority(ask), ...(await services(ask, tls))];
  } catch (error) {
    return [failure(check, (error as Error).message, 'Is the agent running? --consul-addr, STRIFE_CONSUL_TOKEN.')];
  }
}

type Ask = <T>(path: string) => Promise<T>;

async function authority(ask: Ask): Promise<Finding> {
  const check = 'consul: certificate authority';
  const { Roots: roots } = await ask<{ Roots: { Active: boolean; Name: string; NotBefore: string; NotAfter: string }[] | null }>('/v1/connect/ca/roots');
  const active = roots?.find(({ Active }) => Active);
  if (active === undefined) return failure(check, 'Connect has no active root', 'Set connect { enabled = true } for the servers.');
  return validity(check, active.Name, new Date(active.NotBefore), new Date(active.NotAfter));
}

async function services(ask: Ask, tls: TlsOptions | undefined): Promise<Finding[]> {
  const names = Object.keys(await ask<Record<string, unknown>>('/v1/catalog/services')).filter((name) => OUR_SERVICES.test(name));
  const hint = 'Does one run? May this token see the services (service:read)?';
  if (!names.some((name) => name.startsWith('strife-gateway'))) return [failure('consul: services', 'no gateway is registered, or this token may not see them', hint)];
  const entries = await Promise.all(names.sort().map((name) => ask<HealthEntry[]>(`/v1/health/service/${encodeURIComponent(name)}`)));
  return (await Promise.all(entries.flat().map((entry) => service(entry, tls)))).flat();
}

async function service({ Service, Checks }: HealthEntry, tls: TlsOptions | undefined): Promise<Finding[]> {
  const check = `service ${Service.Service}`;
  const where = `${Service.Address}:${Service.Port}`;
  const bad = Checks.find(({ Status }) => Status !== 'passing');
  if (bad !== undefined) return [failure(check, `${where} is ${bad.Status}: ${bad.Output.trim()}`, 'Its log says more.')];
  if (tls === undefined) return [ok(check, `${where} is passing`)];
  try {
    const { subjectaltname = 'no identity', valid_from: from, valid_to: to } = await certificateAt(Service.Address, Service.Port, tls);
    return [ok(check, `${where} is passing`), validity(`${check}: certificate`, subjectaltname, new Date(from), new Date(to))];
  } catch (error) {
    return [failure(check, `${where} is passing, but a secure connection to it fails: ${(error as Error).message}`)];
  }
}

/** What a server shows, once it was checked against the authority. */
function certificateAt(host: string, port: number, tls: TlsOptions): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host, port, ...tls, servername: '', ALPNProtocols: ['h2'], timeout: ANSWER_WITHIN_MS, checkServerIdentity: () => undefined });
    const end = (settle: () => void): void => {
      socket.destroy();
      settle();
    };
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerCertificate();
      end(() => resolve(certificate));
    });
    socket.once('timeout', () => end(() => reject(new Error(`nothing within ${ANSWER_WITHIN_MS / 1000} s`))));
    socket.on('error', (error) => end(() => reject(error)));
  });
}

async function askAgent<T>({ address, token, ca }: ConsulAccess, path: string): Promise<T> {
  const url = new URL(path, address);
  const headers = token === undefined ? {} : { 'x-consul-token': token };
  const options = { headers, ca, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) };
  const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const get = url.protocol === 'https:' ? httpsGet : httpGet;
    const request = get(url, options, (response) => {
      text(response).then((content) => resolve({ status: response.statusCode ?? 0, body: content }), reject);
    });
    request.once('error', (error) => reject(new Error(`no answer: ${error.message}`, { cause: error })));
  });
  if (status === 200) return JSON.parse(body) as T;
  throw new Error(`it answers ${path} with ${status}: ${body.trim()}`);
}
