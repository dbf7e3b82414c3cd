// One gateway: its channel, its typed clients, and whether it can be reached.

import { isIP } from 'node:net';
import { connectivityState, type Channel, type ChannelCredentials } from '@grpc/grpc-js';
import { createChannel, createClientFactory, type Client } from 'nice-grpc';
import { errorDetailsClientMiddleware } from 'nice-grpc-error-details';
import { AccountServiceDefinition, SessionServiceDefinition, TransferServiceDefinition } from '@strife/stubs/gateway';
import { timeoutSignal } from './budget.ts';
import { InvalidArgumentError, type TlsError } from './errors.ts';
import { diagnoseTls, type TlsOptions } from './gateway-tls.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 1_000;
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;
const MESSAGE_BYTES_MAX = 8 * 1024 * 1024;

/** Said in the handshake where the host is an address: RFC 6066 wants a name. Identity does not depend on it. */
const SERVER_NAME_FOR_IP = 'gateway.strife.local';

const CHANNEL_OPTIONS = {
  // nice-grpc gives this option its meaning: the longest that one connection attempt may take.
  'grpc.min_reconnect_backoff_ms': CONNECT_TIMEOUT_MS,
  'grpc.initial_reconnect_backoff_ms': RECONNECT_MIN_MS,
  'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS,
  'grpc.keepalive_time_ms': KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  // Connections belong to one client; nothing is shared behind its back, nor sent through a proxy from the environment.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
} as const;

/** A gateway, and the calls that it answers. */
export interface GatewayLink {
  /** `host:port`, as it was given. */
  readonly address: string;
  readonly sessions: Client<typeof SessionServiceDefinition>;
  readonly accounts: Client<typeof AccountServiceDefinition>;
  readonly transfers: Client<typeof TransferServiceDefinition>;
  /** Connects if need be. True once connected; false if that failed, took longer than `waitMs`, or was cancelled. */
  connect(waitMs: number, signal: AbortSignal): Promise<boolean>;
  /** After `connect` was false: the reason, if it is one of trust that no repetition mends. */
  diagnose(waitMs: number, signal: AbortSignal): Promise<TlsError | undefined>;
  close(): void;
}

/** A link to `host:port`. Connects on first use. Throws InvalidArgumentError for what is not `host:port`. */
export function gatewayLink(address: string, tls: TlsOptions, credentials: ChannelCredentials): GatewayLink {
  const target = parseAddress(address);
  const channel = createChannel(address, credentials, {
    ...CHANNEL_OPTIONS,
    ...(isIP(target.host) !== 0 && { 'grpc.ssl_target_name_override': SERVER_NAME_FOR_IP }),
  });
  const clients = createClientFactory().use(errorDetailsClientMiddleware);
  return {
    address,
    sessions: clients.create(SessionServiceDefinition, channel),
    accounts: clients.create(AccountServiceDefinition, channel),
    transfers: clients.create(TransferServiceDefinition, channel),
    connect: (waitMs, signal) => connected(channel, Date.now() + waitMs, signal),
    diagnose: (waitMs, signal) => diagnoseTls(target, tls, AbortSignal.any([signal, timeoutSignal(waitMs)])),
    close: () => channel.close(),
  };
}

async function connected(channel: Channel, deadlineUnixMs: number, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return true;
    if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) return false;
    if (!(await changed(channel, state, deadlineUnixMs, signal))) return false;
  }
  return false;
}

/** True when the channel left the state; false at the deadline or when cancelled. */
function changed(
  channel: Channel,
  from: connectivityState,
  deadlineUnixMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = (): void => resolve(false);
    signal.addEventListener('abort', stop, { once: true });
    channel.watchConnectivityState(from, deadlineUnixMs, (error) => {
      signal.removeEventListener('abort', stop);
      resolve(error === undefined);
    });
  });
}

function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535) {
    throw new InvalidArgumentError(`a gateway is <host>:<port>, not "${address}"`, {
      code: 'INVALID_GATEWAY_ADDRESS',
      field: 'gateways',
    });
  }
  return { host: match[1] ?? match[2] ?? '', port };
}
