// The first gateway dies at every step of a payment, and the client asks the second one, with a log of its own, under the same id.
//
// Each step is reached by keeping bytes back on the links between, and seen from outside: in the stores and in the proxies.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { loadTls } from '@strife/certs';
import { startCluster } from '@strife/cluster';
import type { Cluster } from '@strife/cluster';
import { connect, newTransferId, StrifeError } from '@strife/sdk';
import type { Session, Strife } from '@strife/sdk';
import { expectCleanBooks } from '../support/books.ts';
import { compileCache } from '../support/compile-cache.ts';
import { viewStores } from './store-view.ts';
import type { StoreView } from './store-view.ts';
import { startTcpProxy } from './tcp-proxy.ts';
import type { TcpProxy } from './tcp-proxy.ts';
import { until } from './until.ts';

const AMOUNT = { currency: 'EUR', minorUnits: 100n };
/** More than a ping of HTTP/2 over TLS 1.3, which is 39, and less than any message of the protocol, of which an answer with one vote is the shortest: 44. */
const MESSAGE_BYTES_MIN = 40;
/** How long one question to the second gateway may take. */
const ASK_MS = 2500;
/** Longer than a restart takes. */
const PATIENT_MS = 30_000;

let root: string;
let cluster: Cluster;
let stores: StoreView;
/** In front of the two banks, and of the first gateway for this client only. */
let payer: TcpProxy;
let payee: TcpProxy;
let first: TcpProxy;
let session: Session;
let atFirst: Strife;
let atSecond: Strife;
let bob: Strife;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'strife-first-gateway-'));
  [payer, payee, first] = await Promise.all([startTcpProxy(), startTcpProxy(), startTcpProxy()]);
  cluster = await startCluster({
    root, gateways: ['g1', 'g2'], env: compileCache, advertise: { alpha: payer.address, beta: payee.address },
  });
  payer.aim(cluster.service('alpha').address);
  payee.aim(cluster.service('beta').address);
  first.aim(cluster.service('g1').address);
  stores = viewStores(cluster.directories.data);
  const tls = await loadTls(cluster.directories.certs, 'client/dev');
  const alice = await cluster.login('alpha/alice', { timeoutMs: PATIENT_MS });
  session = alice.session!;
  await alice.close();
  bob = await cluster.login('beta/bob', { timeoutMs: PATIENT_MS });
  atFirst = await connect({ gateways: [first.address], tls, session, timeoutMs: PATIENT_MS });
  atSecond = await connect({ gateways: [cluster.service('g2').address], tls, session, timeoutMs: ASK_MS });
}, 60_000);
afterAll(async () => {
  await Promise.all([atFirst, atSecond, bob].map((client) => client?.close()));
  await cluster?.stop();
  await Promise.all([payer, payee, first].map((proxy) => proxy?.close()));
  await rm(root, { recursive: true, force: true });
});

/** Both gateways are up, both have connections to both banks, and nothing is in doubt. */
beforeEach(async () => {
  for (const proxy of [payer, payee, first]) proxy.heal();
  if (!cluster.service('g1').running) await cluster.service('g1').restart();
  for (const client of [atFirst, atSecond]) {
    await client.transfers.create({ to: 'beta/bob', amount: { currency: 'EUR', minorUnits: 1n }, timeoutMs: PATIENT_MS });
  }
  await until('nothing is in doubt', () => ['alpha', 'beta'].every((bank) => stores.prepared(bank) === 0));
}, 60_000);

const legs = (id: string): string => `${stores.leg('alpha', id)} ${stores.leg('beta', id)} ${stores.decision('g1', id)}`;
const isHeld = (proxy: TcpProxy, direction: 'in' | 'out'): boolean => proxy.held(direction) > MESSAGE_BYTES_MIN;

/** Everything up to both YES votes, which are on their way and do not arrive. */
async function untilBothPrepared(id: string): Promise<void> {
  await until('both banks have voted', () => legs(id) === 'prepared prepared absent' && isHeld(payer, 'out') && isHeld(payee, 'out'));
}

/** From there to a durable decision, of which the banks do not hear. */
async function untilDecided(id: string): Promise<void> {
  await untilBothPrepared(id);
  for (const proxy of [payer, payee]) proxy.hold('in');
  for (const proxy of [payer, payee]) proxy.release('out');
  await until('the first gateway has decided', () => legs(id) === 'prepared prepared committed' && isHeld(payer, 'in') && isHeld(payee, 'in'));
}

interface StepOfPayment {
  readonly name: string;
  /** Before the payment is sent. */
  prepare(): void;
  /** Resolves when the payment is exactly there. */
  reach(id: string): Promise<void>;
  /** Payer's leg, payee's leg, the first gateway's decision. */
  readonly seen: string;
}

const steps: readonly StepOfPayment[] = [
  {
    name: 'before any Prepare arrived', seen: 'absent absent absent',
    prepare: () => [payer, payee].forEach((proxy) => proxy.hold('in')),
    reach: () => until('both Prepares are held', () => isHeld(payer, 'in') && isHeld(payee, 'in')),
  },
  {
    name: 'when only the payer is prepared', seen: 'prepared absent absent',
    prepare: () => payee.hold('in'),
    reach: (id) => until('the payer is prepared', () => stores.leg('alpha', id) === 'prepared' && isHeld(payee, 'in')),
  },
  {
    name: 'when only the payee is prepared', seen: 'absent prepared absent',
    prepare: () => payer.hold('in'),
    reach: (id) => until('the payee is prepared', () => stores.leg('beta', id) === 'prepared' && isHeld(payer, 'in')),
  },
  {
    name: 'when both are prepared and their votes are not heard', seen: 'prepared prepared absent',
    prepare: () => [payer, payee].forEach((proxy) => proxy.hold('out')),
    reach: untilBothPrepared,
  },
  {
    name: 'when the decision is durable and not delivered', seen: 'prepared prepared committed',
    prepare: () => [payer, payee].forEach((proxy) => proxy.hold('out')),
    reach: untilDecided,
  },
  {
    name: 'when the decision is delivered to the payer only', seen: 'committed prepared committed',
    prepare: () => [payer, payee].forEach((proxy) => proxy.hold('out')),
    async reach(id) {
      await untilDecided(id);
      payer.release('in');
      await until('the payer has settled', () => stores.leg('alpha', id) === 'committed');
    },
  },
  {
    name: 'when the decision is delivered to the payee only', seen: 'prepared committed committed',
    prepare: () => [payer, payee].forEach((proxy) => proxy.hold('out')),
    async reach(id) {
      await untilDecided(id);
      payee.release('in');
      await until('the payee has settled', () => stores.leg('beta', id) === 'committed');
    },
  },
  {
    name: 'when the decision is delivered to both and the client is not answered', seen: 'committed committed committed',
    prepare: () => first.hold('out'),
    reach: (id) => until('both have settled', () => legs(id) === 'committed committed committed' && isHeld(first, 'out')),
  },
];

/** Asks the second gateway once; undefined while it cannot say for certain. */
async function askSecond(id: string): Promise<'succeeded' | undefined> {
  try {
    await atSecond.transfers.create({ id, to: 'beta/bob', amount: AMOUNT });
    return 'succeeded';
  } catch (error) {
    if (error instanceof StrifeError && error.retryable && error.outcome !== 'applied') return undefined;
    throw error;
  }
}

const posted = async (): Promise<bigint[]> => {
  const [hers, his] = await Promise.all([atSecond.balance({ timeoutMs: PATIENT_MS }), bob.balance({ timeoutMs: PATIENT_MS })]);
  return [hers.posted.minorUnits, his.posted.minorUnits];
};

describe.each([
  { when: 'comes back while the second is asked', lost: true },
  { when: 'comes back after the second was asked', lost: false },
])('the first gateway is killed, and $when', ({ lost }) => {
  it.each(steps)('$name: the money moves once, and the client is told so', async ({ prepare, reach, seen }) => {
    const id = newTransferId();
    const before = await posted();
    prepare();
    const answer = atFirst.transfers.create({ id, to: 'beta/bob', amount: AMOUNT, timeoutMs: ASK_MS }).then(() => 'succeeded', () => 'no answer');
    await reach(id);
    expect(legs(id)).toBe(seen);
    await cluster.service('g1').kill('SIGKILL');
    // What was on its way is lost with the first gateway, or arrives late, after it died.
    if (lost) for (const proxy of [payer, payee, first]) proxy.cut();
    for (const proxy of [payer, payee]) proxy.heal();

    let told = lost ? undefined : await askSecond(id);
    const bankLegs = [stores.leg('alpha', id), stores.leg('beta', id)];
    // What is only prepared, the first gateway has decided or may still decide: until it is back, nobody can say anything for certain.
    if (told !== undefined) expect(bankLegs).toContain('committed');
    else if (!lost) expect(bankLegs).not.toContain('committed');
    const restarting = cluster.service('g1').restart();
    if (!lost) await restarting;
    await until('the second gateway says for certain', async () => (told ??= await askSecond(id)) !== undefined, PATIENT_MS);
    await restarting;
    first.heal();
    await answer;

    await until('nothing is in doubt', () => ['alpha', 'beta'].every((bank) => stores.prepared(bank) === 0));
    expect([stores.leg('alpha', id), stores.leg('beta', id)]).toEqual(['committed', 'committed']);
    expect(await posted()).toEqual([before[0]! - AMOUNT.minorUnits, before[1]! + AMOUNT.minorUnits]);
    expect(await atSecond.transfers.create({ id, to: 'beta/bob', amount: AMOUNT, timeoutMs: PATIENT_MS })).toMatchObject({ state: 'succeeded', replayed: true });
  }, 90_000);
});

describe('after all of that', () => {
  it('the books are clean', async () => {
    await expectCleanBooks(cluster);
  });
});
