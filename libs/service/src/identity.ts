// Who the other side of a connection is: a SPIFFE URI in its certificate, parsed strictly.

export const TRUST_DOMAIN = 'strife.local';

const ROLES = ['gateway', 'bank', 'client', 'operator'] as const;

export type Role = (typeof ROLES)[number];

export interface PeerIdentity {
  /** `spiffe://strife.local/bank/alpha` */
  readonly uri: string;
  readonly trustDomain: string;
  readonly role: Role;
  readonly name: string;
}

const SPIFFE_URI = /^spiffe:\/\/([a-z0-9.-]{1,255})\/([a-z]+)\/([a-z0-9][a-z0-9-]{0,62})$/;

/**
 * The identity that a SPIFFE URI names; undefined unless it is exactly a trust domain, one known role and one name.
 *
 * Any trust domain parses: whether it is ours is decided where certificates are checked.
 */
export function parseIdentity(uri: string): PeerIdentity | undefined {
  const match = SPIFFE_URI.exec(uri);
  if (match === null) return undefined;
  const [, trustDomain, role, name] = match as unknown as [string, string, string, string];
  return isRole(role) ? { uri, trustDomain, role, name } : undefined;
}

/**
 * The identity in a certificate's subject alternative names, as Node prints them (`URI:spiffe://...`).
 *
 * @returns the identity, or the reason why there is none, for a person.
 */
export function identityFromAltNames(altNames: string | undefined): PeerIdentity | string {
  if (altNames === undefined || altNames === '') return 'the certificate has no subject alternative name';
  // Node quotes names that hold a comma, so a comma inside a URI cannot be taken for a second name.
  const names = altNames.split(', ');
  const [only] = names;
  if (names.length !== 1 || only === undefined || !only.startsWith('URI:')) {
    return 'the certificate must have exactly one subject alternative name, a URI';
  }
  const identity = parseIdentity(only.slice('URI:'.length));
  if (identity === undefined) return `not a Strife identity: ${only.slice('URI:'.length)}`;
  if (identity.trustDomain !== TRUST_DOMAIN) return `trust domain ${identity.trustDomain} is not ${TRUST_DOMAIN}`;
  return identity;
}

function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}
