// The bank's flags and STRIFE_* variables.

import {
  discoveryOptions, durationMs, filePath, hostAndPort, instanceName, metricsOptions, nonEmptyText, oneOf, optional, parseServiceConfig, port,
} from '@strife/service';
import type { ServiceConfig } from '@strife/service';

const options = {
  name: { flag: '--name <name>', env: 'STRIFE_BANK_NAME', schema: instanceName, help: 'the bank, as in alpha/alice' },
  host: { flag: '--host <address>', env: 'STRIFE_HOST', schema: nonEmptyText, default: '127.0.0.1', help: 'address to listen on' },
  port: { flag: '--port <number>', env: 'STRIFE_PORT', schema: port, default: '0', help: 'port to listen on; 0 takes any free one' },
  advertise: { flag: '--advertise <host:port>', env: 'STRIFE_ADVERTISE', schema: optional(hostAndPort), help: 'what the registry tells others to call; the address to listen on unless given' },
  dataDir: { flag: '--data-dir <path>', env: 'STRIFE_DATA_DIR', schema: filePath, default: 'data', help: 'where bank-<name>.sqlite and keys are kept' },
  seed: { flag: '--seed <file>', env: 'STRIFE_SEED', schema: optional(filePath), help: 'users to open accounts for, once, as JSON' },
  refreshLifetimeMs: { flag: '--refresh-lifetime <duration>', env: 'STRIFE_REFRESH_LIFETIME', schema: durationMs('1m', '8760h'), default: '720h', help: 'how long after a login its session may be refreshed' },
  ...discoveryOptions,
  logDir: { flag: '--log-dir <path>', env: 'STRIFE_LOG_DIR', schema: filePath, default: 'logs', help: 'where bank-<name>.log is written' },
  logLevel: { flag: '--log-level <level>', env: 'STRIFE_LOG_LEVEL', schema: oneOf(['debug', 'info', 'warn', 'error']), default: 'info', help: 'debug, info, warn or error' },
  ...metricsOptions,
  drainTimeoutMs: { flag: '--drain-timeout <duration>', env: 'STRIFE_DRAIN_TIMEOUT', schema: durationMs('0s', '1h'), default: '10s', help: 'how long calls may finish after SIGTERM' },
} as const;

export type BankConfig = ServiceConfig<typeof options>;

export function readConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): BankConfig {
  return parseServiceConfig({ program: 'bank', description: "A bank's server", options, argv, env });
}
