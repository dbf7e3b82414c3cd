// What Consul's authority gives out, and whether it fits together: the roots that are trusted, and one service's certificate and key.

import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { Certificates } from './certificates.ts';
import { ConnectError } from './connect-agent.ts';

export interface Roots {
  readonly trustDomain: string;
  /** In PEM: the active one first, then those that it took the place of and that still count. */
  readonly certificates: readonly string[];
}

export interface Leaf {
  /** The certificate, and behind it what an older root says of a newer one. */
  readonly chain: string;
  readonly key: string;
}

/** @throws ConnectError */
export function readRoots(body: unknown): Roots {
  const { TrustDomain, Roots: roots } = (body ?? {}) as { TrustDomain?: unknown; Roots?: unknown };
  if (typeof TrustDomain !== 'string' || !Array.isArray(roots) || roots.length === 0) throw unusable('Consul gave no root certificates');
  const known = roots as { ID?: unknown; RootCert?: unknown; Active?: unknown }[];
  // The order is made the same each time, so that the same roots make the same bundle.
  const sorted = known.toSorted((a, b) => Number(b.Active === true) - Number(a.Active === true) || (String(a.ID) < String(b.ID) ? -1 : 1));
  return { trustDomain: TrustDomain, certificates: sorted.map(({ RootCert }) => withNewline(RootCert, 'a root certificate')) };
}

/** @throws ConnectError */
export function readLeaf(body: unknown): Leaf {
  const { CertPEM, PrivateKeyPEM } = (body ?? {}) as { CertPEM?: unknown; PrivateKeyPEM?: unknown };
  return { chain: withNewline(CertPEM, 'a certificate'), key: withNewline(PrivateKeyPEM, 'a private key') };
}

/**
 * The set that a server and its callers can use, or why there is none: the certificate must be the service's, in the roots' trust
 * domain, in its time, with its key, and signed by one of the roots.
 */
export function fitTogether({ trustDomain, certificates }: Roots, { chain, key }: Leaf, service: string, nowMs: number): Certificates | { readonly wrong: string } {
  try {
    const roots = certificates.map((pem) => new X509Certificate(pem));
    const [leaf, ...between] = splitPem(chain).map((pem) => new X509Certificate(pem));
    if (leaf === undefined) return { wrong: 'there is no certificate' };
    const names = leaf.subjectAltName ?? 'nobody';
    if (!names.startsWith(`URI:spiffe://${trustDomain}/`) || !names.endsWith(`/svc/${service}`)) {
      return { wrong: `the certificate is of ${names}, not of ${service} in ${trustDomain}` };
    }
    if (leaf.validToDate.getTime() <= nowMs) return { wrong: `the certificate expired on ${leaf.validToDate.toISOString()}` };
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return { wrong: 'the key is not the certificate\'s' };
    if (!isSigned(leaf, between, roots)) return { wrong: 'none of the roots signed the certificate' };
    return Object.freeze({ ca: Buffer.from(certificates.join('')), cert: Buffer.from(chain), key: Buffer.from(key) });
  } catch {
    // Not the error itself, which may quote a key.
    return { wrong: 'it is damaged' };
  }
}

function isSigned(leaf: X509Certificate, between: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
  if (roots.some((root) => leaf.verify(root.publicKey))) return true;
  const index = between.findIndex((issuer) => leaf.verify(issuer.publicKey));
  return index >= 0 && isSigned(between[index]!, between.toSpliced(index, 1), roots);
}

function splitPem(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
}

function withNewline(pem: unknown, what: string): string {
  if (typeof pem !== 'string' || pem === '') throw unusable(`Consul gave an answer without ${what}`);
  return `${pem.trim()}\n`;
}

function unusable(message: string): ConnectError {
  return new ConnectError('CONNECT_UNUSABLE', message);
}
