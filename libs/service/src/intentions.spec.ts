// What an authority beside the server forbids, is forbidden; when it cannot be asked, its last word stays.
import { afterEach, describe, expect, it } from '@jest/globals';
import { spiffeUri } from '@strife/certs';
import { HealthDefinition } from 'nice-grpc-server-health';
import { createClient, Status } from './index.ts';
import { createIntentionGate, INTENTION_CACHE_MS, type IntentionGateOptions } from './intentions.ts';
import { rejection, startLocalServer, type LocalServer } from './local-server.spec-kit.ts';
import { parsePeer, type VerifiedPeer } from './verified-peer.ts';

const GATEWAY = parsePeer(`${spiffeUri('gateway/g1')} serial=0A`)!;

/** An authority and a clock that the test moves. */
function start(first: boolean | Error) {
  const told: string[] = [];
  const asked: string[] = [];
  const world = { answer: first, atMs: 0 };
  const options: IntentionGateOptions = {
    intentions: {
      async isAllowed(uri, serial) {
        asked.push(`${uri} ${serial}`);
        if (world.answer instanceof Error) throw world.answer;
        return world.answer;
      },
    },
    nowMs: () => world.atMs,
    onOutage: () => told.push('outage'),
    onRecovery: () => told.push('recovery'),
  };
  const gate = createIntentionGate(options);
  const admit = async (peer: VerifiedPeer = GATEWAY) => gate.admit(peer).then(() => 'admitted', ({ code }: { code: Status }) => Status[code]);
  return { world, asked, told, admit };
}

describe('intentions', () => {
  it('are asked for once a peer and second, with the serial number', async () => {
    const { world, asked, admit } = start(true);
    expect(await Promise.all([admit(), admit(), admit()])).toEqual(['admitted', 'admitted', 'admitted']);
    world.atMs = INTENTION_CACHE_MS - 1;
    await admit();
    expect(asked).toEqual(['spiffe://strife.local/gateway/g1 0A']);
    world.atMs = INTENTION_CACHE_MS;
    await admit();
    await admit({ ...GATEWAY, serial: '0B' });
    expect(asked).toHaveLength(3);
  });

  it('are honoured when they change, both ways, by the first call after the cache time', async () => {
    const { world, admit } = start(true);
    await admit();
    world.answer = false;
    world.atMs += INTENTION_CACHE_MS;
    expect(await admit()).toBe('PERMISSION_DENIED');
    world.answer = true;
    expect(await admit()).toBe('PERMISSION_DENIED');
    world.atMs += INTENTION_CACHE_MS;
    expect(await admit()).toBe('admitted');
  });

  it.each([[true, 'admitted'], [false, 'PERMISSION_DENIED']])('stay %s while the authority cannot be asked, which is told once', async (answer, outcome) => {
    const { world, told, asked, admit } = start(answer);
    await admit();
    world.answer = new Error('away');
    for (let second = 0; second < 3; second += 1) {
      world.atMs += INTENTION_CACHE_MS;
      expect(await admit()).toBe(outcome);
    }
    expect(asked).toHaveLength(4);
    world.answer = !answer;
    world.atMs += INTENTION_CACHE_MS;
    await admit();
    expect(await admit()).not.toBe(outcome);
    expect(told).toEqual(['outage', 'recovery']);
  });

  it.each([[true, 'admitted'], [false, 'PERMISSION_DENIED']])('said %s of an identity, hold for its next certificate while the authority cannot be asked, and not beyond', async (answer, outcome) => {
    const { world, asked, admit } = start(answer);
    const renewed = { ...GATEWAY, serial: '0B' };
    await admit();
    world.answer = new Error('away');
    expect(await admit(renewed)).toBe(outcome);
    expect(await admit(parsePeer(`${spiffeUri('gateway/g2')} serial=0B`))).toBe('UNAVAILABLE');
    world.answer = !answer;
    world.atMs += INTENTION_CACHE_MS;
    await admit(renewed);
    expect(await admit(renewed)).not.toBe(outcome);
    expect(asked.filter((question) => question.endsWith('g1 0B'))).toHaveLength(2);
  });

  it('that deny an identity hold for all of its certificates while the authority cannot be asked', async () => {
    const { world, admit } = start(true);
    await admit();
    world.answer = false;
    expect(await admit({ ...GATEWAY, serial: '0B' })).toBe('PERMISSION_DENIED');
    world.answer = new Error('away');
    world.atMs += INTENTION_CACHE_MS;
    expect(await admit()).toBe('PERMISSION_DENIED');
  });

  it('are asked for before the first call with a certificate, also right after an outage', async () => {
    const { world, admit } = start(true);
    await admit();
    world.answer = new Error('away');
    world.atMs += INTENTION_CACHE_MS;
    await admit();
    world.answer = false;
    expect(await admit({ ...GATEWAY, serial: '0B' })).toBe('PERMISSION_DENIED');
  });

  it('that were never known let nobody in, and are asked for again a second later', async () => {
    const { world, admit } = start(new Error('away'));
    expect(await admit()).toBe('UNAVAILABLE');
    world.answer = true;
    expect(await admit()).toBe('UNAVAILABLE');
    world.atMs += INTENTION_CACHE_MS;
    expect(await admit()).toBe('admitted');
  });
});

describe('a server with intentions', () => {
  let bank: LocalServer | undefined;
  afterEach(() => bank?.close());

  it('refuses with a clear error whom they forbid, but answers its health check', async () => {
    bank = await startLocalServer({ intentions: { isAllowed: () => false } });
    const error = await rejection((await bank.bank()).getAccount({}));
    expect(error).toMatchObject({ code: Status.PERMISSION_DENIED, details: 'an intention forbids gateway/g1 to call this service' });
    await expect(createClient(HealthDefinition, await bank.channel()).check({ service: '' })).resolves.toMatchObject({ status: 1 });
    expect(await bank.logLines()).toContainEqual(expect.objectContaining({ reason: 'INTENTION_DENIED', peer: spiffeUri('gateway/g1') }));
  });

  it('does not ask about a role that the access table refuses anyway', async () => {
    const asked: string[] = [];
    bank = await startLocalServer({ intentions: { isAllowed: (uri) => asked.push(uri) > 0 } });
    const client = await bank.bank({ tls: await bank.certificate('client/alice') });
    expect((await rejection(client.getAccount({}))).code).toBe(Status.PERMISSION_DENIED);
    await (await bank.bank()).getAccount({});
    expect(asked).toEqual([spiffeUri('gateway/g1')]);
  });
});
