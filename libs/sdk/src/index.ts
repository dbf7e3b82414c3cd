// @strife/sdk: the client of the Strife payment gateway.

export { connect, type ConnectOptions, type Credentials, type LogoutOptions, type Strife } from './connect.ts';
export { tlsFiles, type TlsOptions, type TlsPaths, type TlsSource } from './tls-source.ts';
export type { GatewaySource } from './gateway-source.ts';
export { gatewaysFromRegistryDirectory } from './registry-gateways.ts';
export { gatewaysFromConsul, type ConsulOptions } from './consul-gateways.ts';
export type { SessionStore } from './login-store.ts';
export type { CallOptions, PageOptions } from './call-context.ts';
export { MEMO_CHARACTERS_MAX, type NewTransfer } from './payment-request.ts';
export { newTransferId } from './transfer-ids.ts';
export type { TransferResult, Transfers } from './transfers.ts';
export type { NewQueuedTransfer } from './queue/queue-arguments.ts';
export type { FlushReport, OfflineQueue, QueueEvents, QueueOptions } from './queue/offline-queue.ts';
export type { QueueLimits } from './queue/queue-rules.ts';
export { QueueFullError, QueueNotEmptyError, QueueStorageError, type QueueLimit } from './queue/queue-errors.ts';
export type {
  Claim,
  QueuedTransfer,
  QueueRow,
  QueueSelection,
  QueueState,
  QueueStore,
  QueueUsage,
  ResultMarks,
  SetAside,
} from './queue/queue-store.ts';
export { eur, money, usd } from './money.ts';
export type { Money } from '@strife/ledger';
export type {
  AccountAddress, Balance, DeclineReason, Entry, MissingPlace, Session, Transfer, TransferEvent, TransferEventKind, TransferTimeline,
} from './model.ts';
export { ERROR_CODES, type ErrorCode } from './error-codes.ts';
export {
  AuthenticationError,
  ConflictError,
  describeDecline,
  InvalidArgumentError,
  NotFoundError,
  OutcomeUnknownError,
  StrifeError,
  TlsError,
  TransferDeclinedError,
  UnavailableError,
  type Outcome,
  type StrifeErrorDetails,
} from './errors.ts';
