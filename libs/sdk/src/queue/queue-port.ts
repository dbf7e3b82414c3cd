// What the queue needs of the world: somebody who sends payments, and time.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Money } from '@strife/ledger';
import type { StrifeError } from '../errors.ts';
import type { Transfer } from '../model.ts';

/** A payment of the queue on its way to a gateway. */
export interface OutgoingPayment {
  readonly id: string;
  readonly to: string;
  readonly amount: Money;
  readonly memo: string;
  /** The time on the wire from which the payer's bank declines it, unless it was prepared before; undefined for never. */
  readonly expiresAtMs: number | undefined;
  /** No earlier send of this id, of this process or one before it, is without an answer. */
  readonly earlierSendsAnswered: boolean;
}

/**
 * What became of one send. `outcome: 'not_applied'` of an error is certain, and of all sends so far: where an earlier one is
 * without an answer, only who can speak for that one too may say it.
 */
export type SendResult = { ok: true; transfer: Transfer } | { ok: false; error: StrifeError };

/**
 * Why it is worth trying again at once: a gateway seems to be there again; somebody logged in, or stays logged in after all; a session
 * was renewed.
 */
export type WakeReason = 'gateway' | 'login' | 'renewal';

/** Who sends payments: the client with its sessions and gateways. */
export interface QueuePort {
  /** The account that new payments are from; undefined if nobody is logged in. */
  payer(): string | undefined;
  /** Whether there is a session for this account, so that its payments may be tried. */
  canPay(payer: string): boolean;
  /**
   * Resolves when a gateway is connected, so that payments are not written down as sent while there is none.
   *
   * @throws StrifeError if none can be reached now
   */
  reach(signal: AbortSignal): Promise<void>;
  /**
   * Sends the payments in one message, in their order, in the name of `payer` and of nobody else. Gives one result for each.
   * Ends soon after the signal aborts, and after some time of its own choice in any case.
   *
   * @throws StrifeError with outcome `not_applied` if nothing was sent; any other exception counts as sent and not answered
   */
  send(payer: string, payments: readonly OutgoingPayment[], signal: AbortSignal): Promise<readonly SendResult[]>;
  /** Calls the listener when it is worth trying again at once. Returns what ends that. */
  onWake(listener: (reason: WakeReason) => void): () => void;
}

/** Time and chance, as arguments. */
export interface QueueClock {
  /** The wall clock, milliseconds since 1970. It may be wrong, and jump. */
  unixMs(): number;
  /** In [0, 1). */
  random(): number;
  /** Resolves after the time, measured by a clock that never jumps; rejects when the signal aborts. Keeps no process alive. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemQueueClock: QueueClock = {
  unixMs: Date.now,
  random: Math.random,
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { signal, ref: false });
  },
};
