// Whatever a client sends: the right status, words that name the field, nothing written, and a process that lives on.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Session, Strife } from '@strife/sdk';
import { AdminServiceDefinition, BankServiceDefinition, ParticipantServiceDefinition } from '@strife/stubs/bank';
import {
  AccountServiceDefinition, BatchCreateTransfersRequest, CoordinatorServiceDefinition, CreateTransferRequest, PeerServiceDefinition, SessionServiceDefinition, TransferServiceDefinition,
} from '@strife/stubs/gateway';
import type { AccountServiceClient, DeepPartial, SessionServiceClient, TransferServiceClient } from '@strife/stubs/gateway';
import { Outcome, TransferState } from '@strife/stubs/type';
import fc from 'fast-check';
import { Metadata } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';
import { expectCleanBooks, quietStoreContents, storeContents } from '../support/books.ts';
import { bearer } from '../support/callers.ts';
import { expectWellWorded, refusalOf } from '../support/refusal.ts';
import { startTestCluster } from '../support/test-cluster.ts';
import type { TestCluster } from '../support/test-cluster.ts';
import { forgedTokens, keysOf } from '../support/tokens.ts';

const CLIENT = 'client/dev';

let cluster: TestCluster;
let gateway: string;
let alice: Strife;
let session: Session;
let sessions: SessionServiceClient;
let accounts: AccountServiceClient;
let transfers: TransferServiceClient;
let pids: number[];

beforeAll(async () => {
  cluster = await startTestCluster();
  gateway = cluster.service('g1').address;
  pids = processes();
  alice = await cluster.login('alpha/alice');
  session = alice.session!;
  sessions = await cluster.callers.client(SessionServiceDefinition, gateway, CLIENT);
  accounts = await cluster.callers.client(AccountServiceDefinition, gateway, CLIENT);
  transfers = await cluster.callers.client(TransferServiceDefinition, gateway, CLIENT);
}, 60_000);
afterAll(async () => {
  await alice?.close();
  await cluster?.end();
});

/** Everything that is stored, but for which tokens were logged out. */
function written(contents = storeContents(cluster)): Record<string, Record<string, string>> {
  for (const tables of Object.values(contents)) for (const name of ['revocations', 'sqlite_sequence']) delete tables[name];
  return contents;
}

function payment(change: DeepPartial<CreateTransferRequest> = {}): DeepPartial<CreateTransferRequest> {
  return { id: randomUUID(), to: { bank: 'beta', account: 'bob' }, amount: { currency: 'EUR', minorUnits: 100n }, memo: '', ...change };
}

const services = () => [...Object.values(cluster.banks), ...Object.values(cluster.gateways)];
const processes = () => services().filter(({ running }) => running).map(({ pid }) => pid);
const asAlice = () => ({ metadata: bearer(session.token) });

describe('just inside the limits', () => {
  it.each<[string, DeepPartial<CreateTransferRequest>]>([
    ['the smallest amount', { amount: { currency: 'EUR', minorUnits: 1n } }],
    ['an empty memo', { memo: '' }],
    ['a memo of 140 characters', { memo: 'm'.repeat(140) }],
    ['a memo of 140 characters that are not ASCII', { memo: '🧾'.repeat(140) }],
    ['an id in capitals', { id: randomUUID().toUpperCase() }],
    ['an id of no particular version', { id: '00000000-0000-0000-0000-000000000000' }],
  ])('takes %s', async (_name, change) => {
    const { transfer } = await transfers.createTransfer(payment(change), asAlice());
    expect(transfer).toMatchObject({ state: TransferState.SUCCEEDED, memo: change.memo ?? '' });
  });

  it('takes a batch of 1000', async () => {
    const { results } = await transfers.batchCreateTransfers({ items: Array.from({ length: 1000 }, () => payment({ amount: { currency: 'EUR', minorUnits: 1n } })) }, asAlice());
    expect(results.map(({ result }) => result?.$case === 'transfer' && result.value.state)).toEqual(new Array(1000).fill(TransferState.SUCCEEDED));
  });

  it('takes the largest amount, and has only the funds to say against it', async () => {
    const { transfer } = await transfers.createTransfer(payment({ amount: { currency: 'EUR', minorUnits: 10n ** 15n } }), asAlice());
    expect(transfer).toMatchObject({ state: TransferState.DECLINED });
  });
});

describe('refused', () => {
  let before: Record<string, Record<string, string>>;

  beforeAll(async () => {
    before = written(await quietStoreContents(cluster));
  });
  afterAll(async () => {
    expect(written()).toEqual(before);
    expect(await alice.balance()).toMatchObject({ held: { minorUnits: 0n } });
  });

  const wrongPayments: [name: string, change: DeepPartial<CreateTransferRequest>, field: string, reason: string, status?: string][] = [
    ['zero', { amount: { currency: 'EUR', minorUnits: 0n } }, 'amount.minor_units', 'INVALID_AMOUNT'],
    ['a negative amount', { amount: { currency: 'EUR', minorUnits: -100n } }, 'amount.minor_units', 'INVALID_AMOUNT'],
    ['the least integer', { amount: { currency: 'EUR', minorUnits: -(2n ** 63n) } }, 'amount.minor_units', 'INVALID_AMOUNT'],
    ['an amount above the largest', { amount: { currency: 'EUR', minorUnits: 10n ** 15n + 1n } }, 'amount.minor_units', 'INVALID_AMOUNT'],
    ['the largest integer', { amount: { currency: 'EUR', minorUnits: 2n ** 63n - 1n } }, 'amount.minor_units', 'INVALID_AMOUNT'],
    ['no amount', { amount: undefined }, 'amount', 'MISSING'],
    ['no currency', { amount: { currency: '', minorUnits: 1n } }, 'amount.currency', 'UNKNOWN_CURRENCY'],
    ['an unknown currency', { amount: { currency: 'XXX', minorUnits: 1n } }, 'amount.currency', 'UNKNOWN_CURRENCY'],
    ['a currency in small letters', { amount: { currency: 'eur', minorUnits: 1n } }, 'amount.currency', 'UNKNOWN_CURRENCY'],
    ['a property of every object as currency', { amount: { currency: 'constructor', minorUnits: 1n } }, 'amount.currency', 'UNKNOWN_CURRENCY'],
    ['no payee', { to: undefined }, 'to', 'MISSING'],
    ['an empty bank', { to: { bank: '', account: 'bob' } }, 'to.bank', 'MALFORMED_NAME'],
    ['a bank with a path in it', { to: { bank: '../alpha', account: 'bob' } }, 'to.bank', 'MALFORMED_NAME'],
    ['a bank of 1 MB', { to: { bank: 'b'.repeat(1 << 20), account: 'bob' } }, 'to.bank', 'MALFORMED_NAME'],
    ['an unknown bank', { to: { bank: 'gamma', account: 'bob' } }, 'to.bank', 'UNKNOWN_BANK', 'NOT_FOUND'],
    ['a property of every object as bank', { to: { bank: 'constructor', account: 'bob' } }, 'to.bank', 'UNKNOWN_BANK', 'NOT_FOUND'],
    ['an empty account', { to: { bank: 'beta', account: '' } }, 'to.account', 'MALFORMED_NAME'],
    ['an account with a line break', { to: { bank: 'beta', account: 'bob\n' } }, 'to.account', 'MALFORMED_NAME'],
    ['an account with quotes', { to: { bank: 'beta', account: "' OR 1=1 --" } }, 'to.account', 'MALFORMED_NAME'],
    ['the own account', { to: { bank: 'alpha', account: 'alice' } }, 'to', 'OWN_ACCOUNT'],
    ['an empty id', { id: '' }, 'id', 'MALFORMED_ID'],
    ['an id that is too long', { id: `${randomUUID()}0` }, 'id', 'MALFORMED_ID'],
    ['an id with a line break', { id: `${randomUUID()}\n` }, 'id', 'MALFORMED_ID'],
    ['an id without dashes', { id: randomUUID().replaceAll('-', '') }, 'id', 'MALFORMED_ID'],
    ['an id in braces', { id: `{${randomUUID()}}` }, 'id', 'MALFORMED_ID'],
    ['an id of bytes', { id: '\u0000\u0001\u001b[31m\u007f\u0080\uffff🦊' }, 'id', 'MALFORMED_ID'],
    ['an id of 1 MB', { id: 'a'.repeat(1 << 20) }, 'id', 'MALFORMED_ID'],
    ['a memo of 141 characters', { memo: 'm'.repeat(141) }, 'memo', 'MEMO_TOO_LONG'],
    ['a memo of 10 MB', { memo: 'm'.repeat(10 << 20) }, 'memo', 'MEMO_TOO_LONG'],
    ['a memo of two lines', { memo: 'one\ntwo' }, 'memo', 'MEMO_CONTROL_CHARACTERS'],
    ['a memo with a zero byte', { memo: 'one\u0000two' }, 'memo', 'MEMO_CONTROL_CHARACTERS'],
    ['a memo with a terminal sequence', { memo: '\u001b[2J' }, 'memo', 'MEMO_CONTROL_CHARACTERS'],
  ];

  it.each(wrongPayments)('a payment with %s', async (_name, change, field, reason, status = 'INVALID_ARGUMENT') => {
    const wrong = payment(change);
    const refusal = await refusalOf(transfers.createTransfer(wrong, asAlice()));
    expect(refusal).toMatchObject({ status, reason, field, retryable: 'false' });
    expectWellWorded(refusal);
    expect(refusal.message.startsWith(`${field}: `)).toBe(true);

    // The same in a batch, where it must not spoil its neighbours.
    const { results } = await transfers.batchCreateTransfers({ items: [wrong, payment({ memo: '\t' })] }, asAlice());
    expect(results.map(({ result }) => result)).toMatchObject([
      { $case: 'failure', value: { message: refusal.message, reason, field, outcome: Outcome.NOT_APPLIED, retryable: false, transferId: (wrong.id ?? '').slice(0, 64) } },
      { $case: 'failure', value: { field: 'memo' } },
    ]);
  });

  it('any payment to a bank that does not exist, whatever its fields are', async () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.constantFrom('', 'EUR', 'bob', '\u0000'));
    const anyPayment = fc.record({
      id: fc.oneof(text, fc.uuid()),
      to: fc.option(fc.record({ bank: text.map((bank) => `x${bank}`), account: text }), { nil: undefined }),
      amount: fc.option(fc.record({ currency: fc.oneof(text, fc.constant('EUR')), minorUnits: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) }), { nil: undefined }),
      memo: text,
      waitFor: fc.integer({ min: 0, max: 2 ** 31 - 1 }) as fc.Arbitrary<0>,
    });
    await fc.assert(
      fc.asyncProperty(anyPayment, async (request) => {
        const refusal = await refusalOf(transfers.createTransfer(request, asAlice()));
        expect(['INVALID_ARGUMENT', 'NOT_FOUND']).toContain(refusal.status);
        expectWellWorded(refusal);
      }),
      { numRuns: 100 },
    );
  });

  it.each([0, 1001])('a batch of %d', async (length) => {
    const refusal = await refusalOf(transfers.batchCreateTransfers({ items: Array.from({ length }, () => payment()) }, asAlice()));
    expect(refusal).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'BATCH_SIZE', field: 'items', message: `items: must be 1 to 1000, not ${length}` });
    expectWellWorded(refusal);
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['an empty id', () => transfers.getTransfer({ id: '' }, asAlice()), 'id'],
    ['an id that is none', () => transfers.getTransfer({ id: 'x'.repeat(100_000) }, asAlice()), 'id'],
    ['a page of 1001 entries', () => accounts.listEntries({ pageSize: 1001 }, asAlice()), 'page_size'],
    ['the largest page', () => accounts.listEntries({ pageSize: 2 ** 32 - 1 }, asAlice()), 'page_size'],
    ['a page of 1001 transfers', () => transfers.listTransfers({ pageSize: 1001 }, asAlice()), 'page_size'],
    ['a garbled page token', () => accounts.listEntries({ pageToken: 'garbage \u0000' }, asAlice()), 'page_token'],
    ['a page token beyond the end', () => accounts.listEntries({ pageToken: '999999999' }, asAlice()), 'page_token'],
    ['a page token of 100 KB', () => accounts.listEntries({ pageToken: '1'.repeat(100_000) }, asAlice()), 'page_token'],
    ['a garbled page token of transfers', () => transfers.listTransfers({ pageToken: 'garbage' }, asAlice()), 'page_token'],
    ['a page token of transfers that was never given', () => transfers.listTransfers({ pageToken: randomUUID() }, asAlice()), 'page_token'],
  ])('reading with %s', async (_name, call, field) => {
    const refusal = await refusalOf(call());
    expect(refusal).toMatchObject({ status: 'INVALID_ARGUMENT', field, retryable: 'false' });
    expectWellWorded(refusal);
  });

  it('looking up a transfer that does not exist', async () => {
    const refusal = await refusalOf(transfers.getTransfer({ id: randomUUID() }, asAlice()));
    expect(refusal).toMatchObject({ status: 'NOT_FOUND', reason: 'NO_SUCH_TRANSFER', field: 'id' });
    expectWellWorded(refusal);
  });

  describe('logins', () => {
    it.each<[string, { bank?: string; username?: string; password?: string }, string, string | undefined]>([
      ['without a bank', { bank: '' }, 'INVALID_ARGUMENT', 'bank'],
      ['without a user', { username: '' }, 'INVALID_ARGUMENT', 'username'],
      ['without a password', { password: '' }, 'INVALID_ARGUMENT', 'password'],
      ['with a password of 10 KB', { password: 'p'.repeat(10 << 10) }, 'INVALID_ARGUMENT', 'password'],
      ['with a password of more bytes than characters', { password: '€'.repeat(1000) }, 'INVALID_ARGUMENT', 'password'],
      ['with a user name of 1 MB', { username: 'u'.repeat(1 << 20) }, 'INVALID_ARGUMENT', 'username'],
      ['at an unknown bank', { bank: 'gamma' }, 'NOT_FOUND', 'bank'],
      ['at a bank with a line break', { bank: 'alpha\nready on 1.2.3.4' }, 'INVALID_ARGUMENT', 'bank'],
      ['with a wrong password', { password: 'wrong' }, 'UNAUTHENTICATED', undefined],
      ['of an unknown user', { username: 'nobody' }, 'UNAUTHENTICATED', undefined],
      ['of a user who is none', { username: "x' OR '1'='1" }, 'UNAUTHENTICATED', undefined],
      ["with another bank's user", { username: 'bob', password: 'bob-password' }, 'UNAUTHENTICATED', undefined],
    ])('%s', async (_name, change, status, field) => {
      const refusal = await refusalOf(sessions.login({ bank: 'alpha', username: 'alice', password: 'alice-password', ...change }));
      expect(refusal).toMatchObject({ status, field });
      expectWellWorded(refusal);
      // Whether the user or the password is wrong is nobody's business.
      if (status === 'UNAUTHENTICATED') expect(refusal).toMatchObject({ message: 'username or password is wrong', reason: 'WRONG_CREDENTIALS' });
    });
  });

  describe('messages that are none', () => {
    const definitions = {
      gateway: [SessionServiceDefinition, AccountServiceDefinition, TransferServiceDefinition, CoordinatorServiceDefinition, PeerServiceDefinition],
      bank: [BankServiceDefinition, ParticipantServiceDefinition, AdminServiceDefinition],
    };
    const identities: Record<string, string> = {
      [CoordinatorServiceDefinition.fullName]: 'bank/alpha',
      [PeerServiceDefinition.fullName]: 'gateway/g1',
      [BankServiceDefinition.fullName]: 'gateway/g1',
      [ParticipantServiceDefinition.fullName]: 'gateway/g1',
      [AdminServiceDefinition.fullName]: 'operator/root',
    };
    const methods = Object.entries(definitions).flatMap(([program, services]) =>
      services.flatMap(({ fullName, methods: all }) => Object.values(all).map(({ name }) => [program, fullName, name] as const)),
    );
    const addressOf = (program: string): string => cluster.service(program === 'gateway' ? 'g1' : 'alpha').address;

    it('are not even read when nobody is logged in', async () => {
      const path = `/${TransferServiceDefinition.fullName}/BatchCreateTransfers`;
      const refusal = await refusalOf(cluster.callers.send(addressOf('gateway'), CLIENT, path, new Uint8Array(1_000_000).fill(0xff)));
      expect(refusal).toMatchObject({ status: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING', field: 'authorization' });
    });

    it.each(methods)('%s %s/%s', async (program, service, method) => {
      const path = `/${service}/${method}`;
      for (const bytes of [[0x0a, 0x7f, 0x61], [0x0f, 0x01], new Array<number>(11).fill(0xff), [...Buffer.from('{"id": 1}')]]) {
        const refusal = await refusalOf(cluster.callers.send(addressOf(program), identities[service] ?? CLIENT, path, Uint8Array.from(bytes), session.token));
        expect(refusal).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'MALFORMED_REQUEST', field: 'request' });
        expectWellWorded(refusal);
      }
    });

    it.each([
      ['gateway', '/strife.gateway.v1.TransferService/StealTransfer'],
      ['gateway', '/strife.gateway.v2.TransferService/CreateTransfer'],
      ['gateway', '/strife.bank.v1.AdminService/Deposit'],
      ['gateway', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'],
      ['gateway', '/'],
      ['bank', '/strife.gateway.v1.TransferService/CreateTransfer'],
      ['bank', '/strife.bank.v1.BankService/constructor'],
    ])('an unknown method at the %s, %s', async (program, path) => {
      const { status, message } = await refusalOf(cluster.callers.send(addressOf(program), CLIENT, path, new Uint8Array(), session.token));
      expect(status).toBe('UNIMPLEMENTED');
      expect(message).not.toMatch(/\bat \S+ \(|\.ts\b/);
    });

    it('a message of more than 16 MiB', async () => {
      const memo = 'm'.repeat((16 << 20) + 1);
      for (const bytes of [CreateTransferRequest.encode(CreateTransferRequest.fromPartial(payment({ memo }))), BatchCreateTransfersRequest.encode({ items: [CreateTransferRequest.fromPartial(payment({ memo }))] })]) {
        const refusal = await refusalOf(cluster.callers.send(gateway, CLIENT, '/strife.gateway.v1.TransferService/CreateTransfer', bytes.finish(), session.token));
        expect(refusal).toMatchObject({ status: 'RESOURCE_EXHAUSTED' });
        expect(refusal.message).toMatch(/larger than max/);
      }
    });
  });

  describe('tokens', () => {
    /** Every method that needs a session. */
    const calls: Record<string, (metadata: Metadata) => Promise<unknown>> = {
      logout: (metadata) => sessions.logout({}, { metadata }),
      getAccount: (metadata) => accounts.getAccount({}, { metadata }),
      listEntries: (metadata) => accounts.listEntries({}, { metadata }),
      createTransfer: (metadata) => transfers.createTransfer(payment(), { metadata }),
      batchCreateTransfers: (metadata) => transfers.batchCreateTransfers({ items: [payment()] }, { metadata }),
      getTransfer: (metadata) => transfers.getTransfer({ id: randomUUID() }, { metadata }),
      listTransfers: (metadata) => transfers.listTransfers({}, { metadata }),
      explainTransfer: (metadata) => transfers.explainTransfer({ id: randomUUID() }, { metadata }),
    };

    async function forged(name: string): Promise<string> {
      const { root, directories: { data } } = cluster;
      const keys = { gateway: await keysOf(data, 'gateway-g1'), bank: await keysOf(data, 'bank-alpha'), stranger: await keysOf(root, 'stranger') };
      return forgedTokens({ token: session.token, ...keys })[name]!;
    }

    it.each<[string, string]>([
      ['expired', 'TOKEN_EXPIRED'],
      ['without an expiry', 'TOKEN_MALFORMED'],
      ['with an expiry that is no number', 'TOKEN_MALFORMED'],
      ["of another gateway's key", 'TOKEN_FORGED'],
      ['signed by another key under our name', 'TOKEN_FORGED'],
      ["signed by the user's bank", 'TOKEN_FORGED'],
      ['of another issuer', 'TOKEN_ISSUER'],
      ['for another audience', 'TOKEN_ISSUER'],
      ['of another type', 'TOKEN_MALFORMED'],
      ['without a signature', 'TOKEN_FORGED'],
      ['with alg none', 'TOKEN_FORGED'],
      ['with the public key as a shared secret', 'TOKEN_FORGED'],
      ['with another account in it', 'TOKEN_FORGED'],
      ['without a grant', 'TOKEN_MALFORMED'],
      ['cut short', 'TOKEN_FORGED'],
      ['that is no token', 'TOKEN_MALFORMED'],
      ['of 9 KB', 'TOKEN_MALFORMED'],
    ])('a token %s', async (name, reason) => {
      const token = await forged(name);
      for (const call of Object.values(calls)) {
        const refusal = await refusalOf(call(bearer(token)));
        expect(refusal).toMatchObject({ status: 'UNAUTHENTICATED', reason, field: 'authorization', retryable: 'false' });
        expectWellWorded(refusal);
        expect(refusal.message).not.toContain(token.slice(0, 20));
      }
    });

    it.each<[string, () => Metadata, string]>([
      ['no token', () => Metadata(), 'TOKEN_MISSING'],
      ['an empty header', () => Metadata({ authorization: '' }), 'TOKEN_MALFORMED'],
      ['a scheme without a token', () => Metadata({ authorization: 'Bearer' }), 'TOKEN_MALFORMED'],
      ['another scheme', () => Metadata({ authorization: `Basic ${session.token}` }), 'TOKEN_MALFORMED'],
      ['two tokens', () => Metadata({ authorization: `Bearer ${session.token}, Bearer ${session.token}` }), 'TOKEN_MALFORMED'],
      ['a token behind a token', () => Metadata({ authorization: `Bearer ${session.token} ${session.token}` }), 'TOKEN_MALFORMED'],
    ])('a call with %s', async (_name, metadata, reason) => {
      for (const call of Object.values(calls)) {
        const refusal = await refusalOf(call(metadata()));
        expect(refusal).toMatchObject({ status: 'UNAUTHENTICATED', reason, field: 'authorization' });
        expectWellWorded(refusal);
      }
    });

    it("a bank's grant in the place of a token", async () => {
      const bank = await cluster.callers.client(BankServiceDefinition, cluster.service('alpha').address, 'gateway/g1');
      const { grant } = await bank.authenticate({ username: 'alice', password: 'alice-password' });
      for (const call of Object.values(calls)) {
        expect(await refusalOf(call(bearer(grant)))).toMatchObject({ status: 'UNAUTHENTICATED', reason: 'TOKEN_ISSUER' });
      }
    });

    it('two authorization headers of which the first is forged', async () => {
      const bob = await cluster.login('beta/bob');
      const bad = await forged('signed by another key under our name');
      const statusWith = (...tokens: string[]) =>
        cluster.callers.statusOf(gateway, CLIENT, '/strife.gateway.v1.AccountService/GetAccount', tokens.map((token) => `Bearer ${token}`));
      expect(await statusWith(bad, session.token)).not.toBe('0');
      expect(await statusWith(session.token)).toBe('0');
      await bob.close();
    });
  });

  describe('sessions', () => {
    const credentials = { bank: 'alpha', username: 'carol', password: 'carol-password' };

    it('a login on a call that carries a live session, of the same user or another', async () => {
      for (const who of [credentials, { bank: 'alpha', username: 'alice', password: 'alice-password' }]) {
        const refusal = await refusalOf(sessions.login(who, asAlice()));
        expect(refusal).toMatchObject({ status: 'FAILED_PRECONDITION', reason: 'ALREADY_LOGGED_IN', field: 'authorization' });
        expect(refusal.message).toContain('already logged in as alpha/alice');
        expectWellWorded(refusal);
      }
      expect(await accounts.getAccount({}, asAlice())).toMatchObject({ balance: { account: { account: 'alice' } } });
    });

    it('a token that was logged out, while another session of the same user goes on', async () => {
      const [one, other] = await Promise.all([sessions.login(credentials), sessions.login(credentials)]);
      expect(one.token).not.toBe(other.token);
      await sessions.logout({}, { metadata: bearer(one.token) });

      const refusal = await refusalOf(accounts.getAccount({}, { metadata: bearer(one.token) }));
      expect(refusal).toMatchObject({ status: 'UNAUTHENTICATED', reason: 'TOKEN_REVOKED' });
      expectWellWorded(refusal);
      expect(await refusalOf(sessions.logout({}, { metadata: bearer(one.token) }))).toMatchObject({ reason: 'TOKEN_REVOKED' });
      // The last character of the signature holds fewer bits than it could: other spellings are the same token.
      const spelled = `${one.token.slice(0, -1)}${String.fromCharCode(one.token.charCodeAt(one.token.length - 1) + 1)}`;
      expect(await refusalOf(accounts.getAccount({}, { metadata: bearer(spelled) }))).toMatchObject({ status: 'UNAUTHENTICATED' });

      expect(await accounts.getAccount({}, { metadata: bearer(other.token) })).toMatchObject({ balance: { account: { account: 'carol' } } });
      // A session that is over is no reason not to log in.
      const third = await sessions.login(credentials, { metadata: bearer(one.token) });
      for (const { token } of [other, third]) await sessions.logout({}, { metadata: bearer(token) });
    });
  });
});

describe('afterwards', () => {
  it('the same processes serve, and the books are clean', async () => {
    expect(processes()).toEqual(pids);
    for (const { address } of services()) {
      const health = await cluster.callers.client(HealthDefinition, address, CLIENT);
      expect(await health.check({ service: '' })).toMatchObject({ status: 1 });
    }
    const { transfer } = await transfers.createTransfer(payment(), asAlice());
    expect(transfer).toMatchObject({ state: TransferState.SUCCEEDED });
    await expectCleanBooks(cluster);
  });
});
