// Who may talk to whom: certificates at the handshake, identities and roles at the call.
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createAuthority, spiffeUri } from '@strife/certs';
import { AdminServiceDefinition, BankServiceDefinition } from '@strife/stubs/bank';
import { ChannelCredentials, createChannel } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';
import { createClient, fixedTls, isTlsFailure, Status, tlsFailureReason, type PeerIdentity } from './index.ts';
import { rejection, startLocalServer, type LocalServer } from './local-server.spec-kit.ts';

let bank: LocalServer;
let seenPeer: PeerIdentity | undefined;

beforeAll(async () => {
  bank = await startLocalServer({
    getAccount: async (_request, context) => {
      seenPeer = context.peer;
      return {};
    },
  });
});

afterAll(() => bank.close());

describe('a server', () => {
  it('tells a handler who calls', async () => {
    const client = await bank.bank();
    await client.getAccount({});
    await client.getAccount({});
    expect(seenPeer).toEqual({ uri: 'spiffe://strife.local/gateway/g1', trustDomain: 'strife.local', role: 'gateway', name: 'g1' });
  });

  it('keeps the identities of two connections apart', async () => {
    const one = await bank.bank({ tls: await bank.certificate('gateway/g1') });
    const two = await bank.bank({ tls: await bank.certificate('gateway/g2') });
    for (const [client, name] of [[one, 'g1'], [two, 'g2'], [one, 'g1']] as const) {
      await client.getAccount({});
      expect(seenPeer?.name).toBe(name);
    }
  });

  it('reads the certificate of a connection only once', async () => {
    const client = await bank.bank();
    await client.getAccount({});
    const read = jest.spyOn(TLSSocket.prototype, 'getPeerCertificate');
    for (let call = 0; call < 5; call += 1) await client.getAccount({});
    expect(read).not.toHaveBeenCalled();
    read.mockRestore();
  });

  it('refuses a role that the service is closed to, naming both', async () => {
    const client = await bank.bank({ tls: await bank.certificate('client/alice') });
    const error = await rejection(client.getAccount({}));
    expect(error).toMatchObject({ code: Status.PERMISSION_DENIED, details: 'strife.bank.v1.BankService is closed to the role client' });
  });

  it('refuses everyone on a service that the access table does not list', async () => {
    const channel = await bank.channel({ tls: await bank.certificate('operator/root') });
    const error = await rejection(createClient(AdminServiceDefinition, channel).freezeAccount({}));
    expect(error.code).toBe(Status.PERMISSION_DENIED);
  });

  it.each([
    ['of an unknown role', ['spiffe://strife.local/teller/t1']],
    ['with two identities', ['spiffe://strife.local/gateway/g1', 'spiffe://strife.local/bank/alpha']],
    ['without an identity', ['https://strife.example']],
  ])('does not know a caller with a certificate %s', async (_what, uris) => {
    const client = await bank.bank({ tls: await bank.authority.issue({ uris }) });
    expect((await rejection(client.getAccount({}))).code).toBe(Status.UNAUTHENTICATED);
  });

  it('does not know a caller of another trust domain, nor does that caller know the server', async () => {
    const { ca, cert, key } = await bank.authority.issue({ uris: ['spiffe://other.example/gateway/g1'] });
    const unwary = ChannelCredentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert), { checkServerIdentity: () => undefined });
    const channel = createChannel(bank.address, unwary, { 'grpc.ssl_target_name_override': 'strife.local' });
    expect((await rejection(createClient(BankServiceDefinition, channel).getAccount({}))).code).toBe(Status.UNAUTHENTICATED);
    channel.close();

    const error = await rejection((await bank.bank({ tls: { ca, cert, key } })).getAccount({}));
    expect(tlsFailureReason(error)).toBe('server identity refused: trust domain strife.local is not other.example');
  });

  it('answers a health check to any identity, and only to identities', async () => {
    const check = async (uri: string) =>
      createClient(HealthDefinition, await bank.channel({ tls: await bank.authority.issue({ uris: [uri] }) })).check({ service: '' });
    await expect(check(spiffeUri('client/alice'))).resolves.toMatchObject({ status: 1 });
    expect((await rejection(check('https://strife.example'))).code).toBe(Status.UNAUTHENTICATED);
  });

  it('answers a health check to any certificate of its authority when health is public', async () => {
    const open = await startLocalServer({ publicHealth: true });
    const channel = await open.channel({ tls: await open.authority.issue({ uris: ['https://agent.example'] }) });
    await expect(createClient(HealthDefinition, channel).check({ service: '' })).resolves.toMatchObject({ status: 1 });
    await open.close();
  });

  it('refuses a client without a certificate, and the client can tell why', async () => {
    const credentials = ChannelCredentials.createSsl(Buffer.from(bank.authority.cert), null, null, { checkServerIdentity: () => undefined });
    const channel = createChannel(bank.address, credentials, { 'grpc.ssl_target_name_override': 'strife.local' });
    const error = await rejection(createClient(HealthDefinition, channel).check({ service: '' }));
    expect(error.code).toBe(Status.UNAVAILABLE);
    expect(tlsFailureReason(error)).toBe('TLS: tlsv13 alert certificate required');
    channel.close();
  });

  it.each([
    ['of another authority', async () => ({ ...(await (await createAuthority()).issue({ uris: [spiffeUri('gateway/g1')] })), ca: bank.authority.cert })],
    ['that has expired', () => bank.authority.issue({ uris: [spiffeUri('gateway/g1')], notBefore: new Date(0), notAfter: new Date(1) })],
  ])('refuses a client certificate %s', async (_what, tls) => {
    const client = await bank.bank({ tls: await tls() });
    expect((await rejection(client.getAccount({}))).code).toBe(Status.UNAVAILABLE);
  });

  it('refuses a plain-text connection', async () => {
    const channel = createChannel(bank.address, ChannelCredentials.createInsecure());
    expect((await rejection(createClient(HealthDefinition, channel).check({ service: '' }))).code).toBe(Status.UNAVAILABLE);
    channel.close();
  });
});

describe('a client', () => {
  it.each([
    ['name', { role: 'bank', name: 'beta' }, 'server identity refused: expected bank/beta, but bank/alpha answered'],
    ['role', { role: 'gateway' }, 'server identity refused: expected gateway/*, but bank/alpha answered'],
  ] as const)('refuses a server of another %s', async (_what, expected, reason) => {
    const client = await bank.bank({ expect: expected });
    const error = await rejection(client.getAccount({}));
    expect(isTlsFailure(error)).toBe(true);
    expect(tlsFailureReason(error)).toBe(reason);
  });

  it('refuses a server of another authority', async () => {
    const tls = { ...(await bank.certificate('gateway/g1')), ca: (await createAuthority()).cert };
    const error = await rejection((await bank.bank({ tls })).getAccount({}));
    expect(tlsFailureReason(error)).toMatch(/^TLS: .*certificate/);
  });

  it('refuses a server whose certificate has expired', async () => {
    const tls = await bank.authority.issue({ uris: [spiffeUri('bank/alpha')], notBefore: new Date(0), notAfter: new Date(1) });
    const stale = await startLocalServer({ tls: fixedTls(tls) });
    const client = await stale.bank({ tls: await bank.certificate('gateway/g1') });
    expect(tlsFailureReason(await rejection(client.getAccount({})))).toBe('TLS: certificate has expired');
    await stale.close();
  });

  it('does not take a server that is away, or an error of a server, for a TLS failure', async () => {
    const away = await startLocalServer();
    const client = await away.bank();
    await away.server.stop(0);
    const error = await rejection(client.getAccount({}));
    expect(error.code).toBe(Status.UNAVAILABLE);
    expect(isTlsFailure(error)).toBe(false);
    expect(isTlsFailure({ code: Status.UNAVAILABLE, details: 'the certificate store is down' })).toBe(false);
    expect(isTlsFailure(undefined)).toBe(false);
    await away.close();
  });
});
