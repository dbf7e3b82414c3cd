// A way to gateways for tests of the queue: logged-in payers, and a bank in memory whose answers a test scripts.

import { AuthenticationError, TransferDeclinedError, UnavailableError } from '../errors.ts';
import type { Transfer } from '../model.ts';
import type { OutgoingPayment, QueueClock, QueuePort, SendResult, WakeReason } from '../queue/queue-port.ts';

/** Answers one message in place of the bank; `apply` is what the bank would have done. */
export type Script = (
  payments: readonly OutgoingPayment[],
  apply: (payment: OutgoingPayment) => SendResult,
  signal: AbortSignal,
) => Promise<readonly SendResult[]> | readonly SendResult[];

export interface ScriptedPort extends QueuePort {
  /** The account that new payments are from. */
  current: string | undefined;
  readonly loggedIn: Set<string>;
  /** No gateway: none can be reached, and nothing is sent. */
  isOffline: boolean;
  /** The bank's clock. */
  bankUnixMs: () => number;
  /** Used up by one message each, before the bank answers the rest. */
  readonly scripts: Script[];
  /** Each message that was sent. */
  readonly messages: { payer: string; payments: readonly OutgoingPayment[] }[];
  /** What the bank applied, in order; an id twice would be a payment that was made twice. */
  readonly applied: { id: string; from: string; memo: string }[];
  wake(reason: WakeReason): void;
}

export function scriptedPort(account = 'alpha/alice'): ScriptedPort {
  const listeners = new Set<(reason: WakeReason) => void>();
  const decided = new Map<string, SendResult>();
  const port: ScriptedPort = {
    current: account,
    loggedIn: new Set([account]),
    isOffline: false,
    bankUnixMs: Date.now,
    scripts: [],
    messages: [],
    applied: [],
    payer: () => port.current,
    canPay: (payer) => port.loggedIn.has(payer),
    async reach() {
      if (port.isOffline) throw unavailable('not_applied');
    },
    async send(payer, payments, signal) {
      if (!port.loggedIn.has(payer)) {
        throw new AuthenticationError('nobody is logged in', { code: 'NOT_LOGGED_IN', outcome: 'not_applied' });
      }
      port.messages.push({ payer, payments });
      const apply = (payment: OutgoingPayment): SendResult => {
        const result = decided.get(payment.id) ?? decide(payer, payment, port.bankUnixMs());
        if (!decided.has(payment.id) && result.ok) port.applied.push({ id: payment.id, from: payer, memo: payment.memo });
        decided.set(payment.id, result);
        return result;
      };
      const script = port.scripts.shift();
      return script ? script(payments, apply, signal) : payments.map(apply);
    },
    onWake(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    wake(reason) {
      for (const listener of listeners) listener(reason);
    },
  };
  return port;
}

export function unavailable(outcome: 'not_applied' | 'unknown'): UnavailableError {
  return new UnavailableError('no gateway', { code: 'UNAVAILABLE', retryable: true, outcome });
}

function decide(payer: string, payment: OutgoingPayment, nowMs: number): SendResult {
  const { id, to, amount, memo, expiresAtMs } = payment;
  const transfer: Transfer = {
    id,
    from: payer,
    to,
    amount,
    memo,
    state: 'succeeded',
    replayed: false,
    createdAt: new Date(nowMs),
    decidedAt: new Date(nowMs),
  };
  const declined = (declineReason: 'expired' | 'insufficient_funds'): SendResult => ({
    ok: false,
    error: new TransferDeclinedError(declineReason, { ...transfer, state: 'declined', declineReason }),
  });
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) return declined('expired');
  return memo === 'too much' ? declined('insufficient_funds') : { ok: true, transfer };
}

/** A clock that a test turns; pauses are real, but short. */
export function turnedClock(): QueueClock & { offsetMs: number } {
  const clock = {
    offsetMs: 0,
    unixMs: () => Date.now() + clock.offsetMs,
    random: () => 0,
    sleep: (ms: number, signal: AbortSignal): Promise<void> =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason as Error);
        const timer = setTimeout(resolve, Math.min(ms, 20));
        signal.addEventListener('abort', () => (clearTimeout(timer), reject(signal.reason as Error)), { once: true });
      }),
  };
  return clock;
}
