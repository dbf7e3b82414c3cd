// Certificates are exchanged on live servers and channels, and no call notices.
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createAuthority, spiffeUri, type Authority } from '@strife/certs';
import { BankServiceDefinition } from '@strife/stubs/bank';
import {
  createClient, createRotatingChannel, isTlsFailure, Status, tlsFailureReason,
  type Channel, type TlsMaterial, type TlsSource,
} from './index.ts';
import { rejection, startLocalServer, type LocalServer } from './local-server.spec-kit.ts';

/** A source that the test exchanges by hand. */
class HandSource implements TlsSource {
  #current: TlsMaterial;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  constructor(first: TlsMaterial) {
    this.#current = first;
  }
  get listeners(): number {
    return this.#listeners.size;
  }
  current(): TlsMaterial {
    return this.#current;
  }
  onRotate(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  exchange(material: TlsMaterial): void {
    this.#current = material;
    for (const listener of this.#listeners) listener(material);
  }
}

const BOTH = (one: Authority, two: Authority) => one.cert + two.cert;

let old: Authority;
let young: Authority;
let server: HandSource;
let client: HandSource;
let bank: LocalServer;
let channel: Channel;
let problems: Error[];
/** Calls that the server holds until they are let go. */
let held: (() => void)[];
let onHeld: () => void;

const issue = async (authority: Authority, identity: string, ca = authority.cert): Promise<TlsMaterial> => ({
  ...(await authority.issue({ uris: [spiffeUri(identity)] })), ca,
});
const open = (expect: { role: 'bank'; name: string } = { role: 'bank', name: 'alpha' }) =>
  createRotatingChannel({ address: bank.address, tls: client, expect, onProblem: (problem) => problems.push(problem) });

beforeEach(async () => {
  [old, young] = await Promise.all([createAuthority(), createAuthority()]);
  server = new HandSource(await issue(old, 'bank/alpha'));
  client = new HandSource(await issue(old, 'gateway/g1'));
  held = [];
  problems = [];
  onHeld = () => {};
  bank = await startLocalServer({
    tls: server,
    handlers: {
      authenticate: async (_request, context) => ({ account: context.peer.name }),
      listEntries: () => new Promise((resolve) => {
        held.push(() => resolve({}));
        onHeld();
      }),
    },
  });
  channel = open();
});

afterEach(async () => {
  channel.close();
  await bank.close();
});

/** The usual way of a root's exchange: trust in both first, then the new certificates, then trust in the new one only. */
async function exchangeRoot(betweenSteps: () => Promise<unknown>): Promise<void> {
  const both = BOTH(young, old);
  server.exchange(await issue(old, 'bank/alpha', both));
  client.exchange(await issue(old, 'gateway/g1', both));
  await betweenSteps();
  client.exchange(await issue(young, 'gateway/g1', both));
  await betweenSteps();
  server.exchange(await issue(young, 'bank/alpha', both));
  await betweenSteps();
  server.exchange(await issue(young, 'bank/alpha'));
  client.exchange(await issue(young, 'gateway/g1'));
  await betweenSteps();
}

describe('while certificates are exchanged', () => {
  it('no call fails, though each end goes over to another root', async () => {
    const calls = createClient(BankServiceDefinition, channel);
    let succeeded = 0;
    let isOver = false;
    const load = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        await calls.getAccount({});
        succeeded += 1;
      }
    });
    await exchangeRoot(async () => {
      const enough = succeeded + 100;
      while (succeeded < enough) await turn();
    });
    isOver = true;
    await Promise.all(load);
    expect(succeeded).toBeGreaterThan(400);
    expect(problems).toEqual([]);
  });

  it('a call that runs is not disturbed', async () => {
    const arrived = new Promise<void>((resolve) => { onHeld = resolve; });
    const running = createClient(BankServiceDefinition, channel).listEntries({});
    await arrived;
    await exchangeRoot(async () => createClient(BankServiceDefinition, channel).getAccount({}));
    held[0]!();
    await expect(running).resolves.toBeDefined();
  });

  it('a new connection gets the new certificate, and the old one is not trusted any more', async () => {
    await createClient(BankServiceDefinition, channel).getAccount({});
    await exchangeRoot(async () => {});
    await expect((await bank.bank({ tls: await issue(young, 'gateway/g2') })).authenticate({})).resolves.toMatchObject({ account: 'g2' });
    const stale = await rejection((await bank.bank({ tls: await issue(old, 'gateway/g2') })).getAccount({}));
    expect(isTlsFailure(stale)).toBe(true);
  });

  it('TLS 1.3 stays the least that a server takes', async () => {
    server.exchange(await issue(old, 'bank/alpha'));
    const { connect } = await import('node:tls');
    const [host, port] = bank.address.split(':');
    const failure = await new Promise<string>((resolve) => {
      const { ca, cert, key } = client.current();
      const socket = connect({ host: host!, port: Number(port), ca, cert, key, maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'], checkServerIdentity: () => undefined });
      socket.once('error', ({ message }) => resolve(message)).once('secureConnect', () => resolve(`connected with ${socket.getProtocol()}`));
    });
    expect(failure).toMatch(/protocol version/);
  });
});

describe('a certificate that will not do', () => {
  it('keeps the old one in use at a server, and is logged', async () => {
    server.exchange({ ...(await issue(old, 'bank/alpha')), key: 'damaged' });
    await expect((await bank.bank({ tls: client.current() })).getAccount({})).resolves.toBeDefined();
    expect(await bank.logLines()).toContainEqual(expect.objectContaining({ level: 'error', message: 'a new certificate cannot be used; the one before stays' }));
  });

  it('keeps the old one in use at a channel, which is told', async () => {
    const calls = createClient(BankServiceDefinition, channel);
    await calls.getAccount({});
    client.exchange({ ...client.current(), cert: 'damaged' });
    await expect(calls.getAccount({})).resolves.toBeDefined();
    expect(problems).toHaveLength(1);
  });

  it('does not take the place of one that works, when the server refuses it', async () => {
    const calls = createClient(BankServiceDefinition, channel);
    await calls.getAccount({});
    client.exchange(await issue(young, 'gateway/g1', BOTH(old, young)));
    for (let call = 0; call < 20; call += 1) await calls.getAccount({});
    // The server hears of the new root later, and then the channel goes over.
    server.exchange(await issue(old, 'bank/alpha', young.cert));
    await expect(calls.getAccount({})).resolves.toBeDefined();
  });
});

describe('a rotating channel', () => {
  it('goes over at once when there was no connection', async () => {
    const before = createClient(BankServiceDefinition, channel);
    client.exchange(await issue(old, 'gateway/g9'));
    await expect(before.authenticate({})).resolves.toMatchObject({ account: 'g9' });
  });

  it('refuses a server of another name with a clear error, before and after', async () => {
    channel.close();
    channel = open({ role: 'bank', name: 'beta' });
    const calls = createClient(BankServiceDefinition, channel);
    for (const certificate of ['gateway/g1', 'gateway/g2']) {
      client.exchange(await issue(old, certificate));
      const error = await rejection(calls.getAccount({}));
      expect(error.code).toBe(Status.UNAVAILABLE);
      expect(tlsFailureReason(error)).toBe('server identity refused: expected bank/beta, but bank/alpha answered');
    }
  });

  it('takes no calls after it was closed, and follows its source no more', async () => {
    channel.close();
    expect(client.listeners).toBe(0);
    await expect(createClient(BankServiceDefinition, channel).getAccount({})).rejects.toThrow(/shut ?down/i);
    await bank.server.stop(1_000);
    expect(server.listeners).toBe(0);
  });
});
