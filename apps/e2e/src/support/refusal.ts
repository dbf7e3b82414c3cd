// What a refused call tells its caller: status, message and error details, in one flat value that tests can compare.

import { expect } from '@jest/globals';
import type { StrifeError } from '@strife/sdk';
import { ClientError, Status } from 'nice-grpc';
import { RichClientError } from 'nice-grpc-error-details';
import type { BadRequest, ErrorInfo } from 'nice-grpc-error-details';

export interface Refusal {
  /** `INVALID_ARGUMENT` */
  readonly status: string;
  readonly message: string;
  readonly reason: string | undefined;
  readonly field: string | undefined;
  readonly outcome: string | undefined;
  readonly retryable: string | undefined;
  readonly requestId: string | undefined;
  readonly transferId: string | undefined;
  /** The fields of google.rpc.BadRequest. */
  readonly violations: readonly string[];
}

/** @throws Error when the call succeeds, or fails by itself instead of being refused. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ClientError) return describe(error);
    throw error;
  }
  throw new Error('the call succeeded, and should have been refused');
}

/** The error of a kind that a call of the SDK fails with. */
export async function failureOf<Failure extends StrifeError>(call: Promise<unknown>, kind: abstract new (...args: never[]) => Failure): Promise<Failure> {
  const error: unknown = await call.then(() => 'no failure', (reason: unknown) => reason);
  expect(error).toBeInstanceOf(kind);
  return error as Failure;
}

function describe(error: ClientError): Refusal {
  const details = error instanceof RichClientError ? error.extra : [];
  const info = details.find((detail): detail is ErrorInfo => detail.$type === 'google.rpc.ErrorInfo' && detail.domain === 'strife');
  const bad = details.find((detail): detail is BadRequest => detail.$type === 'google.rpc.BadRequest');
  const metadata = info?.metadata ?? {};
  return {
    status: Status[error.code],
    message: error.details,
    reason: info?.reason,
    field: metadata['field'],
    outcome: metadata['outcome'],
    retryable: metadata['retryable'],
    requestId: metadata['request_id'],
    transferId: metadata['transfer_id'],
    violations: bad?.fieldViolations.map(({ field }) => field) ?? [],
  };
}

/** Traces of the program's inside: a stack, a file, a module, a class of errors. */
const INSIDE = /\n|\bat \S+ \(|:\d+:\d+|(?:^|[\s'"(])\/[\w.-]+\/|\.(?:ts|js|mjs|sqlite)\b|\bnode:|\bfile:|Error:|undefined|\[object/;

/** Holds for every refusal that our servers word themselves. */
export function expectWellWorded(refusal: Refusal): void {
  const { message, requestId, reason, outcome, field, violations } = refusal;
  expect(message).not.toMatch(INSIDE);
  expect(message.length).toBeLessThanOrEqual(512);
  expect(requestId).toMatch(/^[\w-]{1,64}$/);
  expect(reason).toMatch(/^[A-Z][A-Z0-9_]+$/);
  expect(outcome).toBe('not_applied');
  if (field === undefined) return;
  expect(violations).toEqual([field]);
  expect(message).toContain(field);
}
