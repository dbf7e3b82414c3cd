// What every call of one client shares: its gateways, its session, its time and its end.

import { Metadata } from 'nice-grpc-common';
import type { Budget, Clock } from './budget.ts';
import type { GatewayPool } from './gateway-pool.ts';
import type { SessionKeeper } from './session-keeper.ts';

/** Accepted by every call. */
export interface CallOptions {
  /** The time for the call with all its repetitions; default: that of `connect`. */
  timeoutMs?: number | undefined;
  /**
   * Cancels the call. A payment that was cancelled after it was sent fails with OutcomeUnknownError; cancelling does
   * not take it back.
   */
  signal?: AbortSignal | undefined;
}

/** Accepted by calls that read lists page by page. `timeoutMs` is for each page. */
export interface PageOptions extends CallOptions {
  /** The most items to return; default: all. */
  limit?: number | undefined;
  /** Items fetched at a time, 1 to 1000; default 50. */
  pageSize?: number | undefined;
}

export interface CallContext {
  readonly gateways: GatewayPool;
  readonly clock: Clock;
  /** Aborts when the client is closed. */
  readonly closing: AbortSignal;
  /** Starts a call's time. Throws InvalidArgumentError for a bad `timeoutMs` or `signal`. */
  budget(options?: CallOptions): Budget;
  /** The time of a call that says none, or says this one. Throws InvalidArgumentError as `budget` does. */
  checkedTimeoutMs(options?: CallOptions): number;
  /** The login of a call that begins now. Throws AuthenticationError when nobody is logged in. */
  login(): SessionKeeper;
}

export function bearer(token: string): Metadata {
  return Metadata({ authorization: `Bearer ${token}` });
}
