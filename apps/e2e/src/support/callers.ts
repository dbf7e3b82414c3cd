// Clients that send what the SDK would not: with any certificate, any token, any bytes.

import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { ChannelCredentials } from '@grpc/grpc-js';
import type { TlsMaterial } from '@strife/certs';
import { createChannel, createClientFactory, Metadata } from 'nice-grpc';
import type { Channel, Client, CompatServiceDefinition } from 'nice-grpc';
import { errorDetailsClientMiddleware } from 'nice-grpc-error-details';
import type { TestDiscovery } from './discovery.ts';

export interface Callers {
  /** A client that shows the certificate of an identity, such as `bank/alpha`, and takes any server of the authority for right. */
  client<Definition extends CompatServiceDefinition>(definition: Definition, address: string, identity: string): Promise<Client<Definition>>;
  /** As `client`, with any certificate, or none. */
  clientWith<Definition extends CompatServiceDefinition>(definition: Definition, address: string, tls: ClientTls): Client<Definition>;
  /** Sends bytes to a method, `/package.Service/Method`, and returns the bytes of the answer. */
  send(address: string, identity: string, path: string, bytes: Uint8Array, token?: string): Promise<Uint8Array>;
  /** The gRPC status of an empty request with these `authorization` lines, which no gRPC client sends more than one of. */
  statusOf(address: string, identity: string, path: string, authorization: readonly string[]): Promise<string>;
  /**
   * Begins a health check whose request is not complete until `finish` is called, so that the server has a call under way until then. The server has
   * it when this resolves; `finish` resolves when it has been answered.
   */
  callInTwoParts(address: string, identity: string): Promise<{ finish(): Promise<void> }>;
  close(): void;
}

export type ClientTls = TlsMaterial | Pick<TlsMaterial, 'ca'>;

export function openCallers({ certificate }: Pick<TestDiscovery, 'certificate'>): Callers {
  const clients = createClientFactory().use(errorDetailsClientMiddleware);
  const channels: Channel[] = [];
  const byIdentity = new Map<string, Promise<Channel>>();

  function open(address: string, tls: ClientTls): Channel {
    const channel = openChannel(address, tls);
    channels.push(channel);
    return channel;
  }

  function channelOf(address: string, identity: string): Promise<Channel> {
    const key = `${identity} ${address}`;
    const known = byIdentity.get(key);
    if (known !== undefined) return known;
    const opening = certificate(identity).then((tls) => open(address, tls));
    byIdentity.set(key, opening);
    return opening;
  }

  return {
    async client(definition, address, identity) {
      return clients.create(definition, await channelOf(address, identity));
    },
    clientWith: (definition, address, tls) => clients.create(definition, open(address, tls)),
    async send(address, identity, path, bytes, token) {
      const client = clients.create(byteDefinition(path), await channelOf(address, identity));
      return client.call(bytes, token === undefined ? {} : { metadata: bearer(token) });
    },
    async statusOf(address, identity, path, authorization) {
      return statusOf(openConnection(address, await certificate(identity)), path, authorization);
    },
    async callInTwoParts(address, identity) {
      return beginCall(openConnection(address, await certificate(identity)));
    },
    close() {
      for (const channel of channels) channel.close();
    },
  };
}

export function bearer(token: string): Metadata {
  return Metadata({ authorization: `Bearer ${token}` });
}

/** A transfer's id as the messages between services carry it. */
export function idBytes(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
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

function openConnection(address: string, tls: TlsMaterial): ClientHttp2Session {
  const options = { ...tls, servername: 'strife.local', checkServerIdentity: () => undefined, strictSingleValueFields: false };
  return connectHttp2(`https://${address}`, options);
}

const callHeaders = (path: string) => ({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });

async function statusOf(connection: ClientHttp2Session, path: string, authorization: readonly string[]): Promise<string> {
  try {
    return await new Promise((settle, fail) => {
      connection.on('error', fail);
      const stream = connection.request({ ...callHeaders(path), authorization: [...authorization] as unknown as string });
      const note = ({ 'grpc-status': status }: IncomingHttpHeaders): void => {
        if (typeof status === 'string') settle(status);
      };
      stream.on('response', note).on('trailers', note).on('error', fail).resume();
      stream.end(Buffer.alloc(5));
    });
  } finally {
    connection.destroy();
  }
}

async function beginCall(connection: ClientHttp2Session): Promise<{ finish(): Promise<void> }> {
  await once(connection, 'connect');
  const call = connection.request(callHeaders('/grpc.health.v1.Health/Check'));
  const answered = once(call.resume(), 'end');
  answered.catch(() => undefined);
  // What is sent after the head of the call is answered after the head has been read.
  await new Promise<void>((settle, fail) => void connection.ping((error) => (error === null ? settle() : fail(error))));
  return {
    async finish() {
      call.end(Buffer.alloc(5));
      await answered.finally(() => connection.destroy());
    },
  };
}

/** A service of one method that takes and gives bytes. */
function byteDefinition(path: string) {
  const asIs = (bytes: Uint8Array): Uint8Array => bytes;
  const serialize = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs };
  return { call: { path, requestStream: false, responseStream: false, options: {}, ...serialize } } as const;
}
