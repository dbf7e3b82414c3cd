// @strife/consul: a real Consul agent on this machine, for tests and development.
export { startConsul, ConsulStartError, type ConsulAgent, type ConsulOptions } from './consul-agent.ts';
export { findConsul, type ConsulProgram } from './program.ts';
