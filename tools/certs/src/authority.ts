// A certificate authority in memory: makes the development CA's certificate and the leaves that it signs.
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** What a server or a client needs for mutual TLS, as PEM text. */
export interface TlsMaterial {
  /** The authority that the other side must be signed by. */
  ca: string;
  cert: string;
  key: string;
}

export interface LeafOptions {
  /** URI SANs; a Strife certificate has exactly one. */
  uris: readonly string[];
  /** The leaf's private key, PEM; a new one when left out. */
  key?: string;
  /** Default: a few minutes ago, for clocks that differ. */
  notBefore?: Date;
  /** Default: 30 days from now, but never later than the authority itself. */
  notAfter?: Date;
}

export interface Authority {
  readonly cert: string;
  readonly key: string;
  issue(options: LeafOptions): Promise<TlsMaterial>;
}

export interface AuthorityOptions {
  /** The authority's private key, PEM; a new one when left out. */
  key?: string;
  /** An existing certificate of `key`, PEM; a new self-signed one when left out. */
  cert?: string;
}

export const TRUST_DOMAIN = 'strife.local';
export const DAY_MS = 24 * 60 * 60 * 1000;
export const AUTHORITY_LIFETIME_MS = 365 * DAY_MS;
export const LEAF_LIFETIME_MS = 30 * DAY_MS;
const CLOCK_SKEW_MS = 5 * 60 * 1000;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const AUTHORITY_NAME = 'CN=Strife development CA';

x509.cryptoProvider.set(webcrypto);

/** A new P-256 private key as PKCS #8 PEM. */
export function createKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** An authority around a new or an existing key and certificate. Nothing is written anywhere. */
export async function createAuthority(options: AuthorityOptions = {}): Promise<Authority> {
  const key = options.key ?? createKey();
  const cert = options.cert ?? (await selfSign(key));
  return { cert, key, issue: (leaf) => issue({ cert, key }, leaf) };
}

/** The URI of an identity: `bank/alpha` becomes `spiffe://strife.local/bank/alpha`. */
export function spiffeUri(identity: string): string {
  return `spiffe://${TRUST_DOMAIN}/${identity}`;
}

async function selfSign(key: string): Promise<string> {
  const keys = importKeys(key);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: AUTHORITY_NAME,
    keys,
    notBefore: new Date(Date.now() - CLOCK_SKEW_MS),
    notAfter: new Date(Date.now() + AUTHORITY_LIFETIME_MS),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pem(certificate);
}

async function issue(authority: { cert: string; key: string }, leaf: LeafOptions): Promise<TlsMaterial> {
  const key = leaf.key ?? createKey();
  const { publicKey } = importKeys(key);
  const signer = importKeys(authority.key);
  const issuer = new x509.X509Certificate(authority.cert);
  const wanted = leaf.notAfter ?? new Date(Date.now() + LEAF_LIFETIME_MS);
  const certificate = await x509.X509CertificateGenerator.create({
    // The subject is empty, as in the certificates that Consul makes: the URI alone says who this is.
    subject: '',
    issuer: issuer.subject,
    publicKey,
    signingKey: signer.privateKey,
    notBefore: leaf.notBefore ?? new Date(Date.now() - CLOCK_SKEW_MS),
    notAfter: wanted < issuer.notAfter ? wanted : issuer.notAfter,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      // Critical, because the subject is empty (RFC 5280, 4.2.1.6).
      new x509.SubjectAlternativeNameExtension(
        leaf.uris.map((value) => ({ type: 'url' as const, value })),
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await keyIdentifierOf(issuer),
    ],
  });
  return { ca: authority.cert, cert: pem(certificate), key };
}

/** The issuer's own name for its key, whichever way it was made (RFC 5280, 4.2.1.1): a verifier compares the two. */
async function keyIdentifierOf(issuer: x509.X509Certificate): Promise<x509.AuthorityKeyIdentifierExtension> {
  const named = issuer.getExtension(x509.SubjectKeyIdentifierExtension);
  return named === null ? x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey) : new x509.AuthorityKeyIdentifierExtension(named.keyId);
}

function importKeys(key: string): webcrypto.CryptoKeyPair {
  const privateKey = createPrivateKey(key);
  return {
    privateKey: privateKey.toCryptoKey(ALGORITHM, false, ['sign']),
    publicKey: createPublicKey(privateKey).toCryptoKey(ALGORITHM, true, ['verify']),
  };
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
