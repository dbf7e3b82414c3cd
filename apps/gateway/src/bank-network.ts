// The gateway's way to the banks: one line and one client a bank, following the registry as banks come and go.

import type { Instance, Registry } from '@strife/discovery';
import { errorDetailsClientMiddleware } from '@strife/service';
import { BankServiceDefinition, ParticipantServiceDefinition } from '@strife/stubs/bank';
import type { BankServiceClient } from '@strife/stubs/bank';
import type { BankLink, BankName, Clock } from '@strife/two-phase-commit';
import { createClientFactory } from 'nice-grpc';
import type { Channel } from 'nice-grpc';
import { createBankLine } from './bank-line.ts';
import type { BankLine } from './bank-line.ts';
import { describeFailure } from './call-failures.ts';

export interface BankNetwork extends BankLink {
  /** The client for reads and logins, or why there is none. */
  find(bank: BankName): BankServiceClient | 'unknown' | 'unreachable';
  /** Decisions that banks have not acknowledged. */
  undelivered(): number;
  close(): void;
}

export interface BankNetworkOptions {
  readonly registry: Registry;
  readonly openChannel: (bank: BankName, instance: Instance) => Channel;
  /** Names of banks that were ever seen; a bank that is not among them is unknown, not down. */
  readonly knownBanks: { has(bank: BankName): boolean; add(bank: BankName): void };
  readonly logId: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly prepareTimeoutMs: number;
  readonly logger: { info(message: string, fields: object): void; warn(message: string, fields: object): void; error(message: string, fields: object): void };
}

interface Peer {
  readonly address: string;
  readonly channel: Channel;
  readonly reads: BankServiceClient;
}

export function createBankNetwork(options: BankNetworkOptions): BankNetwork {
  const { registry, openChannel, knownBanks, logId, clock, random, prepareTimeoutMs, logger } = options;
  const detailed = createClientFactory().use(errorDetailsClientMiddleware);
  const lines = new Map<BankName, BankLine>();
  const peers = new Map<BankName, Peer>();
  const reachable = new Set<BankName>();
  const watch = registry.watch('bank', onBanks);

  function onBanks(instances: readonly Instance[]): void {
    const present = new Map(instances.map((instance) => [instance.meta['bank'] ?? instance.id, instance]));
    for (const bank of reachable) {
      if (present.has(bank)) continue;
      reachable.delete(bank);
      lines.get(bank)?.connect(undefined);
      logger.warn('bank left', { bank });
    }
    for (const [bank, instance] of present) meet(bank, instance);
  }

  function meet(bank: BankName, instance: Instance): void {
    const address = `${instance.host}:${instance.port}`;
    const known = peers.get(bank);
    if (known?.address === address && reachable.has(bank)) return;
    if (known !== undefined && known.address !== address) known.channel.close();
    const channel = known?.address === address ? known.channel : openChannel(bank, instance);
    peers.set(bank, { address, channel, reads: detailed.create(BankServiceDefinition, channel) });
    reachable.add(bank);
    knownBanks.add(bank);
    lineOf(bank).connect(detailed.create(ParticipantServiceDefinition, channel));
    logger.info('bank joined', { bank, address });
  }

  function lineOf(bank: BankName): BankLine {
    const existing = lines.get(bank);
    if (existing !== undefined) return existing;
    const line = createBankLine({
      logId, clock, random, prepareTimeoutMs,
      onTrouble: (error) => logger.warn('bank does not answer', { bank, failure: describeFailure(error) }),
      onRecovery: () => logger.info('bank answers again', { bank }),
      onRefused: (transferId, decision) => logger.error('bank refuses a decision: an invariant is broken', { bank, transferId, ...decision }),
    });
    lines.set(bank, line);
    return line;
  }

  return {
    admit: (bank) => lines.get(bank)?.admit() ?? 'unreachable',
    prepare: (bank, leg, onVote) => lineOf(bank).prepare(leg, onVote),
    decide: (bank, id, decision, onAcknowledged) => lineOf(bank).decide(id, decision, onAcknowledged),
    find(bank) {
      const peer = peers.get(bank);
      if (peer !== undefined && reachable.has(bank)) return peer.reads;
      return knownBanks.has(bank) ? 'unreachable' : 'unknown';
    },
    undelivered: () => [...lines.values()].reduce((sum, line) => sum + line.undelivered(), 0),
    close() {
      watch.close();
      for (const line of lines.values()) line.close();
      for (const { channel } of peers.values()) channel.close();
    },
  };
}
