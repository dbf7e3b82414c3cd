// A real Consul agent on this machine: one server on loopback, with Connect's certificate authority, ready when it leads.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { untilReady } from './agent-readiness.ts';
import { findFreePorts } from './free-ports.ts';
import { startGuarded, type GuardedProcess } from './guarded-process.ts';
import { findConsul, versionOf, type ConsulProgram } from './program.ts';

export interface ConsulOptions {
  /** For data, configuration and log; made when it is not there. Every agent needs one of its own. */
  readonly directory: string;
  /** Whoever has no token may do nothing; `token` may do everything. */
  readonly acl?: boolean;
  /** With `acl`: nobody has a token yet, as in a Consul that was just installed; `token` is undefined. */
  readonly withoutToken?: boolean;
  /** The certificate, of `127.0.0.1`, that the agent shows at `httpsAddress`, in PEM. */
  readonly https?: { readonly ca: string; readonly cert: string; readonly key: string };
  /** Connect and its certificate authority; on unless it is switched off. */
  readonly connect?: boolean;
  /** What the agent shows to services whose health it asks for over TLS, all in PEM. Left out, it asks without a certificate. */
  readonly checkTls?: { readonly ca: string; readonly cert: string; readonly key: string };
  /** The program to run; `findConsul` finds one otherwise. */
  readonly program?: string;
  readonly readyTimeoutMs?: number;
}

export interface ConsulAgent {
  /** `http://127.0.0.1:20500`; the same after a restart. */
  readonly address: string;
  /** `https://127.0.0.1:20501`, with `https`. */
  readonly httpsAddress: string;
  /** Of Envoy's interface, not of ours. */
  readonly grpcPort: number;
  readonly node: string;
  /** Of the process that runs now, or ran last. */
  readonly pid: number;
  readonly running: boolean;
  /** With `acl`: of global management. Another one after a restart without data. */
  readonly token: string | undefined;
  readonly logFile: string;
  /** Sends the signal; one that ends the program is waited for. Does nothing when it does not run. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Stops it if it runs and starts it again, with all it knew or, `empty`, as new. Resolves when it is ready. */
  restart(options?: { readonly empty?: boolean }): Promise<void>;
  /** SIGTERM, and SIGKILL if it is still there after the stop timeout. Its directory stays. */
  stop(): Promise<void>;
}

/** The program is missing or did not become ready. The message says what to do, or ends with the last lines of its log. */
export class ConsulStartError extends Error {
  override readonly name = 'ConsulStartError';
}

const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5000;
const LOG_LINES_MAX = 15;
/** After these a process goes on, or can. */
const GOES_ON_AFTER: ReadonlySet<NodeJS.Signals> = new Set(['SIGSTOP', 'SIGTSTP', 'SIGCONT', 'SIGHUP']);
/** How often other ports are tried, when somebody else took those that were free. */
const PORT_TRIES_MAX = 5;
const PORT_TAKEN = /address already in use/i;
const NAMES_OF_PORTS = ['http', 'https', 'grpc', 'server', 'serf_lan'] as const;
type Ports = Readonly<Record<(typeof NAMES_OF_PORTS)[number], number>>;

/**
 * Starts an agent and waits until it leads, sees itself as healthy and, with Connect, has a root certificate. It ends with this process, however this
 * process ends.
 *
 * @throws ConsulStartError
 */
export async function startConsul(options: ConsulOptions): Promise<ConsulAgent> {
  const files = filesIn(options.directory);
  await mkdir(files.data, { recursive: true });
  const program = await programOrThrow(options.program);
  const node = `strife-${process.pid}-${Math.random().toString(16).slice(2, 10)}`;
  const launch = (ports: Ports, token?: string): Promise<Launched> => launchAgent({ options, program, node, files, ports, token });

  const { ports, launched } = await onFreePorts(launch);
  let current = launched;

  async function stop(): Promise<void> {
    const stopping = current.process;
    const timer = setTimeout(() => stopping.signal('SIGKILL'), STOP_TIMEOUT_MS);
    stopping.signal('SIGTERM');
    // A process that was stopped would not hear of it.
    stopping.signal('SIGCONT');
    await stopping.exited;
    clearTimeout(timer);
  }

  return {
    address: addressOf(ports),
    httpsAddress: `https://127.0.0.1:${ports.https}`,
    grpcPort: ports.grpc,
    node,
    get pid() {
      return current.process.pid;
    },
    get running() {
      return current.process.running;
    },
    get token() {
      return current.token;
    },
    logFile: files.log,
    async kill(signal) {
      current.process.signal(signal);
      if (!GOES_ON_AFTER.has(signal)) await current.process.exited;
    },
    async restart({ empty = false } = {}) {
      await stop();
      if (empty) await rm(files.data, { recursive: true, force: true });
      await mkdir(files.data, { recursive: true });
      current = await launch(ports, empty ? undefined : current.token);
    },
    stop,
  };
}

interface Files {
  readonly data: string;
  readonly config: string;
  readonly log: string;
}

function filesIn(directory: string): Files {
  return { data: join(directory, 'data'), config: join(directory, 'consul.json'), log: join(directory, 'consul.log') };
}

async function programOrThrow(path: string | undefined): Promise<Program> {
  const program = path === undefined ? await findConsul() : { kind: 'found' as const, path, version: await versionOf(path) };
  if (program.kind === 'missing') throw new ConsulStartError(program.reason);
  return program;
}

type Program = Extract<ConsulProgram, { kind: 'found' }>;

interface Launched {
  readonly process: GuardedProcess;
  readonly token: string | undefined;
}

/** A port that was free may be taken when the agent listens: it ends then, and others are tried. */
async function onFreePorts(launch: (ports: Ports) => Promise<Launched>): Promise<{ ports: Ports; launched: Launched }> {
  for (let tries = 1; ; tries += 1) {
    // oxlint-disable no-await-in-loop -- one try after the other
    const free = await findFreePorts(NAMES_OF_PORTS.length);
    const ports = Object.fromEntries(NAMES_OF_PORTS.map((name, index) => [name, free[index]])) as Ports;
    try {
      return { ports, launched: await launch(ports) };
    } catch (error) {
      if (tries === PORT_TRIES_MAX || !PORT_TAKEN.test((error as Error).message)) throw error;
    }
    // oxlint-enable no-await-in-loop
  }
}

async function launchAgent({ options, program, node, files, ports, token }: {
  readonly options: ConsulOptions;
  readonly program: Program;
  readonly node: string;
  readonly files: Files;
  readonly ports: Ports;
  readonly token: string | undefined;
}): Promise<Launched> {
  const { acl = false, connect = true, withoutToken = false, readyTimeoutMs = READY_TIMEOUT_MS, directory, checkTls, https } = options;
  const tls = await tlsSettings(directory, checkTls, https);
  const settings = configuration({ version: program.version, node, ports: https ? ports : { ...ports, https: -1 }, dataDirectory: files.data, acl, connect, tls });
  await writeFile(files.config, JSON.stringify(settings, null, 2), { mode: 0o600 });
  await writeFile(files.log, '');
  const started = await startGuarded(program.path, ['agent', '-config-file', files.config], files.log);
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(new Error(`was not ready within ${readyTimeoutMs} ms`)), readyTimeoutMs);
  void started.exited.then(({ code }) => waiting.abort(new Error(`ended before it was ready (exit ${code})`)));
  try {
    return { process: started, token: await untilReady({ address: addressOf(ports), node, acl, connect, withoutToken, token, signal: waiting.signal }) };
  } catch (error) {
    started.signal('SIGKILL');
    await started.exited;
    const log = (await readFile(files.log, 'utf8')).trim().split('\n').slice(-LOG_LINES_MAX);
    throw new ConsulStartError([`consul ${(error as Error).message}`, ...log.map((line) => `  ${line.trim()}`)].join('\n'));
  } finally {
    clearTimeout(timer);
  }
}

/** Writes the files, and returns the settings that name them. An agent has one certificate for both purposes. */
async function tlsSettings(directory: string, checkTls: ConsulOptions['checkTls'], https: ConsulOptions['https']): Promise<object | undefined> {
  const pems = checkTls ?? https;
  if (pems === undefined) return undefined;
  const fileOf = (name: string): string => join(directory, `agent-${name}`);
  await Promise.all(Object.entries(pems).map(([name, pem]) => writeFile(fileOf(name), pem, { mode: 0o600 })));
  return { ...(checkTls && { enable_agent_tls_for_checks: true }), ca_file: fileOf('ca'), cert_file: fileOf('cert'), key_file: fileOf('key') };
}

function addressOf(ports: Ports): string {
  return `http://127.0.0.1:${ports.http}`;
}

/** Other versions refuse settings that they do not know, or do not know any more. */
function configuration({ version, node, ports, dataDirectory, acl, connect, tls }: {
  readonly version: string;
  readonly node: string;
  readonly ports: Ports;
  readonly dataDirectory: string;
  readonly acl: boolean;
  readonly connect: boolean;
  readonly tls: object | undefined;
}): object {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const hasGrpcTls = major > 1 || minor >= 14;
  return {
    server: true,
    bootstrap_expect: 1,
    node_name: node,
    data_dir: dataDirectory,
    bind_addr: '127.0.0.1',
    client_addr: '127.0.0.1',
    // From 1.14 on a server has a port for gRPC over TLS, the same for all unless it is switched off.
    ports: { ...ports, dns: -1, serf_wan: -1, ...(hasGrpcTls && { grpc_tls: -1 }) },
    connect: { enabled: connect },
    // For a server that shares its machine with nobody it must keep time with: elections take less than a second.
    performance: { raft_multiplier: 1 },
    disable_update_check: true,
    ...tls,
    ...(acl && { acl: { enabled: true, default_policy: 'deny' } }),
  };
}
