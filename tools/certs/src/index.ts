// Development certificates: on disk for a local cluster, in memory for tests.
export { ensureCertificates, loadTls, type EnsureOptions, type EnsureResult } from './certificate-files.ts';
export { createAuthority, spiffeUri, TRUST_DOMAIN, type Authority, type AuthorityOptions, type LeafOptions, type TlsMaterial } from './authority.ts';
