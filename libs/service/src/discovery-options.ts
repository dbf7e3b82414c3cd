// Flags that every server has to find the others and its certificates: what `openDiscovery` of the discovery library asks for.
import { filePath, nonEmptyText, oneOf, optional, url } from './config.ts';

export const discoveryOptions = {
  discovery: { flag: '--discovery <kind>', env: 'STRIFE_DISCOVERY', schema: oneOf(['embedded', 'consul']), default: 'embedded', help: 'embedded (files, one machine) or consul' },
  consulAddress: { flag: '--consul-addr <url>', env: 'STRIFE_CONSUL_ADDR', schema: url, default: 'http://127.0.0.1:8500', help: 'the Consul agent on this machine' },
  consulToken: { flag: '--consul-token <token>', env: 'STRIFE_CONSUL_TOKEN', schema: optional(nonEmptyText), help: 'what this service may do at Consul; better given as the variable' },
  consulCa: { flag: '--consul-ca <file>', env: 'STRIFE_CONSUL_CA', schema: optional(filePath), help: 'who signed the certificate of an agent at https:, in PEM' },
  registryDir: { flag: '--registry-dir <path>', env: 'STRIFE_REGISTRY_DIR', schema: filePath, default: 'tmp/registry', help: 'the embedded registry of this machine' },
  certsDir: { flag: '--certs-dir <path>', env: 'STRIFE_CERTS_DIR', schema: filePath, default: 'certs', help: 'certificates and keys' },
} as const;
