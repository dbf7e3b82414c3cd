// For tests: an offline queue in a folder of its own, over a scripted port and a clock that is turned by hand.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';
import { eur } from '../money.ts';
import { openQueue, type ClientQueue, type QueueOptions } from '../queue/offline-queue.ts';
import type { OutgoingPayment, SendResult } from '../queue/queue-port.ts';
import { scriptedPort, turnedClock, unavailable, type ScriptedPort } from './scripted-port.ts';

export const toBob = { to: 'beta/bob', amount: eur('1.00') };

// Of the test that runs.
export let folder: string;
export let port: ScriptedPort;
export let clock: ReturnType<typeof turnedClock>;
export let queue: ClientQueue;
let opened: ClientQueue[];

/** Each test of the file begins with an empty queue. */
export function setUpQueue(): void {
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'strife-queue-'));
    port = scriptedPort();
    clock = turnedClock();
    opened = [];
    queue = await open();
  });

  afterEach(async () => {
    for (const each of opened) await each.close();
    rmSync(folder, { recursive: true });
  });
}

/** Another queue on the same file, closed with the test. */
export async function open(options: QueueOptions = {}, through = port): Promise<ClientQueue> {
  const made = await openQueue({ file: join(folder, 'queue.db'), ...options }, through, clock);
  opened.push(made);
  return made;
}

/** Closes `queue`, and opens the file anew. */
export async function reopen(options: QueueOptions = {}): Promise<void> {
  await queue.close();
  queue = await open(options);
}

/** The next `count` results from the beginning of the queue's life. */
export async function results(count: number, from = queue): Promise<string[]> {
  const found: string[] = [];
  for await (const { state, memo } of from.results({ after: 0 })) {
    found.push(memo ? `${memo}: ${state}` : state);
    if (found.length === count) break;
  }
  return found;
}

/** The answers to payments whose answers were lost. */
export const lost = (payments: readonly OutgoingPayment[]): SendResult[] =>
  payments.map(() => ({ ok: false, error: unavailable('unknown') }));
