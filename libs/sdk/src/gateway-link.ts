// One gateway: its connection, its typed clients, and whether it can be reached. A renewed certificate brings a new connection,
// which takes the old one's place when it stands; the old one ends with the last call on it.

import { isIP } from 'node:net';
import { connectivityState, type Channel, type ChannelCredentials } from '@grpc/grpc-js';
import { createChannel, createClientFactory, type Client } from 'nice-grpc';
import { errorDetailsClientMiddleware } from 'nice-grpc-error-details';
import { AccountServiceDefinition, SessionServiceDefinition, TransferServiceDefinition } from '@strife/stubs/gateway';
import { timeoutSignal } from './budget.ts';
import { InvalidArgumentError, type TlsError } from './errors.ts';
import { diagnoseTls } from './gateway-tls.ts';
import type { TlsOptions } from './tls-source.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 1_000;
/** A connection without calls is closed after this time, so that quiet clients cost gateways nothing. */
const IDLE_MS = 60_000;
const MESSAGE_BYTES_MAX = 8 * 1024 * 1024;

/** Together one second: so soon is a silent gateway left for another one. */
const KEEPALIVE_WITH_OTHERS = { timeMs: 300, timeoutMs: 700 };
/** Where there is no other one, nothing is won by giving up a slow gateway early. */
const KEEPALIVE_ALONE = { timeMs: 10_000, timeoutMs: 5_000 };

/** Said in the handshake where the host is an address: RFC 6066 wants a name. Identity does not depend on it. */
const SERVER_NAME_FOR_IP = 'gateway.strife.local';

const CHANNEL_OPTIONS = {
  // nice-grpc gives this option its meaning: the longest that one connection attempt may take.
  'grpc.min_reconnect_backoff_ms': CONNECT_TIMEOUT_MS,
  'grpc.initial_reconnect_backoff_ms': RECONNECT_MIN_MS,
  'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.client_idle_timeout_ms': IDLE_MS,
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  // Connections belong to one client; nothing is shared behind its back, nor sent through a proxy from the environment.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
} as const;

const { methods } = TransferServiceDefinition;
const { fromPartial: _, ...WholeBatch } = methods.batchCreateTransfers.requestType;

/** With batches of whole messages only: nice-grpc would copy a thousand payments first, so that callers may leave fields out. */
const TransferService = {
  ...TransferServiceDefinition,
  methods: { ...methods, batchCreateTransfers: { ...methods.batchCreateTransfers, requestType: WholeBatch } },
} as const;

/** The calls that a gateway answers. */
export interface GatewayClients {
  readonly sessions: Client<typeof SessionServiceDefinition>;
  readonly accounts: Client<typeof AccountServiceDefinition>;
  readonly transfers: Client<typeof TransferService>;
}

export interface GatewayLink {
  /** `host:port`, as it was given. */
  readonly address: string;
  /** Calls that have begun and not ended. */
  readonly inFlight: number;
  isConnected(): boolean;
  /** Begins to connect, or to connect again, if need be. */
  wake(): void;
  /** Connects if need be. True once connected; false if that failed, took longer than `waitMs`, or was cancelled. */
  connect(waitMs: number, signal: AbortSignal): Promise<boolean>;
  /** After `connect` was false: the reason, if it is one of trust that no repetition mends. */
  diagnose(waitMs: number, signal: AbortSignal): Promise<TlsError | undefined>;
  /** Makes a call on the connection that is current now. */
  call<T>(ask: (clients: GatewayClients) => Promise<T>): Promise<T>;
  /** New connections are made with these. The present one stays until one of them stands. */
  renew(secure: Secure): void;
  /** No call begins any more; those in flight go on. */
  close(): void;
}

/** What a connection is made with. */
export interface Secure {
  readonly tls: TlsOptions;
  readonly credentials: ChannelCredentials;
}

export interface GatewayLinkOptions {
  /** `host:port` */
  readonly address: string;
  readonly secure: Secure;
  /** There may be another gateway to go to. */
  readonly hasOthers: boolean;
  /** Called when a call begins while another one is in flight. */
  readonly onBusy: () => void;
}

/** A link to `host:port`. Connects on first use. Throws InvalidArgumentError for what is not `host:port`. */
export function gatewayLink({ address, secure: initially, hasOthers, onBusy }: GatewayLinkOptions): GatewayLink {
  const target = parseAddress(address);
  const { timeMs, timeoutMs } = hasOthers ? KEEPALIVE_WITH_OTHERS : KEEPALIVE_ALONE;
  const options = {
    ...CHANNEL_OPTIONS,
    'grpc.keepalive_time_ms': timeMs,
    'grpc.keepalive_timeout_ms': timeoutMs,
    ...(isIP(target.host) !== 0 && { 'grpc.ssl_target_name_override': SERVER_NAME_FOR_IP }),
  };
  const open = ({ credentials }: Secure): Line => openLine(createChannel(address, credentials, options));
  let secure = initially;
  let line = open(secure);
  let next: Line | undefined;
  let inFlight = 0;
  const closing = new AbortController();

  function takeNext(): void {
    if (!next) return;
    retire(line);
    line = next;
    next = undefined;
  }

  async function standBy(candidate: Line): Promise<void> {
    while (next === candidate) {
      const state = candidate.channel.getConnectivityState(true);
      if (state === connectivityState.READY || !isReady(line)) return takeNext();
      await changed(candidate.channel, state, Date.now() + CONNECT_TIMEOUT_MS, closing.signal);
    }
  }

  return {
    address,
    get inFlight() {
      return inFlight;
    },
    isConnected: () => isReady(line),
    wake: () => void line.channel.getConnectivityState(true),
    async connect(waitMs, signal) {
      if (!isReady(line)) takeNext();
      return connected(line.channel, Date.now() + waitMs, signal);
    },
    diagnose: (waitMs, signal) => diagnoseTls(target, secure.tls, AbortSignal.any([signal, timeoutSignal(waitMs)])),
    async call(ask) {
      const used = line;
      used.calls += 1;
      inFlight += 1;
      if (inFlight > 1 && hasOthers) onBusy();
      try {
        return await ask(used.clients);
      } finally {
        inFlight -= 1;
        used.calls -= 1;
        if (used.isRetired && used.calls === 0) used.channel.close();
      }
    },
    renew(renewed) {
      if (closing.signal.aborted) return;
      secure = renewed;
      if (next) retire(next);
      next = open(renewed);
      void standBy(next);
    },
    close() {
      closing.abort();
      if (next) retire(next);
      next = undefined;
      retire(line);
    },
  };
}

/** One connection and the calls on it. */
interface Line {
  readonly channel: Channel;
  readonly clients: GatewayClients;
  calls: number;
  isRetired: boolean;
}

function openLine(channel: Channel): Line {
  const factory = createClientFactory().use(errorDetailsClientMiddleware);
  const clients = {
    sessions: factory.create(SessionServiceDefinition, channel),
    accounts: factory.create(AccountServiceDefinition, channel),
    transfers: factory.create(TransferService, channel),
  };
  return { channel, clients, calls: 0, isRetired: false };
}

function retire(line: Line): void {
  line.isRetired = true;
  if (line.calls === 0) line.channel.close();
}

function isReady({ channel }: Line): boolean {
  return channel.getConnectivityState(false) === connectivityState.READY;
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
