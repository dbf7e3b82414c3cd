// The gateway's way to the banks: one line and one client a bank, following the registry as banks come and go.

import type { Instance, Registry } from '@strife/discovery';
import { errorDetailsClientMiddleware, wholeMessages } from '@strife/service';
import { BankServiceDefinition, ParticipantServiceDefinition } from '@strife/stubs/bank';
import type { BankServiceClient } from '@strife/stubs/bank';
import { createBankLine } from '@strife/two-phase-commit';
import type { BankLine, BankLink, BankName, Clock } from '@strife/two-phase-commit';
import { createClient, createClientFactory } from 'nice-grpc';
import type { Channel } from 'nice-grpc';
import { createBankPort } from './bank-port.ts';
import type { StreamedBankPort } from './bank-port.ts';
import { describeFailure } from './call-failures.ts';

export interface BankNetwork extends BankLink {
  /** The client for reads and logins, or why there is none. */
  find(bank: BankName): BankServiceClient | 'unknown' | 'unreachable';
  /** Resolves once the registry has said which banks there are, or has had some time to. Until it has, no bank counts as unknown. */
  ready(): Promise<void>;
  /** Resolves when what was still to be told to banks has been told, or a second later. */
  close(): Promise<void>;
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

/** How long a start waits for the first list; without one, banks are unreachable, and that passes. */
const LIST_TIMEOUT_MS = 3000;

const participantService = wholeMessages(ParticipantServiceDefinition, 'exchange');

interface Peer {
  readonly address: string;
  /** Which start of it. */
  readonly run: string | undefined;
  readonly channel: Channel;
  readonly port: StreamedBankPort;
  readonly reads: BankServiceClient;
}

export function createBankNetwork(options: BankNetworkOptions): BankNetwork {
  const { registry, openChannel, knownBanks, logId, clock, random, prepareTimeoutMs, logger } = options;
  const detailed = createClientFactory().use(errorDetailsClientMiddleware);
  const lines = new Map<BankName, BankLine>();
  const peers = new Map<BankName, Peer>();
  const reachable = new Set<BankName>();
  const listed = Promise.withResolvers<void>();
  let isListKnown = false;
  const watch = registry.watch('bank', onBanks);

  function onBanks(instances: readonly Instance[]): void {
    isListKnown = true;
    listed.resolve();
    const present = new Map(instances.map((instance) => [instance.id, instance]));
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
    const { run } = instance.meta;
    const known = peers.get(bank);
    if (known?.address === address && known.run === run && reachable.has(bank)) return;
    known?.port.close();
    if (known !== undefined && known.address !== address) known.channel.close();
    const channel = known?.address === address ? known.channel : openChannel(bank, instance);
    const port = createBankPort({ client: createClient(participantService, channel), logId, clock });
    peers.set(bank, { address, run, channel, port, reads: detailed.create(BankServiceDefinition, channel) });
    reachable.add(bank);
    knownBanks.add(bank);
    lineOf(bank).connect(port);
    logger.info('bank joined', { bank, address });
  }

  function lineOf(bank: BankName): BankLine {
    const existing = lines.get(bank);
    if (existing !== undefined) return existing;
    const line = createBankLine({
      clock, random, prepareTimeoutMs,
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
    decide: (bank, request, decision, haste, onAcknowledged) => lineOf(bank).decide(request, decision, haste, onAcknowledged),
    find(bank) {
      const peer = peers.get(bank);
      if (peer !== undefined && reachable.has(bank)) return peer.reads;
      return knownBanks.has(bank) || !isListKnown ? 'unreachable' : 'unknown';
    },
    async ready() {
      const cancel = clock.after(LIST_TIMEOUT_MS, listed.resolve);
      await listed.promise;
      cancel();
    },
    async close() {
      watch.close();
      await Promise.all([...lines.values()].map((line) => line.close()));
      for (const { channel, port } of peers.values()) {
        port.close();
        channel.close();
      }
    },
  };
}
