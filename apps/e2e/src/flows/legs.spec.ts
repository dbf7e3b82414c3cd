// What a bank takes from a gateway: legs and decisions that are well-formed, debits with a grant of the payer's, and nothing from another log.

import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createGrants } from '@strife/auth';
import { newTransferId } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import { Acknowledgement, BankServiceDefinition, DecisionOutcome, ParticipantServiceDefinition, Side, VoteKind } from '@strife/stubs/bank';
import type { Leg, ParticipantServiceClient } from '@strife/stubs/bank';
import { fingerprintOf } from '@strife/two-phase-commit';
import { expectCleanBooks, quietStoreContents, storeContents } from '../support/books.ts';
import { idBytes } from '../support/callers.ts';
import { expectWellWorded, refusalOf } from '../support/refusal.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';
import { keysOf } from '../support/tokens.ts';

const LOG = 'g1.a-log-that-nobody-serves';

let cluster: TestCluster;
let alice: Strife;
let participants: Record<'alpha' | 'beta', ParticipantServiceClient>;
let grant: string;
let before: ReturnType<typeof storeContents>;

beforeAll(async () => {
  cluster = await startTestCluster();
  alice = await cluster.login('alpha/alice');
  const participant = (bank: string) => cluster.callers.client(ParticipantServiceDefinition, cluster.service(bank).address, 'gateway/g1');
  participants = { alpha: await participant('alpha'), beta: await participant('beta') };
  grant = await grantOf('alpha', 'alice');
  before = await quietStoreContents(cluster);
}, 60_000);
afterAll(async () => {
  await alice?.close();
  await cluster?.end();
});

function expectNothingWritten(): void {
  expect(storeContents(cluster)).toEqual(before);
}

/** alice at alpha pays bob at beta, or carol at alpha, as one of the two banks sees it. */
function leg(side: Side, change: Partial<Leg> = {}): Leg {
  const payee = side === Side.BOTH ? { bank: 'alpha', account: 'carol' } : { bank: 'beta', account: 'bob' };
  const fields = { payerAccount: 'alice', payeeAccount: payee.account, currency: 'EUR', amountMinor: 100n, memo: '', ...change };
  const body = { from: { bank: 'alpha', account: fields.payerAccount }, to: { ...payee, account: fields.payeeAccount }, currency: fields.currency, amountMinor: fields.amountMinor, memo: fields.memo };
  return {
    transferId: idBytes(newTransferId()), attempt: 1, fingerprint: Buffer.from(fingerprintOf(body), 'hex'), side,
    peerBank: side === Side.DEBIT ? 'beta' : 'alpha', deadlineUnixMs: BigInt(Date.now() + 60_000), expiresAtUnixMs: 0n, grantIndex: 0, ...fields,
  };
}

async function expiredGrant(account: string): Promise<string> {
  const keys = await keysOf(cluster.directories.data, 'bank-alpha');
  return (await createGrants({ keys, bank: 'alpha', lifetimeMs: 1000, nowMs: () => Date.now() - 5000 }).issue({ account, currency: 'EUR', sessionId: 'none' })).grant;
}

async function grantOf(bank: 'alpha' | 'beta', username: string): Promise<string> {
  const client = await cluster.callers.client(BankServiceDefinition, cluster.service(bank).address, 'gateway/g1');
  return (await client.authenticate({ username, password: `${username}-password` })).grant;
}

it.each<[string, () => Promise<string[]>]>([
  ['no grant', async () => []],
  ['an empty grant', async () => ['']],
  ['garbage for a grant', async () => ['garbage.garbage.garbage']],
  ["another account's grant", async () => [await grantOf('alpha', 'carol')]],
  ["another bank's grant", async () => [await grantOf('beta', 'bob')]],
  ['an expired grant', async () => [await expiredGrant('alice')]],
  ["a user's session token", async () => [alice.session!.token]],
  ['a grant at another index', async () => ['', await grantOf('alpha', 'alice')]],
  ['a good grant behind the end of the list', async () => [grant].slice(1)],
])('a debit with %s is not voted for', async (_name, grants) => {
  const request = { logId: LOG, grants: await grants(), legs: [leg(Side.DEBIT), leg(Side.BOTH)] };
  const { votes } = await participants.alpha.prepare(request);
  expect(votes.map(({ kind }) => kind)).toEqual([VoteKind.UNAUTHORIZED, VoteKind.UNAUTHORIZED]);
  expectNothingWritten();
});

it("a grant pays from its own account only, also beside others' debits", async () => {
  const legs = [leg(Side.DEBIT, { payerAccount: 'carol' }), leg(Side.BOTH, { payerAccount: 'carol', payeeAccount: 'alice' })];
  const { votes } = await participants.alpha.prepare({ logId: LOG, grants: [grant], legs });
  expect(votes.map(({ kind }) => kind)).toEqual([VoteKind.UNAUTHORIZED, VoteKind.UNAUTHORIZED]);
  expectNothingWritten();
});

it.each<[string, Partial<Leg>]>([
  ['transfer_id', { transferId: Buffer.alloc(15) }],
  ['attempt', { attempt: 0 }],
  ['fingerprint', { fingerprint: Buffer.alloc(16) }],
  ['fingerprint', { fingerprint: Buffer.alloc(3) }],
  ['side', { side: Side.UNSPECIFIED }],
  ['side', { side: 9 as Side }],
  ['payer_account', { payerAccount: '' }],
  ['payee_account', { payeeAccount: '' }],
  ['peer_bank', { peerBank: '' }],
  ['peer_bank', { peerBank: 'alpha' }],
  ['currency', { currency: 'EURO' }],
  ['amount_minor', { amountMinor: 0n }],
  ['amount_minor', { amountMinor: -5n }],
  ['amount_minor', { amountMinor: 10n ** 15n + 1n }],
  ['memo', { memo: 'm'.repeat(141) }],
  ['attempt', { attempt: 2 ** 32 - 1 }],
  ['deadline_unix_ms', { deadlineUnixMs: 2n ** 63n - 1n }],
  ['deadline_unix_ms', { deadlineUnixMs: -(2n ** 63n) }],
  ['payee_account', { payeeAccount: 'x'.repeat(100_000) }],
])('a leg with a wrong %s is invalid: %j', async (field, change) => {
  const { votes } = await participants.alpha.prepare({ logId: LOG, grants: [grant], legs: [{ ...leg(Side.DEBIT), ...change }] });
  expect(votes).toMatchObject([{ kind: VoteKind.INVALID, field }]);
  expectNothingWritten();
});

it.each<[string, () => Promise<unknown>, string]>([
  ['no legs', () => participants.alpha.prepare({ logId: LOG, legs: [] }), 'legs'],
  ['too many legs', () => participants.alpha.prepare({ logId: LOG, legs: new Array(10_001).fill({}) }), 'legs'],
  ['no log', () => participants.alpha.prepare({ logId: '', legs: [leg(Side.DEBIT)] }), 'log_id'],
  ['a log of 65 characters', () => participants.alpha.prepare({ logId: 'l'.repeat(65), legs: [leg(Side.DEBIT)] }), 'log_id'],
  ['more grants than legs', async () => participants.alpha.prepare({ logId: LOG, grants: ['a', 'b'], legs: [leg(Side.CREDIT)] }), 'grants'],
  ['no decisions', () => participants.alpha.decide({ logId: LOG, decisions: [] }), 'decisions'],
  ['an empty decision', () => participants.alpha.decide({ logId: LOG, decisions: [{}] }), 'decisions[0].transfer_id'],
  ['an empty decision beside a leg', () => participants.alpha.prepare({ logId: LOG, legs: [leg(Side.CREDIT)], decisions: [{}] }), 'decisions[0].transfer_id'],
  ['too many decisions beside a leg', () => participants.alpha.prepare({ logId: LOG, legs: [leg(Side.CREDIT)], decisions: new Array(10_001).fill({}) }), 'decisions'],
  ['a decision without an outcome', () => participants.alpha.decide({ logId: LOG, decisions: [{ transferId: Buffer.alloc(16), attempt: 1, fingerprint: Buffer.alloc(16) }] }), 'decisions[0].outcome'],
])('a call with %s is refused whole', async (_name, call, field) => {
  const refusal = await refusalOf(call());
  expect(refusal).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'INVALID_BATCH', field });
  expectWellWorded(refusal);
  expectNothingWritten();
});

it("another gateway's log is not obeyed, whoever it is that asks", async () => {
  const decision = { transferId: idBytes(newTransferId()), attempt: 1, fingerprint: Buffer.alloc(16), outcome: DecisionOutcome.ABORT };
  const refusals = await Promise.all([
    refusalOf(participants.alpha.prepare({ logId: 'g2.its-log', legs: [leg(Side.CREDIT)] })),
    refusalOf(participants.alpha.decide({ logId: 'g2.its-log', decisions: [decision] })),
  ]);
  for (const refusal of refusals) {
    expect(refusal).toMatchObject({ status: 'PERMISSION_DENIED', reason: 'OTHER_LOG', field: 'log_id' });
    expectWellWorded(refusal);
  }
  expectNothingWritten();
});

it('a commit of what was never prepared is refused, and nothing is written', async () => {
  const decision = { transferId: idBytes(newTransferId()), attempt: 1, fingerprint: Buffer.alloc(16), outcome: DecisionOutcome.COMMIT };
  expect(await participants.alpha.decide({ logId: LOG, decisions: [decision] })).toMatchObject({ acknowledgements: [Acknowledgement.REFUSED] });
  expectNothingWritten();
});

it('anybody may be paid: a credit needs no grant, holds nothing that could be spent, and can be given up', async () => {
  const credit = leg(Side.CREDIT);
  const { votes } = await participants.beta.prepare({ logId: LOG, legs: [credit] });
  expect(votes).toMatchObject([{ kind: VoteKind.YES }]);
  await using bob = await cluster.login('beta/bob');
  const { posted, available } = await bob.balance();
  expect(available).toEqual(posted);

  const { transferId, fingerprint } = credit;
  const decide = (logId: string, outcome: DecisionOutcome, attempt = 1) => participants.beta.decide({ logId, decisions: [{ transferId, fingerprint, attempt, outcome }] });
  // Another coordinator can neither settle nor release it.
  expect(await decide('g1.another-log', DecisionOutcome.COMMIT)).toMatchObject({ acknowledgements: [Acknowledgement.REFUSED] });
  await decide('g1.another-log', DecisionOutcome.ABORT);
  expect(await participants.beta.prepare({ logId: 'g1.another-log', legs: [credit] })).toMatchObject({ votes: [{ kind: VoteKind.BUSY }] });
  expect(await participants.beta.prepare({ logId: LOG, legs: [credit] })).toMatchObject({ votes: [{ kind: VoteKind.YES }] });

  expect(await decide(LOG, DecisionOutcome.ABORT)).toMatchObject({ acknowledgements: [Acknowledgement.DONE] });
  expect(await participants.beta.prepare({ logId: LOG, legs: [credit] })).toMatchObject({ votes: [{ kind: VoteKind.FENCED, fence: 1 }] });

  // Decisions may travel along with legs.
  const another = leg(Side.CREDIT);
  const abort = ({ transferId, fingerprint }: Leg) => ({ transferId, fingerprint, attempt: 1, outcome: DecisionOutcome.ABORT });
  const commit = { ...abort(leg(Side.CREDIT)), outcome: DecisionOutcome.COMMIT };
  expect(await participants.beta.prepare({ logId: LOG, legs: [another], decisions: [abort(credit), commit] })).toMatchObject({
    votes: [{ kind: VoteKind.YES }], acknowledgements: [Acknowledgement.DONE, Acknowledgement.REFUSED],
  });
  expect(await participants.beta.prepare({ logId: LOG, legs: [credit], decisions: [abort(another)] })).toMatchObject({
    votes: [{ kind: VoteKind.FENCED }], acknowledgements: [Acknowledgement.DONE],
  });
  expect((await bob.balance()).posted).toEqual(posted);
});

it('ends with clean books', async () => {
  await expectCleanBooks(cluster);
});
