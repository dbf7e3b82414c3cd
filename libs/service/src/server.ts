// A Strife server: mutual TLS, one access table, one log line a call, health, limits and a graceful stop.
import { X509Certificate } from 'node:crypto';
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { createServer, type ServiceDefinition, type ServiceImplementation, type TsProtoServiceDefinition } from 'nice-grpc';
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { createCallLog, type CallLog, type Summarize } from './call-log.ts';
import type { Access } from './access.ts';
import { callMiddleware, extendContext, readRequests } from './call-middleware.ts';
import { countCalls } from './call-metrics.ts';
import { byteService, type MethodCodec } from './codec.ts';
import { StartupError } from './failures.ts';
import { trustDomainOf, type Role } from './identity.ts';
import { createIntentionGate, type IntentionGate, type Intentions } from './intentions.ts';
import { CONCURRENT_STREAMS_MAX, KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS, MESSAGE_BYTES_MAX, SESSION_MEMORY_MB_MAX } from './limits.ts';
import type { Logger } from './logger.ts';
import { peerInterceptor } from './peer-interceptor.ts';
import type { Registry } from './prometheus.ts';
import type { CallIdentity, ContextMiddleware } from './service-context.ts';
import { TerminatorMiddleware, type TerminatorContext } from './terminator.ts';
import { MutualTlsCredentials } from './tls.ts';
import type { TlsSource } from './tls-source.ts';
import { serveUnary, type UnaryCallsOptions, type UnaryMethod } from './unary-calls.ts';

type BaseContext = CallIdentity & TerminatorContext;
type Handlers = Record<string, UnaryMethod['handler']>;

export interface ServiceServerOptions<ContextExt = {}> {
  /** For log lines. */
  name: string;
  host: string;
  /** 0 takes any free port. */
  port: number;
  /** Followed until the server is stopped: new connections get the newest certificate, and existing ones live on. */
  tls: TlsSource;
  logger: Logger;
  /** Which role may call which service, by its full name. A service that is not listed is closed to all. */
  access: Readonly<Record<string, readonly Role[]>>;
  /** Asked about each peer that the table lists, in every call that begins; not about health checks. */
  intentions?: Intentions | undefined;
  /** Runs inside the checks and the log of every call, health checks excepted; it may add to the context. */
  middleware?: ContextMiddleware<ContextExt>;
  /** By method path, such as `/strife.bank.v1.ParticipantService/Prepare`. */
  summarize?: Readonly<Record<string, Summarize>>;
  /** Full names of services that are called all the time: their successful calls are logged at debug. */
  quietServices?: readonly string[];
  /** Where calls are counted and timed, by method and status. */
  metrics?: Registry;
  /** Opens the health service to every certificate of our authority, even one without an identity. */
  publicHealth?: boolean;
}

export interface ServiceServer<ContextExt = {}> {
  /** Before `listen`. */
  add<Service extends TsProtoServiceDefinition>(
    definition: Service,
    implementation: ServiceImplementation<Service, BaseContext & ContextExt>,
  ): void;
  /**
   * Opens the port; health says SERVING from then on, unless `setServing(false)` came before.
   *
   * @throws StartupError of one line, such as `port 7400 on 127.0.0.1 is in use`.
   */
  listen(): Promise<{ port: number; address: string }>;
  /** What the health service answers, for the server and for each of its services, or for one service alone, by its full name. */
  setServing(serving: boolean, service?: string): void;
  /**
   * Says NOT_SERVING, aborts streaming calls, takes no new ones, and lets unary calls finish for at most `drainTimeoutMs`;
   * those that still run then are cut off. Repeating it waits for the same end.
   */
  stop(drainTimeoutMs: number): Promise<void>;
}

export function createServiceServer<ContextExt = {}>(options: ServiceServerOptions<ContextExt>): ServiceServer<ContextExt> {
  const { host, port, logger } = options;
  // grpc-js writes to the console by itself what callers are told anyway.
  if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);
  const codecs = new Map<string, MethodCodec>();
  const unary = new Map<string, UnaryMethod>();
  const services: string[] = [''];
  const health = HealthState();
  const terminator = TerminatorMiddleware();
  const log = callLog(options);
  const tls = followTls(options);
  const access = accessTable(options);
  const intentions = intentionGate(options);
  const unaryCalls: UnaryCallsOptions = { log, intentions, stop: terminator.stop };
  const interceptor = peerInterceptor({ trustDomain: tls.trustDomain, onLost: log.lost, serve(path, call, peer) {
    const method = unary.get(path);
    if (method !== undefined) serveUnary(call, method, peer, unaryCalls);
    return method !== undefined;
  } });
  const server = createServer({ ...serverLimits, interceptors: [interceptor] }).use(callMiddleware({ codecs, access, intentions, log })).use(terminator);
  let serving = true;
  const paused = new Set<string>();
  let stopped: Promise<void> | undefined;

  const register = (definition: TsProtoServiceDefinition, implementation: object, middleware?: ContextMiddleware<ContextExt>) => {
    const bytes = byteService(definition);
    const handlers = readRequests(Object.keys(definition.methods), implementation);
    for (const codec of bytes.codecs) {
      if (codec.isUnary) unary.set(codec.path, { codec, access: access.get(codec.service) ?? [], middleware, handler: (implementation as Handlers)[codec.method]!.bind(implementation) });
      else codecs.set(codec.path, codec);
    }
    const to = middleware === undefined ? server : server.with(extendContext<ContextExt, BaseContext>(middleware));
    to.add<ServiceDefinition>(bytes.definition, handlers as never);
  };
  const tellHealth = (healthy: boolean) => {
    for (const service of services) health.setStatus(healthy && !paused.has(service) ? 'healthy' : 'unhealthy', service);
  };
  tellHealth(false);
  register(HealthDefinition, HealthServiceImpl(health));

  return {
    add(definition, implementation) {
      register(definition, implementation, options.middleware);
      services.push(definition.fullName);
    },
    async listen() {
      const bound = await bind(() => server.listen(`${bracketed(host)}:${port}`, tls.credentials), host, port);
      tellHealth(serving);
      logger.info('listening', { server: options.name, host, port: bound });
      return { port: bound, address: `${bracketed(host)}:${bound}` };
    },
    setServing(value, service) {
      if (service === undefined) serving = value;
      else if (value) paused.delete(service);
      else paused.add(service);
      if (stopped === undefined) tellHealth(serving);
    },
    stop(drainTimeoutMs) {
      stopped ??= (async () => {
        tellHealth(false);
        tls.close();
        terminator.terminate();
        await drain(server, drainTimeoutMs, () => logger.warn('calls were cut off at the end of the drain timeout', { drain_timeout_ms: drainTimeoutMs }));
      })();
      return stopped;
    },
  };
}

// 'grpc.enable_channelz' must stay on: without it grpc-js 1.14.7 forgets its connections, and forceShutdown closes none of them.
const serverLimits = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_concurrent_streams': CONCURRENT_STREAMS_MAX,
  'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  'grpc-node.max_session_memory': SESSION_MEMORY_MB_MAX,
};

/** @throws when the first certificates are damaged */
function followTls({ name, tls, logger }: ServiceServerOptions<unknown>): { credentials: MutualTlsCredentials; trustDomain: () => string; close: () => void } {
  const first = tls.current();
  const credentials = new MutualTlsCredentials(first);
  let trustDomain = trustDomainOf(first.cert);
  const close = tls.onRotate((material) => {
    try {
      const next = trustDomainOf(material.cert);
      credentials.exchange(material);
      trustDomain = next;
      logger.info('certificate exchanged', { server: name, valid_until: new X509Certificate(material.cert).validToDate.toISOString() });
    } catch (error) {
      logger.error('a new certificate cannot be used; the one before stays', { server: name, error });
    }
  });
  return { credentials, trustDomain: () => trustDomain, close };
}

function intentionGate({ intentions, logger }: ServiceServerOptions<unknown>): IntentionGate | undefined {
  return intentions && createIntentionGate({
    intentions,
    onOutage: (error) => logger.warn('intentions cannot be asked for; the last answers stay', { failure: String(error) }),
    onRecovery: () => logger.info('intentions can be asked for again'),
  });
}

function accessTable({ access, publicHealth = false }: ServiceServerOptions<unknown>): Map<string, Access> {
  const table = new Map<string, Access>(Object.entries(access));
  return table.set(HealthDefinition.fullName, publicHealth ? 'certificate' : 'peer');
}

function callLog({ logger, summarize = {}, quietServices = [], metrics }: ServiceServerOptions<unknown>): CallLog {
  const log = createCallLog({ logger, summarize, quietServices: [HealthDefinition.fullName, ...quietServices] });
  return metrics === undefined ? log : countCalls(log, metrics);
}

async function bind(listen: () => Promise<number>, host: string, port: number): Promise<number> {
  try {
    return await listen();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    if (text.includes('EADDRINUSE')) throw new StartupError(`port ${port} on ${host} is in use`, { cause: error });
    if (text.includes('EACCES')) throw new StartupError(`port ${port} on ${host} is not allowed to this user`, { cause: error });
    throw new StartupError(`cannot listen on ${host}, port ${port}: ${text.split('\n')[0]}`, { cause: error });
  }
}

async function drain(server: { shutdown(): Promise<void>; forceShutdown(): void }, timeoutMs: number, onTimeout: () => void): Promise<void> {
  const timeout = Promise.withResolvers<'timeout'>();
  const timer = setTimeout(() => timeout.resolve('timeout'), timeoutMs);
  const result = await Promise.race([server.shutdown(), timeout.promise]);
  clearTimeout(timer);
  if (result !== 'timeout') return;
  onTimeout();
  server.forceShutdown();
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
