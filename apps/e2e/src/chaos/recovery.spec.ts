// Thousands of payments in doubt when everything dies at once: the next start resolves them all, in memory that their number hardly moves.

import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { ServiceProcess } from '@strife/cluster';
import { newTransferId } from '@strife/sdk';
import { fingerprintToWire, transferIdToWire } from '@strife/service';
import { BankServiceDefinition, ParticipantServiceDefinition, Side, VoteKind } from '@strife/stubs/bank';
import { fingerprintOf } from '@strife/two-phase-commit';
import { expectCleanBooks } from '../support/books.ts';
import { passwordOf, startTestCluster } from '../support/test-cluster.ts';
import type { Person, TestCluster } from '../support/test-cluster.ts';
import { logIdOf, viewStores } from './store-view.ts';
import type { StoreView } from './store-view.ts';
import { until } from './until.ts';

const SERVICES = ['alpha', 'beta', 'g1'] as const;
const BATCH = 1000;
const PAYMENTS = 5 * BATCH;
const PATIENT_MS = 60_000;
/** More than thousands of legs take, far less than something that grows with each of them in every step. */
const MEMORY_GROWTH_MAX_KIB = 128 * 1024;
const DEADLINE_IN_MS = 2000;

let cluster: TestCluster;
let stores: StoreView;
let payer: Person;
let payee: Person;

beforeAll(async () => {
  cluster = await startTestCluster();
  stores = viewStores(cluster.directories.data);
  [payer, payee] = await Promise.all(['alpha', 'beta'].map((bank) => cluster.person(bank, { timeoutMs: PATIENT_MS }))) as [Person, Person];
}, 60_000);
afterAll(() => cluster?.end());

/** The most memory that the process ever had. */
async function peakKib({ pid }: ServiceProcess): Promise<number> {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

const peaks = () => Promise.all(SERVICES.map((name) => peakKib(cluster.service(name))));
const doubtful = (): number[] => ['alpha', 'beta'].map((bank) => stores.prepared(bank));

/** What a gateway does until it dies: both banks have voted YES, for many payments, and nobody has decided. */
async function prepareAll(): Promise<void> {
  const participants = await Promise.all(['alpha', 'beta'].map((bank) => cluster.callers.client(ParticipantServiceDefinition, cluster.service(bank).address, 'gateway/g1')));
  const atPayers = await cluster.callers.client(BankServiceDefinition, cluster.service('alpha').address, 'gateway/g1');
  const { grant } = await atPayers.authenticate({ username: payer.name, password: passwordOf(payer.name) });
  const logId = logIdOf(cluster.directories.data, 'g1');
  const body = { from: { bank: 'alpha', account: payer.name }, to: { bank: 'beta', account: payee.name }, currency: 'EUR', amountMinor: 1n, memo: '' };
  const leg = {
    attempt: 1, fingerprint: fingerprintToWire(fingerprintOf(body)), payerAccount: payer.name, payeeAccount: payee.name, currency: 'EUR', amountMinor: 1n,
    deadlineUnixMs: BigInt(Date.now() + DEADLINE_IN_MS), grantIndex: 0,
  };
  for (let prepared = 0; prepared < PAYMENTS; prepared += BATCH) {
    const ids = Array.from({ length: BATCH }, () => transferIdToWire(newTransferId()));
    const votes = await Promise.all([
      participants[0]!.prepare({ logId, grants: [grant], legs: ids.map((transferId) => ({ ...leg, transferId, side: Side.DEBIT, peerBank: 'beta' })) }),
      participants[1]!.prepare({ logId, grants: [], legs: ids.map((transferId) => ({ ...leg, transferId, side: Side.CREDIT, peerBank: 'alpha' })) }),
    ]);
    expect(new Set(votes.flatMap((reply) => reply.votes.map(({ kind }) => kind)))).toEqual(new Set([VoteKind.YES]));
  }
}

it(`a start resolves ${PAYMENTS} payments in doubt, moves no money for them, and needs little memory`, async () => {
  await Promise.all(SERVICES.map((name) => cluster.service(name).restart()));
  await payer.strife.transfers.create({ to: payee.account, amount: { currency: 'EUR', minorUnits: 1n }, timeoutMs: PATIENT_MS });
  const usual = await peaks();
  await cluster.service('g1').kill('SIGKILL');
  await prepareAll();
  await Promise.all(['alpha', 'beta'].map((name) => cluster.service(name).kill('SIGKILL')));
  expect(doubtful()).toEqual([PAYMENTS, PAYMENTS]);

  await Promise.all(SERVICES.map((name) => cluster.service(name).restart()));
  const readyAtMs = performance.now();
  await until('nothing is in doubt', () => doubtful().every((legs) => legs === 0), PATIENT_MS);
  process.stderr.write(`${PAYMENTS} payments in doubt at two banks: resolved ${Math.round(performance.now() - readyAtMs)} ms after all were ready\n`);
  const grown = (await peaks()).map((peak, index) => peak - usual[index]!);
  expect(grown.filter((kib) => kib > MEMORY_GROWTH_MAX_KIB)).toEqual([]);
  expect([await payer.posted(), await payee.posted()]).toEqual([99_999n, 100_001n]);
  await expectCleanBooks(cluster);
}, 180_000);
