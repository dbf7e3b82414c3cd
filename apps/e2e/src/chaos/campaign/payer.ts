// A client as a process of its own: pays at random from one account without end, repeats what has no certain answer under the same ids,
// also after it was killed, and reads its account meanwhile. `finish` on its input: no new payments; ends when all have an answer.

import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { loadTls } from '@strife/certs';
import { AuthenticationError, connect, newTransferId, StrifeError, TransferDeclinedError } from '@strife/sdk';
import type { NewTransfer, Strife, TransferResult } from '@strife/sdk';
import { seededRandom } from '../seeded-random.ts';
import { openJournal, readJournal } from './journal.ts';
import type { JournalEvent } from './journal.ts';

export interface PayerConfig {
  readonly gateways: readonly string[];
  readonly certsDirectory: string;
  readonly bank: string;
  readonly username: string;
  readonly password: string;
  readonly payees: readonly string[];
  readonly journal: string;
  readonly seed: number;
}

interface Payment {
  readonly id: string;
  readonly to: string;
  readonly minor: string;
}

const CALLERS = 4;
const BATCH_MAX = 150;
const PAUSE_MS = 30;
const CALL_TIMEOUT_MS = 6000;
const ENTRIES_READ = 25;
/** Payments that no bank accepts: too much money, and nobody there. */
const DECLINED_SHARE = 0.03;
const TOO_MUCH = '1000000000000';

const config = JSON.parse(process.argv[2] ?? '') as PayerConfig;
const account = `${config.bank}/${config.username}`;
const random = seededRandom(config.seed);
const journal = openJournal(config.journal);
let finishing = false;
let login: Promise<void> | undefined;

const strife = await connect({
  gateways: config.gateways, tls: await loadTls(config.certsDirectory, 'client/dev'), timeoutMs: CALL_TIMEOUT_MS,
});
const open = unanswered(readJournal(config.journal));
journal.add({ op: 'started' });
createInterface({ input: process.stdin }).on('line', () => (finishing = true)).on('close', () => process.exit(1));
await Promise.all([...Array.from({ length: CALLERS }, pay), read()]);
await readOnce();
journal.add({ op: 'finished' });
await strife.close();
process.exit(0);

/** What a client process that was killed had sent and not heard of. */
function unanswered(events: readonly JournalEvent[]): Payment[] {
  const found = new Map<string, Payment>();
  for (const event of events) {
    if (event.op === 'send') found.set(event.id, event);
    else if (event.op === 'ok' || event.op === 'declined' || event.op === 'failed') found.delete(event.id);
  }
  return [...found.values()];
}

async function pay(): Promise<void> {
  while (!finishing || open.length > 0) {
    const batch = open.splice(0, BATCH_MAX);
    if (batch.length === 0 && !finishing) batch.push(...newPayments());
    const answers = await attempt(batch);
    journal.add(...batch.map((payment, index) => eventOf(payment, answers[index])));
    open.push(...batch.filter((_, index) => eventOf(batch[index]!, answers[index]).op === 'unknown'));
    await delay(PAUSE_MS);
  }
}

function newPayments(): Payment[] {
  const payments = Array.from({ length: random.between(1, BATCH_MAX) }, (): Payment => {
    const isDeclined = random.next() < DECLINED_SHARE;
    const to = isDeclined && random.next() < 0.5 ? 'beta/nobody' : random.pick(config.payees);
    return { id: newTransferId(), to, minor: isDeclined ? TOO_MUCH : String(random.between(1, 50)) };
  });
  journal.add(...payments.map((payment) => ({ op: 'send' as const, from: account, ...payment })));
  return payments;
}

/** One result for each payment, or none at all. */
async function attempt(batch: readonly Payment[]): Promise<readonly (TransferResult | undefined)[]> {
  if (batch.length === 0) return [];
  const transfers = batch.map(({ id, to, minor }): NewTransfer => ({ id, to, amount: { currency: 'EUR', minorUnits: BigInt(minor) } }));
  return (await asCustomer((client) => client.transfers.createMany(transfers))) ?? [];
}

function eventOf({ id }: Payment, result: TransferResult | undefined): Extract<JournalEvent, { id: string }> {
  if (result === undefined) return { op: 'unknown', id, code: 'NO_ANSWER' };
  if (result.ok) return { op: 'ok', id };
  const { error } = result;
  if (error instanceof TransferDeclinedError) return { op: 'declined', id, reason: error.reason };
  if (error instanceof AuthenticationError) login = undefined;
  const isOpen = error.retryable || error.outcome !== 'not_applied' || error instanceof AuthenticationError;
  return isOpen ? { op: 'unknown', id, code: error.code } : { op: 'failed', id, code: error.code };
}

/** Reads one after the other, so that each happened before the next. */
async function read(): Promise<void> {
  while (!finishing) {
    await readOnce();
    await delay(PAUSE_MS * random.between(1, 20));
  }
}

async function readOnce(): Promise<void> {
  const balance = await asCustomer((client) => client.balance());
  if (balance !== undefined) journal.add({ op: 'balance', account, posted: String(balance.posted.minorUnits) });
  const entries = await asCustomer(async (client) => {
    const found = [];
    for await (const { transferId, amount, posted } of client.history({ pageSize: ENTRIES_READ })) {
      found.push({ id: transferId ?? null, amount: String(amount.minorUnits), posted: String(posted.minorUnits) });
      if (found.length === ENTRIES_READ) break;
    }
    return found;
  });
  if (entries !== undefined) journal.add({ op: 'entries', account, entries });
}

/** Undefined when it failed: sessions that are over are begun anew, everything else is for a later call. */
async function asCustomer<T>(work: (client: Strife) => Promise<T>): Promise<T | undefined> {
  try {
    login ??= logIn();
    await login;
    return await work(strife);
  } catch (error) {
    if (!(error instanceof StrifeError)) throw error;
    if (error instanceof AuthenticationError) login = undefined;
    await delay(PAUSE_MS * 5);
    return undefined;
  }
}

/** One for all calls that need it; the next one begins anew when it fails. */
async function logIn(): Promise<void> {
  const { bank, username, password } = config;
  try {
    await strife.login({ bank, username, password });
  } catch (error) {
    login = undefined;
    throw error;
  }
}
