// Who waits for transfers: the orders of one call are answered together, and each of them is told once.

import type { Haste } from './ports.ts';
import type { TransferResult } from './protocol/coordinator-machine.ts';
import type { TransferRequest } from './protocol/vocabulary.ts';

/** `decided`: reply once the outcome is durable. `settled`: reply once both banks show it too, or `settleWaitMs` later. */
export type WaitFor = 'decided' | 'settled';

/** A transfer that somebody waits for. */
export interface Order {
  readonly request: TransferRequest;
  readonly waitFor: WaitFor;
  /**
   * When the payer no longer wants it, in ms since the Unix epoch; undefined for never. The payer's bank declines it from then on,
   * unless it was prepared before. Who joins a running attempt joins it with its expiry.
   */
  readonly expiresAtMs: number | undefined;
}

/** Orders that are answered together: one promise for all of them. */
export interface Call {
  readonly orders: readonly Order[];
  readonly grant: string;
  /** In the order of the orders, as long as they are; filled as they are told. */
  readonly results: TransferResult[];
  open: number;
  readonly resolve: (results: readonly TransferResult[]) => void;
}

/** An order in its call. */
export interface Waiter {
  readonly call: Call;
  readonly index: number;
  /** What it is told, whatever comes of the run that it waits for. */
  readonly reply: TransferResult | undefined;
  /** Who else waits for the same run. */
  next: Waiter | undefined;
}

/** Something that orders wait for: nearly always one, so that it is no array. */
export interface Awaited {
  /** The first of those who wait; in which order says nothing. */
  waiters: Waiter | undefined;
}

export function orderOf({ call, index }: Waiter): Order {
  return call.orders[index]!;
}

export function isHasty(waiter: Waiter): boolean {
  return orderOf(waiter).waitFor === 'decided';
}

export function join(awaited: Awaited, waiter: Waiter): void {
  waiter.next = awaited.waiters;
  awaited.waiters = waiter;
}

/** The last of a call's orders to be told resolves it. */
export function tell({ call, index, reply }: Waiter, result: TransferResult): void {
  call.results[index] = reply ?? result;
  call.open -= 1;
  if (call.open === 0) call.resolve(call.results);
}

/** Nobody waits afterwards. */
export function tellAll(awaited: Awaited, result: TransferResult): void {
  let waiter = awaited.waiters;
  awaited.waiters = undefined;
  for (; waiter !== undefined; waiter = waiter.next) tell(waiter, result);
}

/** Tells those who wait for no more than the decision. The others wait on. */
export function tellHasty(awaited: Awaited, result: TransferResult): void {
  let waiter = awaited.waiters;
  awaited.waiters = undefined;
  while (waiter !== undefined) {
    const { next } = waiter;
    if (isHasty(waiter)) tell(waiter, result);
    else join(awaited, waiter);
    waiter = next;
  }
}

/** Whoever waits until a transfer is settled waits for its decisions; and what nobody waits for was taken up from the log and is late already. */
export function hasteOf({ waiters }: Awaited): Haste {
  for (let waiter = waiters; waiter !== undefined; waiter = waiter.next) if (!isHasty(waiter)) return 'now';
  return waiters === undefined ? 'now' : 'soon';
}
