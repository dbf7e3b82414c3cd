// Who the other side of a connection is: a SPIFFE URI in its certificate, parsed strictly. Two authorities make certificates, and
// each writes identities in a form of its own; both mean the same roles and names.
import { X509Certificate } from 'node:crypto';

/** Of the development authority. */
export const TRUST_DOMAIN = 'strife.local';

const ROLES = ['gateway', 'bank', 'client', 'operator'] as const;

export type Role = (typeof ROLES)[number];

export interface PeerIdentity {
  /** `spiffe://strife.local/bank/alpha`, or Consul's `spiffe://<cluster>.consul/ns/default/dc/dc1/svc/strife-bank-alpha` */
  readonly uri: string;
  readonly trustDomain: string;
  readonly role: Role;
  /** Banks and gateways have names; with Consul, whose names are those of services, a client or an operator is called by its role. */
  readonly name: string;
}

const DEVELOPMENT_URI = /^spiffe:\/\/([a-z0-9.-]{1,255})\/([a-z]+)\/([a-z0-9][a-z0-9-]{0,62})$/;
const CONNECT_URI = /^spiffe:\/\/([a-z0-9.-]{1,255})\/ns\/default\/dc\/[a-z0-9][a-z0-9_-]{0,62}\/svc\/strife-([a-z]+)(?:-([a-z0-9][a-z0-9-]{0,62}))?$/;
const SPIFFE_TRUST_DOMAIN = /^spiffe:\/\/([a-z0-9.-]{1,255})\//;

/**
 * The identity that a SPIFFE URI names; undefined unless it is exactly of one of the two forms, with a known role.
 *
 * Any trust domain parses: whether it is ours is decided where certificates are checked.
 */
export function parseIdentity(uri: string): PeerIdentity | undefined {
  const development = DEVELOPMENT_URI.exec(uri);
  if (development !== null) {
    const [, trustDomain, role, name] = development as unknown as [string, string, string, string];
    return isRole(role) ? { uri, trustDomain, role, name } : undefined;
  }
  const connect = CONNECT_URI.exec(uri);
  if (connect === null) return undefined;
  const [, trustDomain, role, name] = connect as unknown as [string, string, string, string | undefined];
  // `strife-bank-alpha` and `strife-gateway-g1`, since it matters which one; `strife-client` and `strife-operator`.
  if (!isRole(role) || (role === 'bank' || role === 'gateway') !== (name !== undefined)) return undefined;
  return { uri, trustDomain, role, name: name ?? role };
}

/**
 * The identity in a certificate's subject alternative names, as Node prints them (`URI:spiffe://...`).
 *
 * @param trustDomain The only one that is accepted.
 * @returns the identity, or the reason why there is none, for a person.
 */
export function identityFromAltNames(altNames: string | undefined, trustDomain: string): PeerIdentity | string {
  const uri = onlyUri(altNames);
  if (typeof uri !== 'string') return uri.problem;
  const identity = parseIdentity(uri);
  if (identity === undefined) return `not a Strife identity: ${uri}`;
  if (identity.trustDomain !== trustDomain) return `trust domain ${identity.trustDomain} is not ${trustDomain}`;
  return identity;
}

/**
 * The trust domain that the holder of a certificate belongs to, and so the only one whose identities it accepts. A certificate
 * without a SPIFFE URI belongs to the development authority's, where only development certificates are trusted.
 *
 * @throws when it is not a certificate in PEM
 */
export function trustDomainOf(certificatePem: string | Buffer): string {
  const uri = onlyUri(new X509Certificate(certificatePem).subjectAltName);
  return (typeof uri === 'string' ? SPIFFE_TRUST_DOMAIN.exec(uri)?.[1] : undefined) ?? TRUST_DOMAIN;
}

function onlyUri(altNames: string | undefined): string | { problem: string } {
  if (altNames === undefined || altNames === '') return { problem: 'the certificate has no subject alternative name' };
  // Node quotes names that hold a comma, so a comma inside a URI cannot be taken for a second name.
  const names = altNames.split(', ');
  const [only] = names;
  if (names.length !== 1 || only === undefined || !only.startsWith('URI:')) {
    return { problem: 'the certificate must have exactly one subject alternative name, a URI' };
  }
  return only.slice('URI:'.length);
}

function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}
