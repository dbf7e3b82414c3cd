// For specs: a real server on a free port with real certificates, and clients with any certificate.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, spiffeUri, type Authority } from '@strife/certs';
import { AdminServiceDefinition, BankServiceDefinition, type GetAccountRequest } from '@strife/stubs/bank';
import type { TsProtoServiceDefinition } from 'nice-grpc';
import {
  closeLogger,
  createClient,
  createLogger,
  createPeerChannel,
  createServiceServer,
  fixedTls,
  type Channel,
  type ExpectedPeer,
  type Logger,
  type ServiceContext,
  type ServiceServer,
  type ServiceServerOptions,
  type TlsMaterial,
} from './index.ts';

export interface LocalServer {
  address: string;
  authority: Authority;
  server: ServiceServer;
  /** A certificate of the server's authority. */
  certificate(identity: string): Promise<TlsMaterial>;
  /** A client of the bank service; gateway/g1 expecting bank/alpha unless told otherwise. */
  bank(options?: { tls?: TlsMaterial; expect?: ExpectedPeer }): Promise<ReturnType<typeof bankClient>>;
  channel(options?: { tls?: TlsMaterial; expect?: ExpectedPeer }): Promise<Channel>;
  /** Flushes and reads the log; the last thing to do with it. */
  logLines(): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

export interface LocalServerOptions extends Partial<Omit<ServiceServerOptions, 'middleware'>> {
  getAccount?: (request: GetAccountRequest, context: ServiceContext) => Promise<object>;
  /** Any other method of the bank service. */
  handlers?: Record<string, (request: never, context: ServiceContext) => Promise<object>>;
  /** Adds other services. */
  add?: (server: ServiceServer) => void;
}

const HANDLERS = {
  authenticate: async () => ({}),
  refreshGrant: async () => ({}),
  endSession: async () => ({}),
  getAccount: async () => ({}),
  listEntries: async () => ({}),
  getTransfer: async () => ({}),
  listTransfers: async () => ({}),
  explainTransfer: async () => ({}),
};

/** A server of bank/alpha whose bank service is open to gateways and whose admin service is open to nobody. */
export async function startLocalServer({ getAccount, handlers, add, ...options }: LocalServerOptions = {}): Promise<LocalServer> {
  const authority = await createAuthority();
  const certificate = (identity: string) => authority.issue({ uris: [spiffeUri(identity)] });
  const directory = await mkdtemp(join(tmpdir(), 'strife-service-'));
  const logger: Logger = options.logger ?? createLogger({ service: 'bank-alpha', directory, level: 'info', terminal: false });
  const server = createServiceServer({
    name: 'bank-alpha',
    host: '127.0.0.1',
    port: 0,
    tls: fixedTls(await certificate('bank/alpha')),
    logger,
    access: { [BankServiceDefinition.fullName]: ['gateway'] },
    ...options,
  });
  server.add(BankServiceDefinition, { ...HANDLERS, ...(getAccount === undefined ? {} : { getAccount }), ...handlers });
  addEmpty(server, AdminServiceDefinition);
  add?.(server);
  const { address } = await server.listen();

  const channels: Channel[] = [];
  const channel: LocalServer['channel'] = async ({ tls, expect } = {}) => {
    const made = createPeerChannel({ address, tls: tls ?? (await certificate('gateway/g1')), expect: expect ?? { role: 'bank', name: 'alpha' } });
    channels.push(made);
    return made;
  };
  return {
    address,
    authority,
    server,
    certificate,
    channel,
    bank: async (clientOptions) => bankClient(await channel(clientOptions)),
    async logLines() {
      await closeLogger(logger);
      const text = await readFile(join(directory, 'bank-alpha.log'), 'utf8');
      return text.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    async close() {
      for (const made of channels) made.close();
      await server.stop(1_000);
      await closeLogger(logger);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function bankClient(channel: Channel) {
  return createClient(BankServiceDefinition, channel);
}

function addEmpty(server: ServiceServer, definition: TsProtoServiceDefinition): void {
  server.add(definition, Object.fromEntries(Object.keys(definition.methods).map((method) => [method, async () => ({})])) as never);
}

/** What a promise was rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<{ code?: number; details?: string; message: string }> {
  try {
    await promise;
  } catch (error) {
    return error as { code?: number; details?: string; message: string };
  }
  throw new Error('expected a rejection');
}
