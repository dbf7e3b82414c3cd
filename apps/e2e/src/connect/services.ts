// A bank's server and gateways' channels with certificates from wherever the test gets them: the same libraries as the programs use, in this process.

import { createClient, createRotatingChannel, createServiceServer } from '@strife/service';
import type { Channel, ExpectedPeer, Intentions, Logger, TlsSource } from '@strife/service';
import { BankServiceDefinition } from '@strife/stubs/bank';
import type { BankServiceClient } from '@strife/stubs/bank';

export interface LocalBank {
  readonly address: string;
  /** What the server logged at level error or warn, calls excepted. */
  readonly troubles: readonly string[];
  /** A gateway's client of this bank; its `authenticate` answers who it is. */
  client(tls: TlsSource, expect?: ExpectedPeer): BankServiceClient;
  close(): Promise<void>;
}

export async function startLocalBank(tls: TlsSource, intentions?: Intentions): Promise<LocalBank> {
  const troubles: string[] = [];
  const trouble = (message: string): void => {
    if (message !== 'rpc') troubles.push(message);
  };
  const logger = { isLevelEnabled: () => false, info: () => {}, debug: () => {}, warn: trouble, error: trouble } as unknown as Logger;
  const server = createServiceServer({
    name: 'bank-alpha', host: '127.0.0.1', port: 0, tls, intentions, logger,
    access: { [BankServiceDefinition.fullName]: ['gateway'] },
  });
  const nothing = async (): Promise<object> => ({});
  server.add(BankServiceDefinition, {
    authenticate: async (_request, { peer }) => ({ account: peer.name }),
    refreshGrant: nothing, endSession: nothing, getAccount: nothing, listEntries: nothing, getTransfer: nothing, listTransfers: nothing, explainTransfer: nothing,
  });
  const { address } = await server.listen();
  const channels: Channel[] = [];
  return {
    address,
    troubles,
    client(clientTls, expect = { role: 'bank', name: 'alpha' }) {
      const channel = createRotatingChannel({ address, tls: clientTls, expect, onProblem: ({ message }) => troubles.push(message) });
      channels.push(channel);
      return createClient(BankServiceDefinition, channel);
    },
    async close() {
      for (const channel of channels) channel.close();
      await server.stop(1000);
    },
  };
}
