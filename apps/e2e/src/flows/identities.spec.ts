// Who may say what to whom: every service and every role, bad certificates, banks without a part, and debits without a grant.

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createGrants } from '@strife/auth';
import { createAuthority, loadTls, spiffeUri } from '@strife/certs';
import type { LeafOptions, TlsMaterial } from '@strife/certs';
import type { ServiceProcess } from '@strife/cluster';
import { connect, newTransferId, TlsError } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import {
  Acknowledgement, AdminServiceDefinition, BankServiceDefinition, DecisionOutcome, ParticipantServiceDefinition, Side, VoteKind,
} from '@strife/stubs/bank';
import type { Leg, ParticipantServiceClient } from '@strife/stubs/bank';
import {
  AccountServiceDefinition, CoordinatorServiceDefinition, InquiryOutcome, PeerServiceDefinition, SessionServiceDefinition, TransferServiceDefinition,
} from '@strife/stubs/gateway';
import { fingerprintOf } from '@strife/two-phase-commit';
import { HealthDefinition } from 'nice-grpc-server-health';
import { expectCleanBooks, quietStoreContents, released, storeContents } from '../support/books.ts';
import { bearer } from '../support/callers.ts';
import type { ClientTls } from '../support/callers.ts';
import { isOverConsul } from '../support/discovery.ts';
import { expectWellWorded, refusalOf } from '../support/refusal.ts';
import type { Refusal } from '../support/refusal.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';
import { keysOf } from '../support/tokens.ts';

let cluster: TestCluster;
let gateway: ServiceProcess;
let alpha: ServiceProcess;
let beta: ServiceProcess;
let alice: Strife;
let before: ReturnType<typeof storeContents>;

beforeAll(async () => {
  cluster = await startTestCluster();
  [gateway, alpha, beta] = ['g1', 'alpha', 'beta'].map((name) => cluster.service(name)) as [ServiceProcess, ServiceProcess, ServiceProcess];
  alice = await cluster.login('alpha/alice');
  before = await quietStoreContents(cluster);
}, 60_000);
afterAll(async () => {
  await alice?.close();
  await cluster?.end();
});

function expectNothingWritten(): void {
  expect(storeContents(cluster)).toEqual(before);
}

describe('roles', () => {
  const roles = { gateway: 'gateway/g1', bank: 'bank/beta', client: 'client/dev', operator: 'operator/root' } as const;
  type Role = keyof typeof roles;

  const services: readonly { at: () => ServiceProcess; definition: { fullName: string; methods: Record<string, { name: string }> }; allowed: readonly Role[] }[] = [
    { at: () => gateway, definition: SessionServiceDefinition, allowed: ['client', 'operator'] },
    { at: () => gateway, definition: AccountServiceDefinition, allowed: ['client', 'operator'] },
    { at: () => gateway, definition: TransferServiceDefinition, allowed: ['client', 'operator'] },
    { at: () => gateway, definition: CoordinatorServiceDefinition, allowed: ['bank'] },
    { at: () => gateway, definition: PeerServiceDefinition, allowed: ['gateway'] },
    { at: () => alpha, definition: BankServiceDefinition, allowed: ['gateway'] },
    { at: () => alpha, definition: ParticipantServiceDefinition, allowed: ['gateway'] },
    { at: () => alpha, definition: AdminServiceDefinition, allowed: ['operator'] },
  ];
  /** Each may be asked of by every role. An empty request is a mistake to all methods but this, so nothing comes of those that get through. */
  const takesEmpty = PeerServiceDefinition.methods.listRevocations.name;
  const cases = services.flatMap(({ at, definition, allowed }) =>
    (Object.keys(roles) as Role[]).map((role) => [definition.fullName, role, allowed.includes(role) ? 'allowed' : 'refused', { at, definition }] as const),
  );

  it.each(cases)('%s to the role %s: %s', async (fullName, role, verdict, { at, definition }) => {
    for (const { name } of Object.values(definition.methods)) {
      if (verdict === 'allowed' && name === takesEmpty) continue;
      const refusal = await refusalOf(cluster.callers.send(at().address, roles[role], `/${fullName}/${name}`, new Uint8Array()));
      expectWellWorded(refusal);
      const refused = { status: 'PERMISSION_DENIED', reason: 'ROLE_NOT_ALLOWED', message: `${fullName} is closed to the role ${role}`, retryable: 'false' };
      if (verdict === 'refused') expect(refusal).toMatchObject(refused);
      else expect(['INVALID_ARGUMENT', 'UNAUTHENTICATED', 'FAILED_PRECONDITION', 'NOT_FOUND']).toContain(refusal.status);
    }
  });

  it.each(Object.values(roles))('health to %s', async (identity) => {
    for (const { address } of [gateway, alpha]) {
      const health = await cluster.callers.client(HealthDefinition, address, identity);
      expect(await health.check({ service: '' })).toMatchObject({ status: 1 });
    }
  });

  it('a valid session does not open what the certificate is closed to', async () => {
    const { token } = alice.session!;
    for (const identity of ['gateway/g1', 'bank/alpha']) {
      const accounts = await cluster.callers.client(AccountServiceDefinition, gateway.address, identity);
      expect(await refusalOf(accounts.getAccount({}, { metadata: bearer(token) }))).toMatchObject({ status: 'PERMISSION_DENIED' });
    }
  });

  it('nothing was written', expectNothingWritten);
});

describe('certificates', () => {
  const uri = (identity: string): string => cluster.discovery.uri(identity);
  const long = 24 * 60 * 60 * 1000;
  const ours = (change: Partial<LeafOptions>) => async (): Promise<TlsMaterial> => (await cluster.discovery.authority()).issue({ uris: [uri('client/dev')], ...change });

  async function strangers(): Promise<TlsMaterial> {
    const trusted = await cluster.discovery.authority();
    return { ...(await (await createAuthority()).issue({ uris: [uri('client/dev')] })), ca: trusted.cert };
  }

  function callWith(address: string, tls: ClientTls): Promise<Refusal> {
    return refusalOf(cluster.callers.clientWith(HealthDefinition, address, tls).check({ service: '' }));
  }

  it.each<[string, () => Promise<TlsMaterial>]>([
    ['that has expired', ours({ notBefore: new Date(Date.now() - 2 * long), notAfter: new Date(Date.now() - long) })],
    ['that is not valid yet', ours({ notBefore: new Date(Date.now() + long) })],
    ['of another authority', strangers],
  ])('a certificate %s is refused at the handshake', async (_name, material) => {
    const tls = await material();
    for (const { address } of [gateway, alpha]) expect((await callWith(address, tls)).status).toBe('UNAVAILABLE');
  });

  it.each<[string, () => string[]]>([
    ['without an identity', () => ['https://strife.example']],
    ['with two identities', () => [uri('client/dev'), uri('operator/root')]],
    ['of another trust domain', () => [uri('operator/root').replace(/\/\/[^/]+/, '//other.example')]],
    ["of the other authority's form and domain", () => [isOverConsul ? spiffeUri('operator/root') : 'spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/strife-operator']],
    ['of an unknown role', () => [uri('auditor/a1')]],
    ['with more than a role and a name', () => [uri('operator/root/more')]],
  ])('a certificate %s is nobody', async (_name, uris) => {
    const tls = await ours({ uris: uris() })();
    for (const { address } of [gateway, alpha]) {
      const refusal = await callWith(address, tls);
      expect(refusal).toMatchObject({ status: 'UNAUTHENTICATED', reason: 'PEER_NOT_IDENTIFIED' });
      expectWellWorded(refusal);
    }
  });

  it('without a certificate there is no connection', async () => {
    const { ca } = await loadTls(cluster.directories.certs, 'client/dev');
    for (const { address } of [gateway, alpha]) expect((await callWith(address, { ca })).status).toBe('UNAVAILABLE');
  });

  it('a client does not take a bank for its gateway', async () => {
    const tls = await loadTls(cluster.directories.certs, 'client/dev');
    await using strife = await connect({ gateways: [alpha.address], tls, timeoutMs: 3000 });
    const login = strife.login({ bank: 'alpha', username: 'alice', password: 'alice-password' });
    await expect(login).rejects.toThrow(TlsError);
    await expect(login).rejects.toThrow(/not a gateway: .*bank[-/]alpha/);
  });

  it('a client does not take a gateway of another authority for its own', async () => {
    const tls = { ...(await loadTls(cluster.directories.certs, 'client/dev')), ca: (await createAuthority()).cert };
    await using strife = await connect({ gateways: [gateway.address], tls, timeoutMs: 3000 });
    await expect(strife.login({ bank: 'alpha', username: 'alice', password: 'alice-password' })).rejects.toThrow(TlsError);
  });

  it('nothing was written', expectNothingWritten);

  it('a gateway does not take one bank for another, whatever the registry says', async () => {
    const registry = await cluster.discovery.openRegistry();
    const [host = '', port = ''] = beta.address.split(':');
    await registry.register({ service: 'bank', id: 'gamma', host, port: Number(port), meta: { bank: 'gamma' } });
    try {
      const transfers = await cluster.callers.client(TransferServiceDefinition, gateway.address, 'client/dev');
      const pay = (id: string) =>
        refusalOf(transfers.createTransfer({ id, to: { bank: 'gamma', account: 'bob' }, amount: { currency: 'EUR', minorUnits: 1n } }, { metadata: bearer(alice.session!.token) }));
      let refusal = await pay(newTransferId());
      for (; refusal.reason === 'UNKNOWN_BANK'; await delay(20)) refusal = await pay(newTransferId());
      expect(refusal).toMatchObject({ status: 'UNAVAILABLE', reason: 'BANK_UNREACHABLE', outcome: 'not_applied', retryable: 'true' });
      expectWellWorded(refusal);
    } finally {
      await registry.close();
    }
    expect(await released(alice)).toBe(100_000n);
  });

  it('a gateway does not take one gateway for another, whatever the registry says: it does not hear of logouts then, and takes no payments', async () => {
    const health = await cluster.callers.client(HealthDefinition, gateway.address, 'client/dev');
    const ofPayments = async (): Promise<number> => (await health.check({ service: TransferServiceDefinition.fullName })).status;
    const becomes = async (status: number): Promise<void> => {
      while ((await ofPayments()) !== status) await delay(20);
    };
    const registry = await cluster.discovery.openRegistry();
    // There is a gateway at the address, and it would answer: this very one, which is called otherwise.
    const [host = '', port = ''] = gateway.address.split(':');
    await registry.register({ service: 'gateway', id: 'g9', host, port: Number(port), meta: {} });
    try {
      await becomes(2);
    } finally {
      await registry.close();
    }
    await becomes(1);
  });
});

describe('inquiries', () => {
  async function inquire(identity: string, change: object = {}, logId?: string) {
    const coordinator = await cluster.callers.client(CoordinatorServiceDefinition, gateway.address, identity);
    const inquiry = {
      transferId: idBytes(randomUUID()), attempt: 1, deadlineUnixMs: 0n, memo: '',
      from: { bank: 'alpha', account: 'alice' }, to: { bank: 'alpha', account: 'carol' }, amount: { currency: 'EUR', minorUnits: 1n }, ...change,
    };
    return coordinator.inquireDecisions({ logId: logId ?? (await logIdOf()), inquiries: [inquiry] });
  }

  async function logIdOf(): Promise<string> {
    const coordinator = await cluster.callers.client(CoordinatorServiceDefinition, gateway.address, 'bank/alpha');
    const { message } = await refusalOf(coordinator.inquireDecisions({ logId: 'another', inquiries: [] }));
    return /serves log (\S+)/.exec(message)![1]!;
  }

  beforeAll(async () => {
    before = await quietStoreContents(cluster);
  });

  it('a bank may not ask about a transfer that it has no part in', async () => {
    const refusal = await refusalOf(inquire('bank/beta'));
    expect(refusal).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'NOT_A_PARTICIPANT', field: 'inquiries[0]' });
    expectWellWorded(refusal);
  });

  it.each<[string, object, string]>([
    ['an id of 15 bytes', { transferId: Buffer.alloc(15) }, 'inquiries[0].transfer_id'],
    ['attempt 0', { attempt: 0 }, 'inquiries[0].attempt'],
    ['an attempt that nobody reaches', { attempt: 2 ** 32 - 1 }, 'inquiries[0].attempt'],
    ['a bank that this gateway never met', { to: { bank: 'nowhere', account: 'x' } }, 'inquiries[0]'],
    ['a negative amount', { to: { bank: 'beta', account: 'bob' }, amount: { currency: 'EUR', minorUnits: -1n } }, 'inquiries[0]'],
    ['no payer', { from: undefined }, 'inquiries[0]'],
    ['no amount', { amount: undefined }, 'inquiries[0]'],
  ])('nor with %s', async (_name, change, field) => {
    const refusal = await refusalOf(inquire('bank/alpha', change));
    expect(refusal).toMatchObject({ status: 'INVALID_ARGUMENT', field });
    expectWellWorded(refusal);
  });

  it("nor about another coordinator's transfers", async () => {
    const refusal = await refusalOf(inquire('bank/alpha', {}, 'another'));
    expect(refusal).toMatchObject({ status: 'FAILED_PRECONDITION', reason: 'OTHER_LOG', field: 'log_id' });
    expectWellWorded(refusal);
  });

  it('nothing was written', expectNothingWritten);

  it('is told what became of its own, and "I do not know it" is written down before it is said', async () => {
    const id = newTransferId();
    await alice.transfers.create({ id, to: 'beta/bob', amount: { currency: 'EUR', minorUnits: 5n } });
    const body = { transferId: idBytes(id), from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, amount: { currency: 'EUR', minorUnits: 5n } };
    expect(await inquire('bank/beta', body)).toMatchObject({ answers: [{ outcome: InquiryOutcome.COMMITTED, attempt: 1 }] });

    const unknown = newTransferId();
    expect(await inquire('bank/beta', { ...body, transferId: idBytes(unknown) })).toMatchObject({ answers: [{ outcome: InquiryOutcome.ABORTED, attempt: 1 }] });
    // The attempt that was given up is not run again; the next one is, under the same id.
    expect(await alice.transfers.create({ id: unknown, to: 'beta/bob', amount: { currency: 'EUR', minorUnits: 5n } })).toMatchObject({ state: 'succeeded' });
  });
});

describe('legs', () => {
  const LOG = 'g1.a-log-that-nobody-serves';
  let participants: Record<'alpha' | 'beta', ParticipantServiceClient>;
  let grant: string;

  beforeAll(async () => {
    participants = {
      alpha: await cluster.callers.client(ParticipantServiceDefinition, alpha.address, 'gateway/g1'),
      beta: await cluster.callers.client(ParticipantServiceDefinition, beta.address, 'gateway/g1'),
    };
    const bank = await cluster.callers.client(BankServiceDefinition, alpha.address, 'gateway/g1');
    ({ grant } = await bank.authenticate({ username: 'alice', password: 'alice-password' }));
    before = await quietStoreContents(cluster);
  });

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
});

function idBytes(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}
