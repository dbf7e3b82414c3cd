// One session at two gateways: it outlives the gateway that made it, a logout ends it everywhere, and a new key disturbs nobody.

import { readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadTls } from '@strife/certs';
import { AuthenticationError, connect, newTransferId } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import { PeerServiceDefinition, TransferServiceDefinition } from '@strife/stubs/gateway';
import { HealthDefinition } from 'nice-grpc-server-health';
import { bearer } from '../support/callers.ts';
import { expectCleanBooks } from '../support/books.ts';
import { keepPaying } from '../support/load.ts';
import { onThisMachine } from '../support/patience.ts';
import { expectWellWorded, failureOf, refusalOf } from '../support/refusal.ts';
import { passwordOf, startTestCluster } from '../support/test-cluster.ts';
import type { Person, TestCluster } from '../support/test-cluster.ts';
import { partsOf } from '../support/tokens.ts';

const AMOUNT = { currency: 'EUR', minorUnits: 1n };
const [SERVING, NOT_SERVING] = [1, 2];

let cluster: TestCluster;
const clients: Strife[] = [];

async function startGateways(env: Record<string, string>): Promise<void> {
  cluster = await startTestCluster({ gateways: ['g1', 'g2'], env });
}

async function endGateways(): Promise<void> {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await cluster?.end();
}

/** The person's session at one gateway and no other. */
async function only(gateway: string, { strife: { session } }: Pick<Person, 'strife'>): Promise<Strife> {
  const tls = await loadTls(cluster.directories.certs, 'client/dev');
  const strife = await connect({ gateways: [cluster.service(gateway).address], tls, session });
  clients.push(strife);
  return strife;
}

async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isSo())) await delay(20);
}

async function pair(): Promise<[Person, Person]> {
  return Promise.all([cluster.person('alpha', { openingMinor: 1_000_000n }), cluster.person('beta')]);
}

describe('a session', () => {
  beforeAll(() => startGateways({ STRIFE_REVOCATION_GRACE: '1s' }), 60_000);
  afterAll(endGateways);

  it('goes on at the second gateway when the one that made it is killed in the middle of payments, each paid once', async () => {
    const [payer, payee] = await pair();
    const before = await payee.posted();
    const paying = keepPaying(payer.strife, [payee.account]);
    await paying.untilMore(20);
    await cluster.service('g1').kill('SIGKILL');
    await paying.untilMore(20);
    // What the first gateway held prepared waits for its log, and ends once that is back.
    await cluster.service('g1').restart();
    await paying.stop();
    expect((await payee.posted()) - before).toBe(BigInt(paying.count()));
    expect(await payer.posted()).toBe(1_000_000n - BigInt(paying.count()));
    await expectCleanBooks(cluster);
  });

  it('is known at a gateway again after that has restarted, from the registry', async () => {
    const payer = await cluster.person('alpha');
    await cluster.service('g2').restart();
    expect((await (await only('g2', payer)).balance()).posted.minorUnits).toBe(100_000n);
  });

  it('ends at every gateway with a logout at one, for good', async () => {
    const person = await cluster.person('alpha');
    const other = await only('g2', person);
    await other.balance();
    await person.strife.logout();
    expect((await failureOf(other.balance(), AuthenticationError)).code).toBe('TOKEN_REVOKED');
    await cluster.service('g2').restart();
    expect((await failureOf(other.balance(), AuthenticationError)).code).toBe('TOKEN_REVOKED');
  });

  it('ends at a gateway that was away at the logout, before it serves again', async () => {
    const person = await cluster.person('alpha');
    const other = await only('g2', person);
    await cluster.service('g2').stop();
    await person.strife.logout();
    await cluster.service('g2').restart();
    expect((await failureOf(other.balance(), AuthenticationError)).code).toBe('TOKEN_REVOKED');
  });

  it('tells other gateways of every logout, with a place to go on from', async () => {
    const peer = await cluster.callers.client(PeerServiceDefinition, cluster.service('g2').address, 'gateway/g3');
    const known = await peer.listRevocations({});
    const revocation = { issuer: 'strife-gateway/g9', jti: newTransferId(), expiresAtUnixMs: BigInt(Date.now() + 60_000) };
    await peer.revoke({ revocations: [revocation] });
    await peer.revoke({ revocations: [revocation] });
    const { logId, lastSeq: afterSeq } = known;
    expect(await peer.listRevocations({ logId, afterSeq })).toMatchObject({ logId, revocations: [revocation], more: false });
    const whole = [...known.revocations, revocation];
    expect((await peer.listRevocations({ logId: 'another', afterSeq })).revocations).toEqual(whole);
    expect((await peer.listRevocations({ logId, afterSeq: 1_000_000n })).revocations).toEqual(whole);
    for (const wrong of [[], [{ ...revocation, jti: '' }], [{ ...revocation, issuer: 'x'.repeat(257) }], [{ ...revocation, expiresAtUnixMs: -1n }]]) {
      const refusal = await refusalOf(peer.revoke({ revocations: wrong }));
      expect(refusal.status).toBe('INVALID_ARGUMENT');
      expectWellWorded(refusal);
    }
  });

  it('ends within a second at a gateway that nobody told: it asks', async () => {
    const person = await cluster.person('alpha');
    const { token } = person.strife.session!;
    const { iss, jti } = partsOf(token).claims as { iss: string; jti: string };
    const peer = await cluster.callers.client(PeerServiceDefinition, cluster.service('g2').address, 'gateway/g3');
    const atFirst = await only('g1', person);
    await atFirst.balance();
    const revokedAtMs = performance.now();
    await peer.revoke({ revocations: [{ issuer: iss, jti, expiresAtUnixMs: BigInt(Date.now() + 60_000) }] });
    await until(() => atFirst.balance().then(() => false, (error: AuthenticationError) => error.code === 'TOKEN_REVOKED'));
    expect(performance.now() - revokedAtMs).toBeLessThan(onThisMachine(1000));
  });

  describe('at a gateway that cannot hear of logouts', () => {
    const STALE = 'logouts at other gateways are not heard';
    const FRESH = 'all gateways are heard again';
    /** Which of the two the second gateway has said, in order. */
    const said = (): string[] => readFileSync(cluster.service('g2').logFile, 'utf8').match(new RegExp(`${STALE}|${FRESH}`, 'g')) ?? [];

    /** Of payments alone. */
    async function healthOf(gateway: string): Promise<number> {
      const health = await cluster.callers.client(HealthDefinition, cluster.service(gateway).address, 'client/dev');
      expect((await health.check({ service: '' })).status).toBe(SERVING);
      return (await health.check({ service: TransferServiceDefinition.fullName })).status;
    }

    async function payAt(gateway: string, person: Person): Promise<string | undefined> {
      const client = await cluster.callers.client(TransferServiceDefinition, cluster.service(gateway).address, 'client/dev');
      const request = { id: newTransferId(), to: { bank: 'beta', account: 'bob' }, amount: AMOUNT, earlierSendsAnswered: true };
      const metadata = bearer(person.strife.session!.token);
      const batch = client.batchCreateTransfers({ items: [request] }, { metadata });
      const refusal = await Promise.all([batch, client.createTransfer(request, { metadata })]).then(() => undefined, (error: unknown) => refusalOf(Promise.reject(error)));
      await batch.catch(() => undefined);
      if (refusal === undefined) return undefined;
      expectWellWorded(refusal);
      expect([refusal.status, refusal.retryable]).toEqual(['UNAVAILABLE', 'true']);
      return refusal.reason;
    }

    let heartbeat: NodeJS.Timeout | undefined;

    /** The first gateway stays in the registry also while it is stopped, however long: Consul's last list stays while it is away, and a file while it is touched. */
    async function holdRegistry(): Promise<void> {
      const { discovery: { agent }, directories } = cluster;
      const touch = (): void => utimesSync(join(directories.registry, 'gateway', 'g1.json'), new Date(), new Date());
      if (agent === undefined) heartbeat = setInterval(touch, 100);
      else await agent.kill('SIGKILL');
    }

    async function releaseRegistry(): Promise<void> {
      clearInterval(heartbeat);
      const { agent } = cluster.discovery;
      if (agent?.running === false) await agent.restart();
    }

    it.each([
      ['the other one goes on', async () => void process.kill(cluster.service('g1').pid, 'SIGCONT')],
      ['the other one has left the registry', releaseRegistry],
    ])('takes no payment after the grace, but reads, until %s', async (_when, mend) => {
      const person = await cluster.person('alpha');
      const reader = await only('g2', person);
      await until(async () => (await payAt('g2', person)) === undefined);
      const before = said().length;
      await holdRegistry();
      process.kill(cluster.service('g1').pid, 'SIGSTOP');
      try {
        await until(async () => (await payAt('g2', person)) === 'REVOCATIONS_STALE');
        await reader.balance();
        await until(async () => (await healthOf('g2')) === NOT_SERVING);
        await mend();
        await until(async () => (await payAt('g2', person)) === undefined);
        await until(async () => (await healthOf('g2')) === SERVING);
        // Once, and once when it is over. (A busy machine can be late for a moment more than once.)
        const lines = said().slice(before);
        expect(lines.length).toBeGreaterThanOrEqual(2);
        expect(lines).toEqual(lines.map((_, index) => (index % 2 === 0 ? STALE : FRESH)));
      } finally {
        await releaseRegistry();
        process.kill(cluster.service('g1').pid, 'SIGCONT');
      }
    });
  });

  it('ends with clean books', async () => {
    await expectCleanBooks(cluster);
  });
});

describe('a new signing key', () => {
  beforeAll(() => startGateways({ STRIFE_KEY_LIFETIME: '2s', STRIFE_KEY_LEAD: '1s' }), 60_000);
  afterAll(endGateways);

  it('signs at last, while payments run and no session is lost, and is known everywhere from its first', async () => {
    const [payer, payee] = await pair();
    const paying = keepPaying(payer.strife, [payee.account]);
    const kidOf = (token: string): unknown => partsOf(token).header['kid'];
    const old = kidOf(payer.strife.session!.token);

    const tls = await loadTls(cluster.directories.certs, 'client/dev');
    const login = async (): Promise<Strife> => {
      const strife = await connect({ gateways: [cluster.service('g1').address], tls });
      clients.push(strife);
      await strife.login({ bank: payer.bank, username: payer.name, password: passwordOf(payer.name) });
      return strife;
    };
    let newest = await login();
    await until(async () => {
      // One person may log in sixty times a minute.
      await delay(200);
      newest = await login();
      await (await only('g2', { strife: newest })).balance();
      return kidOf(newest.session!.token) !== old;
    });
    await (await only('g2', payer)).balance();
    await paying.untilMore(1);
    await paying.stop();
    expect(await payee.posted()).toBe(100_000n + BigInt(paying.count()));
    await expectCleanBooks(cluster);
  });
});
