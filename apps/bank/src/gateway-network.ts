// The bank's way to the gateways: for each decision log, somebody who can say what became of a transfer.

import type { Instance, Registry } from '@strife/discovery';
import { declineReasonFromWire, gatewayOfLog, transferIdToWire } from '@strife/service';
import { CoordinatorServiceDefinition, InquiryOutcome } from '@strife/stubs/gateway';
import type { CoordinatorServiceClient, Inquiry as WireInquiry, InquiryAnswer as WireAnswer } from '@strife/stubs/gateway';
import type { Inquiry, InquiryAnswer, LogId } from '@strife/two-phase-commit';
import { createClient } from 'nice-grpc';
import type { Channel } from 'nice-grpc';

export interface GatewayNetwork {
  /** Asks one gateway that serves the log; may be repeated at will. Rejects when none can be reached or it does not answer in time. */
  ask(log: LogId, inquiries: readonly (Inquiry & { deadlineMs: number })[]): Promise<readonly InquiryAnswer[]>;
  close(): void;
}

export interface GatewayNetworkOptions {
  readonly registry: Registry;
  readonly openChannel: (gateway: Instance) => Channel;
  /** A gateway that serves this log has appeared, or was started again. */
  readonly onLogServed: (log: LogId) => void;
}

const INQUIRY_TIMEOUT_MS = 2000;

interface Gateway {
  readonly address: string;
  readonly log: LogId;
  /** Which start of it. */
  readonly run: string | undefined;
  readonly channel: Channel;
  readonly client: CoordinatorServiceClient;
}

export function createGatewayNetwork({ registry, openChannel, onLogServed }: GatewayNetworkOptions): GatewayNetwork {
  const gateways = new Map<string, Gateway>();
  let turn = 0;
  const watch = registry.watch('gateway', (instances) => {
    const present = new Set(instances.map(({ id }) => id));
    for (const [id, { channel }] of gateways) {
      if (present.has(id)) continue;
      gateways.delete(id);
      channel.close();
    }
    for (const instance of instances) meet(instance);
  });

  function meet(instance: Instance): void {
    const address = `${instance.host}:${instance.port}`;
    const log = instance.meta['logId'] ?? '';
    // The connection proves that the gateway has the name that it registered; the log's name says whose it is.
    if (gatewayOfLog(log) !== instance.id) return;
    const { run } = instance.meta;
    const known = gateways.get(instance.id);
    const isSamePlace = known?.address === address && known.log === log;
    if (isSamePlace && known.run === run) return;
    if (isSamePlace) {
      gateways.set(instance.id, { ...known, run });
    } else {
      known?.channel.close();
      const channel = openChannel(instance);
      gateways.set(instance.id, { address, log, run, channel, client: createClient(CoordinatorServiceDefinition, channel) });
    }
    onLogServed(log);
  }

  return {
    async ask(log, inquiries) {
      const serving = [...gateways.values()].filter((gateway) => gateway.log === log);
      if (serving.length === 0) throw new Error(`no gateway serves log ${log}`);
      const { client } = serving[turn++ % serving.length]!;
      const request = { logId: log, inquiries: inquiries.map(inquiryToWire) };
      const { answers } = await client.inquireDecisions(request, { signal: AbortSignal.timeout(INQUIRY_TIMEOUT_MS) });
      return inquiries.map((_, index) => answerFromWire(answers[index]));
    },
    close() {
      watch.close();
      for (const { channel } of gateways.values()) channel.close();
    },
  };
}

function inquiryToWire({ id, attempt, body, deadlineMs }: Inquiry & { deadlineMs: number }): WireInquiry {
  const { from, to, currency, amountMinor, memo } = body;
  return {
    transferId: transferIdToWire(id), attempt, from, to, memo,
    amount: { currency, minorUnits: amountMinor },
    deadlineUnixMs: BigInt(deadlineMs),
  };
}

/** Whatever is not clearly a decision leaves the leg in doubt. */
function answerFromWire(answer: WireAnswer | undefined): InquiryAnswer {
  switch (answer?.outcome) {
    case InquiryOutcome.COMMITTED:
      return { kind: 'committed', attempt: answer.attempt };
    case InquiryOutcome.ABORTED: {
      const reason = declineReasonFromWire(answer.reason);
      return { kind: 'aborted', attempt: answer.attempt, ...(reason === undefined ? {} : { reason }) };
    }
    default:
      return { kind: 'pending' };
  }
}
