// Certificates from Consul Connect: the driver of the certificate port for a service that has an agent beside it. The agent renews the
// certificate in time and exchanges it when the root is exchanged; both are heard of at once.

import { X509Certificate } from 'node:crypto';
import type { Certificates, CertificateSource } from './certificates.ts';
import { askAgent, ConnectError, followAgent, LEAF_PATH, ROOTS_PATH, type ConnectErrorCode } from './connect-agent.ts';
import { fitTogether, readLeaf, readRoots, type Leaf, type Roots } from './connect-material.ts';
import type { RegistryProblem } from './registry.ts';

export interface ConnectCertificatesOptions {
  /** Of the agent on this machine: `http://127.0.0.1:8500`. */
  readonly address: string;
  /** Needs `service:write` for the service. */
  readonly token?: string | undefined;
  /** In PEM: who signed the certificate of an agent at `https:`. Otherwise those count that Node trusts. */
  readonly ca?: string | undefined;
  /** `strife-gateway-g1`, `strife-bank-alpha`: who the certificate says this is. */
  readonly service: string;
  /** Told once when Consul is away or its answers do not fit, and once when that is over. */
  readonly onProblem?: (problem: RegistryProblem) => void;
  /** Told again and again, from the last tenth of the certificate's life: somebody must do something now. */
  readonly onExpiring?: (validUntil: Date) => void;
  readonly expiryCheckIntervalMs?: number;
  /** How long the agent may hold a question until there is something new: 10 s. That it hangs is noticed some 5 s after that. */
  readonly waitMs?: number;
  readonly nowMs?: () => number;
  readonly random?: () => number;
}

/** The agent signs on the first question, for which it may have to ask its servers. */
const START_TIMEOUT_MS = 10_000;
const EXPIRY_CHECK_INTERVAL_MS = 60_000;
/** Consul renews long before. */
const EXPIRING_SHARE = 0.1;

/**
 * Fetches a certificate and the roots, and follows both. `ca` holds all roots that count: while the root is being exchanged, the
 * old one and the new one. While Consul is away, or gives what does not fit together, the set before stays current. Keeps the process
 * alive until it is closed.
 *
 * @throws ConnectError when there is no set to begin with
 */
export async function openConnectCertificates(options: ConnectCertificatesOptions): Promise<CertificateSource> {
  const { address, token, ca, service, onProblem = () => {}, nowMs = Date.now, random = Math.random } = options;
  const agent = { address, token, ca };
  const leafPath = `${LEAF_PATH}${encodeURIComponent(service)}`;
  const [firstRoots, firstLeaf] = await Promise.all([ROOTS_PATH, leafPath].map((path) => askAgent(agent, { path, timeoutMs: START_TIMEOUT_MS })));
  let roots = readRoots(firstRoots!.body);
  let leaf = readLeaf(firstLeaf!.body);
  let current = fitOrThrow(roots, leaf, service, nowMs());
  const listeners = new Set<(certificates: Certificates) => void>();
  /** By question. */
  const troubles = new Map<string, ConnectError>();
  let told: ConnectErrorCode | undefined;
  const closing = new AbortController();

  /** An outage shows in many ways, of which the first is told. */
  function note(question: string, trouble: ConnectError | undefined): void {
    if (trouble === undefined) troubles.delete(question);
    else troubles.set(question, trouble);
    const [first] = troubles.values();
    if (first?.code === told) return;
    told = first?.code;
    const where = `certificates of ${service}`;
    if (first === undefined) onProblem({ where, message: 'certificates come from Consul again', recovered: true });
    else onProblem({ where, message: `${first.message}; the certificate from before stays in use` });
  }

  function tryToFit(): void {
    const fitted = fitTogether(roots, leaf, service, nowMs());
    note('fit', 'wrong' in fitted ? unfit(service, fitted.wrong) : undefined);
    if ('wrong' in fitted || areEqual(fitted, current)) return;
    current = fitted;
    for (const listener of listeners) listener(current);
  }

  const follow = (path: string, take: (body: unknown) => void): Promise<void> => followAgent(agent, {
    path, random, waitMs: options.waitMs,
    signal: closing.signal,
    onAnswer(body) {
      take(body);
      note(path, undefined);
      tryToFit();
    },
    onFailure: (error) => note(path, error),
  });
  void follow(ROOTS_PATH, (body) => { roots = readRoots(body); });
  void follow(leafPath, (body) => { leaf = readLeaf(body); });
  const expiryCheck = setInterval(() => checkExpiry(current, nowMs(), options.onExpiring), options.expiryCheckIntervalMs ?? EXPIRY_CHECK_INTERVAL_MS).unref();

  return {
    current: () => current,
    onRotate(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closing.abort();
      clearInterval(expiryCheck);
      listeners.clear();
    },
  };
}

function fitOrThrow(roots: Roots, leaf: Leaf, service: string, nowMs: number): Certificates {
  const fitted = fitTogether(roots, leaf, service, nowMs);
  if ('wrong' in fitted) throw unfit(service, fitted.wrong);
  return fitted;
}

function unfit(service: string, wrong: string): ConnectError {
  return new ConnectError('CONNECT_UNUSABLE', `what Consul gives ${service} does not fit together: ${wrong}`);
}

function checkExpiry({ cert }: Certificates, nowMs: number, onExpiring: ConnectCertificatesOptions['onExpiring']): void {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  const lifeMs = validToDate.getTime() - validFromDate.getTime();
  if (validToDate.getTime() - nowMs < lifeMs * EXPIRING_SHARE) onExpiring?.(validToDate);
}

function areEqual(a: Certificates, b: Certificates): boolean {
  return a.ca.equals(b.ca) && a.cert.equals(b.cert) && a.key.equals(b.key);
}
