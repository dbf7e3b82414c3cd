export {
  CertificateError,
  openCertificateFiles,
  type Certificates,
  type CertificateSource,
} from './certificates.ts';
export { openEmbeddedRegistry, type EmbeddedRegistryOptions } from './embedded-registry.ts';
export {
  RegistryError,
  type Instance,
  type Registration,
  type Registry,
  type RegistryErrorCode,
  type RegistryProblem,
  type ServiceName,
  type Watch,
} from './registry.ts';
