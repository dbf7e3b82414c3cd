// The link to another gateway, over a client that the test answers: what counts as having heard, and where asking goes on.

import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RevocationRow } from '@strife/auth';
import type { ListRevocationsRequest, ListRevocationsResponse, PeerServiceClient } from '@strife/stubs/gateway';
import { createPeerLink } from './peer-link.ts';
import type { PeerLink } from './peer-link.ts';

interface Asked {
  readonly request: ListRevocationsRequest;
  reply(response: Partial<ListRevocationsResponse>): Promise<void>;
  fail(): Promise<void>;
}

let asked: Asked[];
let timers: (() => void)[];
let nowMs: number;
let learnt: RevocationRow[];
let events: string[];
let learn: (rows: readonly RevocationRow[]) => Promise<void>;
let link: PeerLink;

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const revocation = (jti: string) => ({ issuer: 'strife-gateway/g2', jti, expiresAtUnixMs: 9_000n });

beforeEach(() => {
  [asked, timers, nowMs, learnt, events] = [[], [], 100, [], []];
  learn = async (rows) => void learnt.push(...rows);
  const client: Pick<PeerServiceClient, 'revoke' | 'listRevocations'> = {
    revoke: async () => ({}),
    listRevocations: (request) => new Promise((resolve, reject) => {
      asked.push({
        request: request as ListRevocationsRequest,
        reply(response) {
          resolve({ logId: 'log-2', revocations: [], lastSeq: 0n, more: false, ...response });
          return settled();
        },
        fail() {
          reject(new Error('no answer'));
          return settled();
        },
      });
    }),
  };
  link = createPeerLink({
    client, assumedHeardAtMs: -Infinity, learn: (rows) => learn(rows),
    onHeard: () => events.push('heard'), onTrouble: () => events.push('trouble'), onRecovery: () => events.push('recovery'),
    clock: {
      monotonicMs: () => nowMs,
      after(_delayMs, callback) {
        timers.push(callback);
        return () => void (timers = timers.filter((timer) => timer !== callback));
      },
    },
  });
});

const next = async (): Promise<void> => {
  timers.shift()!();
  await settled();
};

describe('a link to another gateway', () => {
  it('has heard as of the time when it asked, once all is durable here', async () => {
    const written = Promise.withResolvers<void>();
    learn = () => written.promise;
    nowMs = 150;
    await asked[0]!.reply({ revocations: [revocation('a')], lastSeq: 1n });
    expect(link.heardAtMs()).toBe(-Infinity);
    written.resolve();
    await settled();
    expect([link.heardAtMs(), events]).toEqual([100, ['heard']]);
  });

  it('has heard nothing before the last page', async () => {
    await asked[0]!.reply({ revocations: [revocation('a')], lastSeq: 1n, more: true });
    expect([link.heardAtMs(), timers]).toEqual([-Infinity, []]);
    expect(asked[1]!.request).toEqual({ logId: 'log-2', afterSeq: 1n });
    await asked[1]!.reply({ revocations: [revocation('b')], lastSeq: 2n });
    expect([link.heardAtMs(), learnt.map(({ jti }) => jti)]).toEqual([100, ['a', 'b']]);
  });

  it('goes on from where the answer says, also in another store', async () => {
    await asked[0]!.reply({ lastSeq: 7n });
    await next();
    expect(asked[1]!.request).toEqual({ logId: 'log-2', afterSeq: 7n });
    await asked[1]!.reply({ logId: 'log-3', revocations: [revocation('a')], lastSeq: 1n });
    await next();
    expect(asked[2]!.request).toEqual({ logId: 'log-3', afterSeq: 1n });
  });

  it('does not pass over what it could not write down', async () => {
    learn = () => Promise.reject(new Error('too many'));
    await asked[0]!.reply({ revocations: [revocation('a')], lastSeq: 1n });
    await next();
    expect([asked[1]!.request.afterSeq, link.heardAtMs(), events]).toEqual([0n, -Infinity, ['trouble']]);
  });

  it('tells of trouble once, and of its end once, and keeps asking', async () => {
    await asked[0]!.fail();
    await next();
    await asked[1]!.fail();
    await next();
    await asked[2]!.reply({});
    await next();
    await asked[3]!.reply({});
    expect(events).toEqual(['trouble', 'recovery', 'heard', 'heard']);
  });

  it('is silent once it is closed', async () => {
    link.close();
    await asked[0]!.reply({});
    expect([timers, events]).toEqual([[], []]);
  });
});
