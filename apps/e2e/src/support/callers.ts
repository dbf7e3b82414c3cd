// Clients that send what the SDK would not: with any certificate, any token, any bytes.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ChannelCredentials } from '@grpc/grpc-js';
import { createAuthority, spiffeUri } from '@strife/certs';
import type { Authority, TlsMaterial } from '@strife/certs';
import { createChannel, createClientFactory, Metadata } from 'nice-grpc';
import type { Channel, Client, CompatServiceDefinition } from 'nice-grpc';
import { errorDetailsClientMiddleware } from 'nice-grpc-error-details';

export interface Callers {
  /** The authority that every certificate of the cluster is from. */
  authority(): Promise<Authority>;
  /** A client that shows the certificate of an identity, such as `bank/alpha`, and takes any server of the authority for right. */
  client<Definition extends CompatServiceDefinition>(definition: Definition, address: string, identity: string): Promise<Client<Definition>>;
  /** As `client`, with any certificate, or none. */
  clientWith<Definition extends CompatServiceDefinition>(definition: Definition, address: string, tls: ClientTls): Client<Definition>;
  /** Sends bytes to a method, `/package.Service/Method`, and returns the bytes of the answer. */
  send(address: string, identity: string, path: string, bytes: Uint8Array, token?: string): Promise<Uint8Array>;
  close(): void;
}

export type ClientTls = TlsMaterial | Pick<TlsMaterial, 'ca'>;

export function openCallers(certsDirectory: string): Callers {
  const clients = createClientFactory().use(errorDetailsClientMiddleware);
  const channels: Channel[] = [];
  const byIdentity = new Map<string, Promise<Channel>>();

  async function authority(): Promise<Authority> {
    const [key, cert] = await Promise.all(['ca.key', 'ca.pem'].map((file) => readFile(join(certsDirectory, file), 'utf8')));
    return createAuthority({ key: key!, cert: cert! });
  }

  function open(address: string, tls: ClientTls): Channel {
    const channel = openChannel(address, tls);
    channels.push(channel);
    return channel;
  }

  function channelOf(address: string, identity: string): Promise<Channel> {
    const key = `${identity} ${address}`;
    const known = byIdentity.get(key);
    if (known !== undefined) return known;
    const opening = authority()
      .then((signer) => signer.issue({ uris: [spiffeUri(identity)] }))
      .then((tls) => open(address, tls));
    byIdentity.set(key, opening);
    return opening;
  }

  return {
    authority,
    async client(definition, address, identity) {
      return clients.create(definition, await channelOf(address, identity));
    },
    clientWith: (definition, address, tls) => clients.create(definition, open(address, tls)),
    async send(address, identity, path, bytes, token) {
      const client = clients.create(byteDefinition(path), await channelOf(address, identity));
      return client.call(bytes, token === undefined ? {} : { metadata: bearer(token) });
    },
    close() {
      for (const channel of channels) channel.close();
    },
  };
}

export function bearer(token: string): Metadata {
  return Metadata({ authorization: `Bearer ${token}` });
}

function openChannel(address: string, tls: ClientTls): Channel {
  const [key, cert] = 'key' in tls ? [Buffer.from(tls.key), Buffer.from(tls.cert)] : [null, null];
  const credentials = ChannelCredentials.createSsl(Buffer.from(tls.ca), key, cert, { checkServerIdentity: () => undefined });
  return createChannel(address, credentials, {
    'grpc.ssl_target_name_override': 'strife.local',
    'grpc.max_send_message_length': -1,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 200,
    'grpc.enable_http_proxy': 0,
  });
}

/** A service of one method that takes and gives bytes. */
function byteDefinition(path: string) {
  const asIs = (bytes: Uint8Array): Uint8Array => bytes;
  const serialize = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs };
  return { call: { path, requestStream: false, responseStream: false, options: {}, ...serialize } } as const;
}
