// @strife/sdk: the client of the Strife payment gateway.

export { connect, type ConnectOptions, type Credentials, type Strife } from './connect.ts';
export type { TlsOptions } from './gateway-tls.ts';
export type { CallOptions, PageOptions } from './call-context.ts';
export {
  MEMO_CHARACTERS_MAX,
  newTransferId,
  type NewTransfer,
  type TransferResult,
  type Transfers,
} from './transfers.ts';
export { eur, money, usd } from './money.ts';
export type { Money } from '@strife/ledger';
export type { AccountAddress, Balance, DeclineReason, Entry, Session, Transfer } from './model.ts';
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
