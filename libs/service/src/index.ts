// What every Strife server shares.
export {
  createServiceServer,
  type ServiceServer,
  type ServiceServerOptions,
} from './server.ts';
export type { CallIdentity, ServiceContext } from './service-context.ts';
export { streamedCalls, type StreamedCall, type StreamedCalls } from './streamed-calls.ts';
export { createPeerChannel, type ExpectedPeer, type PeerChannelOptions } from './tls.ts';
export { createRotatingChannel, type RotatingChannelOptions } from './rotating-channel.ts';
export { fixedTls, type TlsMaterial, type TlsSource } from './tls-source.ts';
export { loadTlsFiles } from './tls-files.ts';
export type { Intentions } from './intentions.ts';
export { isTlsFailure, tlsFailureReason } from './tls-failure.ts';
export { parseIdentity, TRUST_DOMAIN, type PeerIdentity, type Role } from './identity.ts';
export { ERROR_DOMAIN, reasonOf, receivedDetails, rpcError, type ErrorOutcome, type RpcErrorOptions } from './errors.ts';
export { closeLogger, createLogger, type Logger, type LoggerOptions, type LogLevel } from './logger.ts';
export { summarizeTransferIds, type Summarize } from './call-log.ts';
export { HelpShown, StartupError, UsageError } from './failures.ts';
export {
  durationMs,
  filePath,
  hostAndPort,
  instanceName,
  nonEmptyText,
  oneOf,
  optional,
  parseServiceConfig,
  port,
  type ConfigOption,
  type ServiceConfig,
  type ServiceConfigOptions,
} from './config.ts';
export { discoveryOptions } from './discovery-options.ts';
export { metricsOptions, serveMetrics, type MetricsServer, type MetricsServerOptions } from './metrics-server.ts';
export { runService, type RunningService, type StartContext } from './run-service.ts';
export type { TerminatorContext } from './terminator.ts';
export { MESSAGE_BYTES_MAX } from './limits.ts';

// The parts of the wrapped packages that applications need.
export { ClientError, Metadata, ServerError, Status, type CallContext, type ServerMiddleware, type ServerMiddlewareCall } from 'nice-grpc-common';
export { createClient, createClientFactory, type Channel, type Client, type ServiceImplementation } from 'nice-grpc';
export { errorDetailsClientMiddleware } from 'nice-grpc-error-details';
export { Counter, Gauge, Histogram, Registry } from './prometheus.ts';
export { endWithParent } from './end-with-parent.ts';
export { withTimeLimit } from './time-limit.ts';
export { wholeMessages, type WholeMessages } from './whole-messages.ts';
export {
  declineReasonForPayee, declineReasonFromWire, declineReasonToWire, fingerprintFromWire, fingerprintToWire, gatewayOfLog, MEMO_CHARACTERS_MAX, memoFits, namePattern, nameRule,
  parseTransferId, readTransferId, requestIdPattern, requestIdRule, UNIX_MS_MAX,
  transferIdFromWire, transferIdToWire,
} from './wire.ts';
