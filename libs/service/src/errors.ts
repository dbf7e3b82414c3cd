// Errors that a caller gets: a gRPC status with google.rpc details, so that programs need not read the message.
import type { ClientError, Status } from 'nice-grpc-common';
import { BadRequest, BadRequest_FieldViolation, ErrorInfo, RichClientError, RichServerError } from 'nice-grpc-error-details';
import { TEXT_CHARS_MAX } from './limits.ts';

/** What became of the transfer that the call was about. */
export type ErrorOutcome = 'not_applied' | 'applied' | 'unknown';

export interface RpcErrorOptions {
  code: Status;
  /** For a person; names the field when one is at fault. */
  message: string;
  /** For a program: UPPER_SNAKE, stable for ever. */
  reason: string;
  /** The request field at fault, such as `amount.minor_units`. */
  field?: string;
  outcome?: ErrorOutcome;
  /** Whether the same call may be sent again and may then succeed. */
  retryable?: boolean;
  transferId?: string;
  /** Filled in by the server when left out. */
  requestId?: string;
}

export const ERROR_DOMAIN = 'strife';

const REASON = /^[A-Z][A-Z0-9_]{0,62}$/;

/**
 * An error to throw from a handler. It carries an ErrorInfo (domain `strife`) and, with a field, a BadRequest; texts are cut
 * at 512 characters, since they travel in headers.
 *
 * @throws TypeError when the reason is not UPPER_SNAKE.
 */
export function rpcError(options: RpcErrorOptions): RichServerError {
  if (!REASON.test(options.reason)) throw new TypeError(`not a stable reason: ${options.reason}`);
  const message = clip(options.message);
  const metadata: Record<string, string> = {};
  if (options.field !== undefined) metadata['field'] = clip(options.field);
  if (options.outcome !== undefined) metadata['outcome'] = options.outcome;
  if (options.retryable !== undefined) metadata['retryable'] = String(options.retryable);
  if (options.transferId !== undefined) metadata['transfer_id'] = clip(options.transferId);
  if (options.requestId !== undefined) metadata['request_id'] = options.requestId;

  const details: ConstructorParameters<typeof RichServerError>[2] = [
    ErrorInfo.fromPartial({ domain: ERROR_DOMAIN, reason: options.reason, metadata }),
  ];
  if (options.field !== undefined) {
    const violation = BadRequest_FieldViolation.fromPartial({ field: clip(options.field), description: message });
    details.push(BadRequest.fromPartial({ fieldViolations: [violation] }));
  }
  return new RichServerError(options.code, message, details);
}

/** The error with the request id, unless it has one. A copy: callers that joined one piece of work are thrown the same error. */
export function withRequestId(error: RichServerError, requestId: string): RichServerError {
  const details = error.extra.map((detail) =>
    isErrorInfo(detail) ? { ...detail, metadata: { request_id: requestId, ...detail.metadata } } : detail,
  );
  return new RichServerError(error.code, error.details, details);
}

/**
 * What a server's `rpcError` said of a failed call, for whoever passes it on. The client must use
 * `errorDetailsClientMiddleware`; undefined for an error without our details.
 */
export function receivedDetails(error: ClientError): { reason: string; field?: string; retryable: boolean } | undefined {
  const info = error instanceof RichClientError ? error.extra.find(isErrorInfo) : undefined;
  if (info === undefined || info.domain !== ERROR_DOMAIN || !REASON.test(info.reason)) return undefined;
  const field = info.metadata['field'];
  const told = { reason: info.reason, retryable: info.metadata['retryable'] === 'true' };
  return field === undefined ? told : { ...told, field };
}

/** The stable reason of an error that `rpcError` made; undefined for any other. */
export function reasonOf(error: unknown): string | undefined {
  return !(error instanceof RichServerError) ? undefined : error.extra.find(isErrorInfo)?.reason;
}

/** Cuts a text for a header or a log line; never ends in half a character. */
export function clip(text: string): string {
  return (text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 1)}…`).toWellFormed();
}

function isErrorInfo(detail: object): detail is ErrorInfo {
  return '$type' in detail && detail.$type === ErrorInfo.$type;
}
