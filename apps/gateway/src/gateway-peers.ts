// The other gateways: whose sessions are good here, who is told of a logout, and whether theirs are heard.

import type { RevocationRow, Revocations, VerificationKeys } from '@strife/auth';
import type { Instance, Registry } from '@strife/discovery';
import { PeerServiceDefinition } from '@strife/stubs/gateway';
import type { Clock } from '@strife/two-phase-commit';
import { createClient } from 'nice-grpc';
import type { Channel } from 'nice-grpc';
import { describeFailure } from './call-failures.ts';
import { createIssuerKeys } from './issuer-keys.ts';
import { createPeerLink } from './peer-link.ts';
import type { PeerLink } from './peer-link.ts';
import { watchFreshness } from './revocation-freshness.ts';

export interface GatewayPeers {
  /** The keys of another gateway, by the name that its sessions carry. */
  keysOf(issuer: string): VerificationKeys | undefined;
  /** Tells all gateways that are registered, in parallel, for half a second at most. Never rejects: who was not reached asks by itself. */
  revoke(rows: readonly RevocationRow[]): Promise<void>;
  /** The names of the other gateways that are registered; undefined before the registry has told who they are. */
  others(): readonly string[] | undefined;
  /** Whether every registered gateway was heard within the grace; false before the registry has told who they are. */
  isFresh(): boolean;
  /** Resolves when that is so for the first time, or after the grace. Changes are logged and told from then on. */
  ready(): Promise<void>;
  close(): void;
}

export interface GatewayPeersOptions {
  readonly registry: Registry;
  /** The name of this gateway. */
  readonly self: string;
  readonly openChannel: (gateway: Instance) => Channel;
  readonly revocations: Pick<Revocations, 'learn'>;
  /** How long payments go on without a word from a registered gateway. */
  readonly graceMs: number;
  readonly onFreshness: (isFresh: boolean) => void;
  readonly clock: Pick<Clock, 'after' | 'monotonicMs'>;
  readonly logger: { info(message: string, fields: object): void; warn(message: string, fields: object): void };
}

/** How long a logout waits for gateways that do not answer. */
const PUSH_TIMEOUT_MS = 500;

interface Peer {
  readonly address: string;
  readonly channel: Channel;
  readonly link: PeerLink;
}

export function createGatewayPeers(options: GatewayPeersOptions): GatewayPeers {
  const { registry, self, graceMs, onFreshness, clock, logger } = options;
  const issuerKeys = createIssuerKeys({
    self, clock,
    onUnreadable: (gateway) => logger.warn('gateway publishes no keys: its sessions are refused here', { gateway }),
  });
  const peers = new Map<string, Peer>();
  /** Since when gateways have a grace without having been heard in it: coming and going does not renew it. */
  const graceBegan = new Map<string, number>();
  const freshness = watchFreshness({ unheard, graceMs, onFreshness, clock, logger });
  let isListKnown = false;
  const watch = registry.watch('gateway', onGateways);

  function onGateways(gateways: readonly Instance[]): void {
    issuerKeys.learn(gateways);
    const present = new Map(gateways.filter(({ id }) => id !== self).map((gateway) => [gateway.id, gateway]));
    for (const id of peers.keys()) if (!present.has(id)) part(id);
    for (const gateway of present.values()) meet(gateway);
    isListKnown = true;
    freshness.check();
  }

  function meet(gateway: Instance): void {
    const { id } = gateway;
    const address = `${gateway.host}:${gateway.port}`;
    if (peers.get(id)?.address === address) return;
    if (peers.has(id)) part(id);
    // One that was there before us may have revoked while we were away: nothing is assumed of it. One that comes has the grace.
    const assumedHeardAtMs = isListKnown ? (graceBegan.get(id) ?? clock.monotonicMs()) : -Infinity;
    graceBegan.set(id, assumedHeardAtMs);
    const channel = options.openChannel(gateway);
    const link = createPeerLink({
      client: createClient(PeerServiceDefinition, channel),
      assumedHeardAtMs,
      learn: (rows) => options.revocations.learn(rows),
      onHeard() {
        graceBegan.delete(id);
        freshness.check();
      },
      onTrouble: (error) => logger.warn('gateway does not answer', { gateway: id, failure: describeFailure(error) }),
      onRecovery: () => logger.info('gateway answers again', { gateway: id }),
      clock,
    });
    peers.set(id, { address, channel, link });
    logger.info('gateway joined', { gateway: id, address });
  }

  function part(id: string): void {
    const { link, channel } = peers.get(id)!;
    peers.delete(id);
    link.close();
    channel.close();
    logger.info('gateway left', { gateway: id });
  }

  function unheard(): string[] | undefined {
    if (!isListKnown) return undefined;
    const sinceMs = clock.monotonicMs() - graceMs;
    return [...peers].filter(([, { link }]) => link.heardAtMs() < sinceMs).map(([id]) => id);
  }

  return {
    keysOf: (issuer) => issuerKeys.of(issuer),
    async revoke(rows) {
      const signal = AbortSignal.timeout(PUSH_TIMEOUT_MS);
      await Promise.all([...peers].map(([id, { link }]) => link.push(rows, signal).catch((error: unknown) => {
        logger.warn('gateway was not told of a logout: it will ask', { gateway: id, failure: describeFailure(error) });
      })));
    },
    others: () => (isListKnown ? [...peers.keys()].sort() : undefined),
    isFresh: () => freshness.check(),
    ready: () => freshness.ready(),
    close() {
      freshness.close();
      watch.close();
      for (const { link, channel } of peers.values()) {
        link.close();
        channel.close();
      }
    },
  };
}
