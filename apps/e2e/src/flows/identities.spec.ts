// Who may say what to whom: every service and every role, bad certificates, and banks without a part.

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAuthority, loadTls, spiffeUri } from '@strife/certs';
import type { LeafOptions, TlsMaterial } from '@strife/certs';
import type { ServiceProcess } from '@strife/cluster';
import { connect, newTransferId, TlsError } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import { AdminServiceDefinition, BankServiceDefinition, ParticipantServiceDefinition } from '@strife/stubs/bank';
import {
  AccountServiceDefinition, CoordinatorServiceDefinition, InquiryOutcome, PeerServiceDefinition, SessionServiceDefinition, TransferServiceDefinition,
} from '@strife/stubs/gateway';
import { HealthDefinition } from 'nice-grpc-server-health';
import { expectCleanBooks, quietStoreContents, released, storeContents } from '../support/books.ts';
import { bearer, idBytes } from '../support/callers.ts';
import type { ClientTls } from '../support/callers.ts';
import { isOverConsul } from '../support/discovery.ts';
import { expectWellWorded, refusalOf } from '../support/refusal.ts';
import type { Refusal } from '../support/refusal.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';

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

  it('ends with clean books', async () => {
    await expectCleanBooks(cluster);
  });
});
