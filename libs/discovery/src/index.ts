export {
  CertificateError,
  openCertificateFiles,
  type Certificates,
  type CertificateSource,
} from './certificates.ts';
export { ConnectError, type ConnectErrorCode } from './connect-agent.ts';
export { openConnectCertificates, type ConnectCertificatesOptions } from './connect-certificates.ts';
export { openConnectIntentions, type ConnectIntentions } from './connect-intentions.ts';
export { openConsulRegistry, type ConsulRegistryOptions } from './consul-registry.ts';
export { openDiscovery, type Discovery, type DiscoveryOptions } from './open-discovery.ts';
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
