// @strife/consul: a real Consul agent on this machine, for tests and development, and access control for any.
export { bootstrapAccess, BootstrapError, type BootstrapOptions, type BootstrapResult } from './bootstrap.ts';
export { startConsul, ConsulStartError, type ConsulAgent, type ConsulOptions } from './consul-agent.ts';
export { findFreePorts } from './free-ports.ts';
export { findConsul, type ConsulProgram } from './program.ts';
export { unpackDebianPackage, type DebianPackage } from './debian-package.ts';
