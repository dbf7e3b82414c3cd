// A local cluster: gateways and banks as processes of their own, with files, certificates and a registry under one folder.
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadTls } from '@strife/certs';
import { connect, type Strife } from '@strife/sdk';
import { CLIENT_IDENTITY, CLIENT_SERVICE, followClientCertificate, makeCertificates } from './certificates.ts';
import { writeProfile } from './profile.ts';
import { defaultUsers, seedUser, writeSeed, type Users } from './seed-users.ts';
import { startService, type ServiceProcess } from './service-process.ts';

export interface ClusterOptions {
  /** Everything the cluster writes lies under it: data, logs, registry, certificates, profile. Reused if it exists. */
  readonly root: string;
  /** Folders that lie elsewhere. */
  readonly directories?: Partial<ClusterDirectories> | undefined;
  /** Default: alpha and beta. */
  readonly banks?: readonly string[] | undefined;
  /** Default: g1. */
  readonly gateways?: readonly string[] | undefined;
  /** Default: alice and carol at alpha, bob and dave at beta. A bank that is not named here starts without users. */
  readonly users?: Users | undefined;
  /** By name of the service; 0, the default, takes any free one. */
  readonly ports?: Readonly<Record<string, number>> | undefined;
  /** By name of the service, `host:port`: what the registry tells the others, so that something can stand between. Default: where it listens. */
  readonly advertise?: Readonly<Record<string, string>> | undefined;
  readonly prepareTimeoutMs?: number | undefined;
  /** The Consul agent to find each other and get certificates by; without it the embedded registry and a development authority. */
  readonly consulAddress?: string | undefined;
  /** For a Consul with ACLs: each service's token, and the client's, by their names there, such as `strife-bank-alpha` and `strife-client`. */
  readonly consulTokens?: Readonly<Record<string, string>> | undefined;
  /** For every service, on top of this process's own. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** For one service, by its name, on top of `env`. */
  readonly envOf?: Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;
}

export interface ClusterDirectories {
  readonly data: string;
  readonly logs: string;
  readonly registry: string;
  readonly certs: string;
  /** The folder of profile.toml. */
  readonly profile: string;
}

export interface Cluster extends AsyncDisposable {
  /** By name: `cluster.gateways.g1`. */
  readonly gateways: Readonly<Record<string, ServiceProcess>>;
  /** By name: `cluster.banks.alpha`. */
  readonly banks: Readonly<Record<string, ServiceProcess>>;
  readonly directories: ClusterDirectories;
  /** The profile that points the command line at this cluster. */
  readonly profileFile: string;
  /** The seed file of each bank. */
  readonly seeds: Readonly<Record<string, string>>;
  /** A client of this cluster's gateways, with nobody logged in. The caller closes it. */
  connect(options?: { timeoutMs?: number }): Promise<Strife>;
  /** A client that is logged in as `alpha/alice`. The caller closes it. */
  login(account: string, options?: { timeoutMs?: number }): Promise<Strife>;
  service(name: string): ServiceProcess;
  /** Starts one more beside those that run, as they were started. Clients that connect from now on know of it. */
  add(role: 'gateway' | 'bank', name: string): Promise<ServiceProcess>;
  /** Stops the gateways, then the banks. May be repeated. */
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';

/**
 * Starts the services and waits until all are ready. If one fails, the others are stopped.
 *
 * @throws Error naming the service that failed, with the end of its stderr and the path of its log
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { banks: bankNames = ['alpha', 'beta'], gateways: gatewayNames = ['g1'], users = defaultUsers } = options;
  const directories = directoriesOf(options);
  await Promise.all(Object.values(directories).map((path) => mkdir(path, { recursive: true })));
  let unfollow = (): void => {};
  if (options.consulAddress === undefined) await makeCertificates(directories.certs, gatewayNames, bankNames);
  else unfollow = await followClientCertificate(directories.certs, options.consulAddress, options.consulTokens?.[CLIENT_SERVICE]);
  const seeds: Record<string, string> = {};
  const start = async (role: 'gateway' | 'bank', name: string): Promise<ServiceProcess> => {
    if (role === 'gateway') return startOne(role, name, options, directories, prepareTimeout(options));
    const seed = await writeSeed(directories.data, name, users[name] ?? []);
    seeds[name] = seed;
    return startOne(role, name, options, directories, [`--seed=${seed}`]);
  };

  let services: readonly ServiceProcess[];
  try {
    // Banks first: a gateway that has never met a bank takes its name for unknown.
    const banks = await startAll(bankNames.map((name) => () => start('bank', name)), []);
    services = [...banks, ...(await startAll(gatewayNames.map((name) => () => start('gateway', name)), banks))];
  } catch (error) {
    unfollow();
    throw error;
  }
  const profileFile = join(directories.profile, 'profile.toml');
  await writeProfile(profileFile, {
    gateways: gatewaysOf(services).map(({ address }) => address),
    registry: registryFor(options, directories),
    certsDir: directories.certs,
    certificate: CLIENT_IDENTITY,
    dataDir: directories.data,
  });
  const add = async (role: 'gateway' | 'bank', name: string): Promise<ServiceProcess> => {
    if (options.consulAddress === undefined) await makeCertificates(directories.certs, role === 'gateway' ? [name] : [], role === 'bank' ? [name] : []);
    return start(role, name);
  };
  return clusterOf({ services, directories, profileFile, seeds, users, unfollow, add });
}

/** Where clients find gateways. A Consul with ACLs tells only those who bring a token, which a profile has no place for. */
function registryFor({ consulAddress, consulTokens }: ClusterOptions, { registry }: ClusterDirectories): { registryDir: string } | { consulAddress: string } | undefined {
  if (consulAddress === undefined) return { registryDir: registry };
  return consulTokens === undefined ? { consulAddress } : undefined;
}

interface Started {
  readonly services: readonly ServiceProcess[];
  readonly directories: ClusterDirectories;
  readonly profileFile: string;
  readonly seeds: Readonly<Record<string, string>>;
  readonly users: Users;
  /** Starts one more. */
  readonly add: Cluster['add'];
  /** Stops following the client's certificate. */
  readonly unfollow: () => void;
}

function clusterOf({ services, directories, profileFile, seeds, users, unfollow, add }: Started): Cluster {
  const gateways = gatewaysOf(services);
  const banks = services.filter(({ role }) => role === 'bank');
  const named = { gateway: byName(gateways), bank: byName(banks) };

  async function connectTo({ timeoutMs }: { timeoutMs?: number } = {}): Promise<Strife> {
    const tls = await loadTls(directories.certs, CLIENT_IDENTITY);
    return connect({ gateways: gateways.map(({ address }) => address), tls, timeoutMs });
  }

  async function stop(): Promise<void> {
    await Promise.all(gateways.map((service) => service.stop()));
    await Promise.all(banks.map((service) => service.stop()));
    unfollow();
  }

  return {
    gateways: named.gateway,
    banks: named.bank,
    directories,
    profileFile,
    seeds,
    connect: connectTo,
    async login(account, connectOptions) {
      const [bank = '', username = ''] = account.split('/');
      const user = users[bank]?.find((candidate) => candidate.username === username) ?? seedUser(username);
      const strife = await connectTo(connectOptions);
      try {
        await strife.login({ bank, username, password: user.password });
        return strife;
      } catch (error) {
        await strife.close();
        throw error;
      }
    },
    service(name) {
      const service = named.gateway[name] ?? named.bank[name];
      if (service === undefined) throw new Error(`no service is called ${name}`);
      return service;
    },
    async add(role, name) {
      const service = await add(role, name);
      (role === 'gateway' ? gateways : banks).push(service);
      named[role][name] = service;
      return service;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function directoriesOf({ root, directories = {} }: ClusterOptions): ClusterDirectories {
  const at = (path: string): string => resolve(root, path);
  return {
    data: at(directories.data ?? 'data'),
    logs: at(directories.logs ?? 'logs'),
    registry: at(directories.registry ?? 'registry'),
    certs: at(directories.certs ?? 'certs'),
    profile: at(directories.profile ?? '.'),
  };
}

function startOne(
  role: 'gateway' | 'bank',
  name: string,
  { ports = {}, env, envOf = {}, consulAddress, advertise = {}, consulTokens = {} }: ClusterOptions,
  directories: ClusterDirectories,
  extraArgs: readonly string[],
): Promise<ServiceProcess> {
  const args = [
    `--name=${name}`,
    `--host=${HOST}`,
    `--data-dir=${directories.data}`,
    `--registry-dir=${directories.registry}`,
    `--certs-dir=${directories.certs}`,
    `--log-dir=${directories.logs}`,
    ...(consulAddress === undefined ? [] : ['--discovery=consul', `--consul-addr=${consulAddress}`]),
    ...(advertise[name] === undefined ? [] : [`--advertise=${advertise[name]}`]),
    ...extraArgs,
  ];
  const logFile = join(directories.logs, `${role}-${name}.log`);
  const token = consulTokens[`strife-${role}-${name}`];
  return startService({ role, name, args, port: ports[name] ?? 0, logFile, env: { ...env, ...envOf[name], ...(token !== undefined && { STRIFE_CONSUL_TOKEN: token }) } });
}

function prepareTimeout({ prepareTimeoutMs }: ClusterOptions): string[] {
  return prepareTimeoutMs === undefined ? [] : [`--prepare-timeout=${prepareTimeoutMs}ms`];
}

/** All or none: if a start fails, those that succeeded are stopped, also the ones that get ready later, and those before them. */
async function startAll(starts: ReadonlyArray<() => Promise<ServiceProcess>>, before: readonly ServiceProcess[]): Promise<ServiceProcess[]> {
  const settled = await Promise.allSettled(starts.map((start) => start()));
  const started = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failures = settled.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
  if (failures.length === 0) return started;
  await Promise.all([...started, ...before].map((service) => service.stop()));
  throw new Error(failures.map(({ message }) => message).join('\n'));
}

function gatewaysOf(services: readonly ServiceProcess[]): ServiceProcess[] {
  return services.filter(({ role }) => role === 'gateway');
}

function byName(services: readonly ServiceProcess[]): Record<string, ServiceProcess> {
  return Object.fromEntries(services.map((service) => [service.name, service]));
}
