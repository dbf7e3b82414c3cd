// The other gateways, as the registry tells of them, where none of them answers: how long that is borne.

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Instance } from '@strife/discovery';
import { createChannel } from 'nice-grpc';
import { createGatewayPeers } from './gateway-peers.ts';
import type { GatewayPeers } from './gateway-peers.ts';

const GRACE_MS = 5000;

let nowMs: number;
let tell: (...ids: string[]) => void;
let peers: GatewayPeers;

beforeEach(() => {
  nowMs = 0;
  peers = createGatewayPeers({
    registry: {
      watch(_service, onChange) {
        tell = (...ids) => onChange(ids.map((id): Instance => ({ service: 'gateway', id, host: '127.0.0.1', port: 1, meta: {} })));
        return { instances: [], close: () => undefined };
      },
      register: () => Promise.reject(new Error('not here')),
      close: () => Promise.resolve(),
    },
    self: 'g1', graceMs: GRACE_MS, openChannel: ({ host, port }) => createChannel(`${host}:${port}`),
    revocations: { learn: () => Promise.resolve() }, onFreshness: () => undefined,
    clock: { monotonicMs: () => nowMs, after: () => () => undefined },
    logger: { info: () => undefined, warn: () => undefined },
  });
});

afterEach(() => peers.close());

describe('a gateway among others', () => {
  it('is fresh alone, and not before the registry has told that it is', () => {
    expect(peers.isFresh()).toBe(false);
    tell('g1');
    nowMs += 10 * GRACE_MS;
    expect(peers.isFresh()).toBe(true);
  });

  it('assumes nothing of one that was there before it', () => {
    tell('g1', 'g2');
    expect(peers.isFresh()).toBe(false);
    tell('g1');
    expect(peers.isFresh()).toBe(true);
  });

  it('bears the silence of one that comes for the grace, and no longer when it comes and goes', () => {
    tell('g1');
    tell('g1', 'g2');
    nowMs += GRACE_MS;
    expect(peers.isFresh()).toBe(true);
    tell('g1');
    tell('g1', 'g2');
    nowMs += 1;
    expect(peers.isFresh()).toBe(false);
  });

  it('names the others that are registered, and nobody before the registry has told', () => {
    expect(peers.others()).toBeUndefined();
    tell('g1');
    expect(peers.others()).toEqual([]);
    tell('g3', 'g1', 'g2');
    expect(peers.others()).toEqual(['g2', 'g3']);
    tell('g1', 'g3');
    expect(peers.others()).toEqual(['g3']);
  });

  it('tells of a logout in vain without failing', async () => {
    tell('g1', 'g2');
    await peers.revoke([{ issuer: 'strife-gateway/g1', jti: 'a', expiresAtMs: 1 }]);
  });
});
