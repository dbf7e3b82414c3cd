// The gateway's flags and STRIFE_* variables.

import { directory, durationMs, instanceName, parseServiceConfig, port, z } from '@strife/service';
import type { ServiceConfig } from '@strife/service';

const options = {
  name: { flag: '--name <name>', env: 'STRIFE_GATEWAY_NAME', schema: instanceName, default: 'g1', help: 'name in certificate, registry and file names' },
  host: { flag: '--host <address>', env: 'STRIFE_HOST', schema: z.string().min(1), default: '127.0.0.1', help: 'address to listen on' },
  port: { flag: '--port <number>', env: 'STRIFE_PORT', schema: port, default: '7400', help: 'port to listen on; 0 takes any free one' },
  dataDir: { flag: '--data-dir <path>', env: 'STRIFE_DATA_DIR', schema: directory, default: 'data', help: 'where gateway-<name>.sqlite and keys are kept' },
  registryDir: { flag: '--registry-dir <path>', env: 'STRIFE_REGISTRY_DIR', schema: directory, default: 'tmp/registry', help: 'the embedded registry of this machine' },
  certsDir: { flag: '--certs-dir <path>', env: 'STRIFE_CERTS_DIR', schema: directory, default: 'certs', help: 'certificates and keys' },
  logDir: { flag: '--log-dir <path>', env: 'STRIFE_LOG_DIR', schema: directory, default: 'logs', help: 'where gateway-<name>.log is written' },
  logLevel: { flag: '--log-level <level>', env: 'STRIFE_LOG_LEVEL', schema: z.enum(['debug', 'info', 'warn', 'error']), default: 'info', help: 'debug, info, warn or error' },
  prepareTimeoutMs: { flag: '--prepare-timeout <duration>', env: 'STRIFE_PREPARE_TIMEOUT', schema: durationMs, default: '2s', help: 'how long banks may take to vote' },
  settleWaitMs: { flag: '--settle-wait <duration>', env: 'STRIFE_SETTLE_WAIT', schema: durationMs, default: '1s', help: 'how long a reply waits for both banks to settle' },
  drainTimeoutMs: { flag: '--drain-timeout <duration>', env: 'STRIFE_DRAIN_TIMEOUT', schema: durationMs, default: '10s', help: 'how long calls may finish after SIGTERM' },
} as const;

export type GatewayConfig = ServiceConfig<typeof options>;

export function readConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): GatewayConfig {
  return parseServiceConfig({ program: 'gateway', description: 'The Strife payment gateway', options, argv, env });
}
