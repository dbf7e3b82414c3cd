// The walk through Strife's main job, against a running cluster: each step checks what it shows.
import assert from 'node:assert/strict';
import { formatAmount, type Money } from '@strife/ledger';
import { join } from 'node:path';
import {
  connect, eur, gatewaysFromConsul, gatewaysFromRegistryDirectory, newTransferId, StrifeError, tlsFiles, TransferDeclinedError,
  type NewTransfer, type QueuedTransfer, type Strife, type Transfer,
} from '@strife/sdk';
import { auditCluster } from './audit-command.ts';
import type { Cluster } from './cluster.ts';
import { told, type Narrator, type Told } from './narrator.ts';

/** Who takes part: alice at alpha pays bob at beta. She has an offline queue. */
interface Cast {
  readonly cluster: Cluster;
  readonly alice: Strife;
  readonly bob: Strife;
}

const PAYEE = 'beta/bob';
const DELIVERY_TIMEOUT_MS = 20_000;
const STORM_PAYMENTS = 200;
const STORM_IN_FLIGHT = 20;
/** The bank is killed when this many of the payments have been answered. */
const STORM_KILL_AFTER = 50;
const STORM_TIMEOUT_MS = 30_000;

/** What the cluster itself does not know. */
export interface WalkOptions {
  /** Where alice's offline payments are kept. */
  readonly queueFile: string;
  /** The Consul agent that the gateways are found by; without it, the embedded registry. */
  readonly consulAddress: string | undefined;
}

/** Runs all steps in order and stops at the first that fails. */
export async function walk(cluster: Cluster, narrator: Narrator, options: WalkOptions): Promise<void> {
  const cast = await narrator.step('Log in', () => logIn(cluster, options));
  try {
    await narrator.step('Balances', () => showBalances(cast));
    const paid = await narrator.step('A payment across banks', () => payOnce(cast));
    await narrator.step('The same payment again', () => payAgain(cast, paid));
    await narrator.step('A payment that alice cannot afford', () => payTooMuch(cast));
    await narrator.step("Alice's history", () => showHistory(cast, paid));
    const queued = await narrator.step('A payment while the gateway is down', () => payDuringOutage(cast));
    await narrator.step('The gateway is back', () => awaitDelivery(cast, queued));
    await narrator.step(`Bank beta is killed in the middle of ${STORM_PAYMENTS} payments, and recovers`, () => payThroughCrash(cast));
    await narrator.step('Balances', () => showBalances(cast));
    await narrator.step('Audit', async () => told(await auditCluster(cluster)));
  } finally {
    await Promise.all([cast.alice.close(), cast.bob.close()]);
  }
}

async function logIn(cluster: Cluster, options: WalkOptions): Promise<Told<Cast>> {
  const [alice, bob] = await Promise.all([logInAlice(cluster, options), cluster.login(PAYEE)]);
  return { words: 'alice at bank alpha, bob at bank beta', value: { cluster, alice, bob } };
}

/** As an application of hers would: its gateways come from a registry, and it has an offline queue. */
async function logInAlice({ directories: { certs, registry } }: Cluster, { queueFile, consulAddress }: WalkOptions): Promise<Strife> {
  const alice = await connect({
    gateways: consulAddress === undefined ? gatewaysFromRegistryDirectory(registry) : gatewaysFromConsul({ address: consulAddress }),
    tls: tlsFiles({ ca: join(certs, 'ca.pem'), cert: join(certs, 'client-dev.pem'), key: join(certs, 'client-dev.key') }),
    queue: { file: queueFile },
  });
  await alice.login({ bank: 'alpha', username: 'alice', password: 'alice-password' });
  return alice;
}

async function showBalances({ alice, bob }: Cast): Promise<Told<undefined>> {
  const [hers, his] = await Promise.all([alice.balance(), bob.balance()]);
  assert.equal(hers.held.minorUnits, 0n, 'something of alice is still held');
  return told(`alice ${written(hers.posted)}, bob ${written(his.posted)}`);
}

async function payOnce({ alice, bob }: Cast): Promise<Told<NewTransfer>> {
  const before = await minor(bob);
  const payment = { id: newTransferId(), to: PAYEE, amount: eur('12.50'), memo: 'lunch' };
  const transfer = await alice.transfers.create(payment);
  assertSucceeded(transfer, { replayed: false });
  assert.equal(await minor(bob), before + payment.amount.minorUnits, 'bob did not get the money');
  return { words: `alice paid bob ${written(payment.amount)}`, value: payment };
}

async function payAgain({ alice, bob }: Cast, payment: NewTransfer): Promise<Told<undefined>> {
  const before = await minor(bob);
  assertSucceeded(await alice.transfers.create(payment), { replayed: true });
  assert.equal(await minor(bob), before, 'the same payment moved money twice');
  return told('replayed, not repeated: the id had been answered before');
}

async function payTooMuch({ alice }: Cast): Promise<Told<undefined>> {
  const before = await minor(alice);
  const error = await failureOf(alice.transfers.create({ to: PAYEE, amount: eur('1000000.00') }));
  assert.ok(error instanceof TransferDeclinedError, `expected a decline, got ${error.message}`);
  assert.equal(await minor(alice), before, 'a declined payment moved money');
  return told(`declined, ${error.reason.replaceAll('_', ' ')}; nothing moved`);
}

async function showHistory({ alice }: Cast, payment: NewTransfer): Promise<Told<undefined>> {
  const lines: string[] = [];
  let found = false;
  for await (const entry of alice.history()) {
    found ||= entry.transferId === payment.id;
    lines.push(`${written(entry.amount)} ${entry.counterparty ?? 'deposit'}${entry.memo === '' ? '' : ` (${entry.memo})`}`);
  }
  assert.ok(found, 'the payment is not in the history');
  return told(lines.join(', '));
}

/** A payment in alice's queue, and what bob had before it. */
interface Outage {
  readonly queued: QueuedTransfer;
  readonly bobHad: bigint;
}

async function payDuringOutage({ cluster, alice, bob }: Cast): Promise<Told<Outage>> {
  const bobHad = await minor(bob);
  await cluster.service('g1').stop();
  const queued = await alice.queue.enqueue({ to: PAYEE, amount: eur('5.00'), memo: 'coffee' });
  assert.equal(queued.state, 'queued');
  return { words: `${written(queued.amount)} queued on alice's disk`, value: { queued, bobHad } };
}

/** Nobody asks for it: the queue finds the gateway and delivers. */
async function awaitDelivery({ cluster, alice, bob }: Cast, { queued, bobHad }: Outage): Promise<Told<undefined>> {
  const { promise: delivered, resolve, reject } = Promise.withResolvers<QueuedTransfer>();
  alice.queue.on('delivered', resolve);
  const timer = setTimeout(() => reject(new Error(`not delivered within ${DELIVERY_TIMEOUT_MS} ms`)), DELIVERY_TIMEOUT_MS);
  await cluster.service('g1').restart();
  const { id, state } = await delivered;
  clearTimeout(timer);
  assert.deepEqual([id, state], [queued.id, 'done']);
  assert.equal(await minor(bob), bobHad + queued.amount.minorUnits, 'bob was not paid exactly once');
  return told('delivered, without being asked for again');
}

/**
 * Keeps payments in flight, kills the payee's bank with SIGKILL among them and starts it again. The SDK asks again for what
 * was not answered, always under the same ids.
 */
async function payThroughCrash({ cluster, alice, bob }: Cast): Promise<Told<undefined>> {
  const [hers, his] = [await minor(alice), await minor(bob)];
  const bank = cluster.service('beta');
  const queue = Array.from({ length: STORM_PAYMENTS }, (_, index) => ({ to: PAYEE, amount: eur('0.01'), memo: `storm ${index}` }));
  let answered = 0;
  let recovery: Promise<void> | undefined;

  async function crashAndRecover(): Promise<void> {
    await bank.kill('SIGKILL');
    await bank.restart();
  }

  async function payFromQueue(): Promise<void> {
    for (let payment = queue.pop(); payment !== undefined; payment = queue.pop()) {
      const transfer = await alice.transfers.create({ ...payment, timeoutMs: STORM_TIMEOUT_MS });
      assert.equal(transfer.state, 'succeeded');
      answered += 1;
      if (answered === STORM_KILL_AFTER) recovery = crashAndRecover();
    }
  }

  await Promise.all(Array.from({ length: STORM_IN_FLIGHT }, payFromQueue));
  await recovery;
  const total = BigInt(STORM_PAYMENTS) * eur('0.01').minorUnits;
  assert.equal(await minor(alice), hers - total, 'alice did not pay exactly once for each');
  assert.equal(await minor(bob), his + total, 'bob was not paid exactly once for each');
  return told('all succeeded, each exactly once');
}

function written(amount: Money): string {
  return `${formatAmount(amount)} ${amount.currency}`;
}

async function minor(strife: Strife): Promise<bigint> {
  return (await strife.balance()).posted.minorUnits;
}

function assertSucceeded(transfer: Transfer, { replayed }: { replayed: boolean }): void {
  assert.equal(transfer.state, 'succeeded');
  assert.equal(transfer.replayed, replayed, replayed ? 'the id was answered anew' : 'the id had been answered before');
}

async function failureOf(call: Promise<Transfer>): Promise<StrifeError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof StrifeError) return error;
    throw error;
  }
  throw new Error('the payment succeeded, and should not have');
}
