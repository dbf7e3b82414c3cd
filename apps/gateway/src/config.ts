// The gateway's flags and STRIFE_* variables.

import {
  discoveryOptions, durationMs, filePath, hostAndPort, instanceName, metricsOptions, nonEmptyText, oneOf, optional, parseServiceConfig, port,
} from '@strife/service';
import type { ServiceConfig } from '@strife/service';

const options = {
  name: { flag: '--name <name>', env: 'STRIFE_GATEWAY_NAME', schema: instanceName, default: 'g1', help: 'name in certificate, registry and file names' },
  host: { flag: '--host <address>', env: 'STRIFE_HOST', schema: nonEmptyText, default: '127.0.0.1', help: 'address to listen on' },
  port: { flag: '--port <number>', env: 'STRIFE_PORT', schema: port, default: '7400', help: 'port to listen on; 0 takes any free one' },
  advertise: { flag: '--advertise <host:port>', env: 'STRIFE_ADVERTISE', schema: optional(hostAndPort), help: 'what the registry tells others to call; the address to listen on unless given' },
  dataDir: { flag: '--data-dir <path>', env: 'STRIFE_DATA_DIR', schema: filePath, default: 'data', help: 'where gateway-<name>.sqlite and keys are kept' },
  ...discoveryOptions,
  logDir: { flag: '--log-dir <path>', env: 'STRIFE_LOG_DIR', schema: filePath, default: 'logs', help: 'where gateway-<name>.log is written' },
  logLevel: { flag: '--log-level <level>', env: 'STRIFE_LOG_LEVEL', schema: oneOf(['debug', 'info', 'warn', 'error']), default: 'info', help: 'debug, info, warn or error' },
  prepareTimeoutMs: { flag: '--prepare-timeout <duration>', env: 'STRIFE_PREPARE_TIMEOUT', schema: durationMs('100ms', '5m'), default: '2s', help: 'how long banks may take to vote' },
  settleWaitMs: { flag: '--settle-wait <duration>', env: 'STRIFE_SETTLE_WAIT', schema: durationMs('0s', '5m'), default: '1s', help: 'how long a reply waits for both banks to settle' },
  revocationGraceMs: { flag: '--revocation-grace <duration>', env: 'STRIFE_REVOCATION_GRACE', schema: durationMs('1s', '10m'), default: '5s', help: 'how long payments go on without a word from a registered gateway' },
  keyLifetimeMs: { flag: '--key-lifetime <duration>', env: 'STRIFE_KEY_LIFETIME', schema: durationMs('1s', '8760h'), default: '24h', help: 'how old the key that signs sessions gets' },
  keyLeadMs: { flag: '--key-lead <duration>', env: 'STRIFE_KEY_LEAD', schema: durationMs('1s', '1h'), default: '1m', help: 'how long a new key is published before it signs' },
  ...metricsOptions,
  drainTimeoutMs: { flag: '--drain-timeout <duration>', env: 'STRIFE_DRAIN_TIMEOUT', schema: durationMs('0s', '1h'), default: '10s', help: 'how long calls may finish after SIGTERM' },
} as const;

export type GatewayConfig = ServiceConfig<typeof options>;

export function readConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): GatewayConfig {
  return parseServiceConfig({ program: 'gateway', description: 'The Strife payment gateway', options, argv, env });
}
