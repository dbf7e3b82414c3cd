// One log line an RPC: who called what, how it ended, how long it took, and counts. Never contents.
import { Status, type ServerError } from 'nice-grpc-common';
import { clip, reasonOf } from './errors.ts';
import { lineWriter, type Logger } from './logger.ts';

/**
 * Makes the fields that a log line shows of a method's messages. There is no response when the call failed. It must not
 * return secrets; what it throws is noted in the line and harms nothing.
 */
export type Summarize = (request: unknown, response?: unknown) => Record<string, unknown>;

/** What is known of a running call. */
export interface CallRecord {
  /** `/strife.bank.v1.BankService/GetAccount` */
  readonly method: string;
  /** The SPIFFE URI, or the address of a peer that has none. */
  readonly peer: string;
  readonly requestId: string;
  readonly startedAtMs: number;
  request?: unknown;
  requestBytes?: number;
  /** The response of a unary call. */
  response?: unknown;
  responseBytes?: number;
  /** How many messages a streaming call has sent. */
  responses?: number;
}

export interface CallLog {
  /** What the line says of the messages is only made with it, once the answer has left: they must not change any more. */
  succeeded(record: CallRecord): void;
  /** An expected failure: the handler, or the server, answered with a status. */
  failed(record: CallRecord, status: Status, error?: ServerError): void;
  /** A bug, or a broken disk: the stack is logged, and the caller only gets the request id. */
  broke(record: CallRecord, error: unknown): void;
  /** The call ended before its request was read; gRPC itself has answered. */
  lost(method: string, peer: string): void;
}

export interface CallLogOptions {
  logger: Logger;
  summarize: Readonly<Record<string, Summarize>>;
  /** Services whose successful calls are logged at debug: health checks come every few seconds for ever. */
  quietServices: readonly string[];
}

const TRANSFER_IDS_MAX = 3;

export function createCallLog({ logger, summarize, quietServices }: CallLogOptions): CallLog {
  const quiet = remembered((method) => quietServices.some((service) => method.startsWith(`/${service}/`)));
  const fields = (record: CallRecord, status: Status, endedAtMs: number): Record<string, unknown> => {
    const { method, peer, requestId, requestBytes, responseBytes, responses } = record;
    const known: Record<string, unknown> = {
      method, peer, status: Status[status],
      duration_ms: Math.round((endedAtMs - record.startedAtMs) * 1000) / 1000,
      request_id: requestId,
    };
    if (requestBytes !== undefined) known['request_bytes'] = requestBytes;
    if (responseBytes !== undefined) known['response_bytes'] = responseBytes;
    if (responses !== undefined) known['responses'] = responses;
    return Object.assign(known, summary(record, summarize[method] ?? countArrays));
  };
  return {
    succeeded(record) {
      const endedAtMs = performance.now();
      lineWriter(logger, quiet(record.method) ? 'debug' : 'info')?.('rpc', () => fields(record, Status.OK, endedAtMs));
    },
    failed(record, status, error) {
      const reason = reasonOf(error);
      logger.warn('rpc', {
        ...fields(record, status, performance.now()),
        ...(error === undefined ? {} : { detail: clip(error.details) }),
        ...(reason === undefined ? {} : { reason }),
      });
    },
    broke(record, error) {
      logger.error('rpc', { ...fields(record, Status.INTERNAL, performance.now()), error });
    },
    lost(method, peer) {
      logger.warn('rpc', { method, peer, detail: 'no whole request arrived: it was too large, badly framed, late, or cancelled' });
    },
  };
}

/** What is said of a method, which are few. */
function remembered(ask: (method: string) => boolean): (method: string) => boolean {
  const known = new Map<string, boolean>();
  return (method) => {
    const answer = known.get(method) ?? ask(method);
    known.set(method, answer);
    return answer;
  };
}

/** For summaries: how many transfers, and the first three ids. Accepts UUIDs as text or as 16 bytes. */
export function summarizeTransferIds(ids: readonly (string | Uint8Array)[]): { transfers: number; transfer_ids: string[] } {
  return { transfers: ids.length, transfer_ids: ids.slice(0, TRANSFER_IDS_MAX).map(idText) };
}

function idText(id: string | Uint8Array): string {
  if (typeof id === 'string') return clip(id);
  const hex = Buffer.from(id.subarray(0, 16)).toString('hex');
  return id.length === 16 ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : hex;
}

function summary(record: CallRecord, summarizer: Summarize): Record<string, unknown> {
  if (record.request === undefined) return {};
  try {
    return summarizer(record.request, record.response);
  } catch (error) {
    return { summary_failed: error instanceof Error ? error.message : String(error) };
  }
}

/** The default summary: the lengths of the repeated fields, such as `legs_count`. */
function countArrays(...messages: readonly unknown[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const message of messages) {
    if (typeof message !== 'object' || message === null) continue;
    for (const [field, value] of Object.entries(message)) {
      if (Array.isArray(value)) counts[`${snakeCase(field)}_count`] = value.length;
    }
  }
  return counts;
}

function snakeCase(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
