// What the command line is set to: a flag wins over a STRIFE_* variable, that over the profile file, that over the default.

import envPaths from 'env-paths';
import { join, resolve } from 'node:path';
import { UsageError } from './failure.ts';
import { findProfile, type Profile, type ProfileValues } from './profile.ts';
import { profileKey, sessionFile } from './session-file.ts';

const paths = envPaths('strife', { suffix: '' });

const DEFAULT_GATEWAY = '127.0.0.1:7400';
const DEFAULT_CERTIFICATE = 'client/dev';
const DEFAULT_TIMEOUT_SECONDS = 10;
const TIMEOUT_SECONDS_MAX = 3_600;

/** The flags that are settings, as commander gives them. */
export interface SettingFlags {
  profile?: string;
  gateways?: string;
  certsDir?: string;
  certificate?: string;
  dataDir?: string;
  timeout?: string;
  consulAddr?: string;
  consulCa?: string;
  registryDir?: string;
  queue?: string;
}

export interface Settings {
  /** Where gateways are found: the list that was given before anything else, then Consul, then the embedded registry, then the list by default. */
  source: 'list' | 'consul' | 'registry';
  /** `host:port` of each. */
  gateways: readonly string[];
  certsDir: string;
  /** The identity whose certificate to use, such as `client/dev`. */
  certificate: string;
  /** Where the stores of a local cluster lie. */
  dataDir: string | undefined;
  /** The agent that knows the services. */
  consulAddress: string | undefined;
  /** The authority of an https agent's certificate, PEM. */
  consulCa: string | undefined;
  consulToken: string | undefined;
  /** The embedded registry of a local cluster. */
  registryDir: string | undefined;
  /** Where offline payments are kept. */
  queueFile: string;
  timeoutMs: number;
  sessionFile: string;
  /** The profile that was read. */
  profileFile: string | undefined;
  /** Where each setting came from. */
  origins: Readonly<Record<SettingName, Origin>>;
  /** What was typed as flags: the words that give another command the same settings, in whatever folder it is run. */
  typedFlags: readonly string[];
}

export type SettingName = 'gateways' | 'registry_dir' | 'consul_addr' | 'consul_ca' | 'certs_dir' | 'certificate' | 'data_dir' | 'queue' | 'timeout';

type PathName = 'certs_dir' | 'data_dir' | 'registry_dir' | 'consul_ca' | 'queue';

/** `--gateways`, `STRIFE_GATEWAYS`, `profile` or `default`. */
export type Origin = string;

/** How each setting is given. The one place that `--help`, `config explain` and the reading itself go by. */
export const SETTINGS: Readonly<Record<SettingName, { flag: keyof SettingFlags; option: string; variable: string }>> = {
  gateways: { flag: 'gateways', option: '--gateways', variable: 'STRIFE_GATEWAYS' },
  registry_dir: { flag: 'registryDir', option: '--registry-dir', variable: 'STRIFE_REGISTRY_DIR' },
  consul_addr: { flag: 'consulAddr', option: '--consul-addr', variable: 'STRIFE_CONSUL_ADDR' },
  consul_ca: { flag: 'consulCa', option: '--consul-ca', variable: 'STRIFE_CONSUL_CA' },
  certs_dir: { flag: 'certsDir', option: '--certs-dir', variable: 'STRIFE_CERTS_DIR' },
  certificate: { flag: 'certificate', option: '--certificate', variable: 'STRIFE_CERTIFICATE' },
  data_dir: { flag: 'dataDir', option: '--data-dir', variable: 'STRIFE_DATA_DIR' },
  queue: { flag: 'queue', option: '--queue', variable: 'STRIFE_QUEUE' },
  timeout: { flag: 'timeout', option: '--timeout', variable: 'STRIFE_TIMEOUT' },
};

/** Those that are paths, which a flag gives relative to the folder that the command is run in. */
const PATHS: ReadonlySet<string> = new Set<PathName>(['certs_dir', 'data_dir', 'registry_dir', 'consul_ca', 'queue']);

/** Throws UsageError for a setting that makes no sense, naming it and where it came from. */
export function loadSettings(flags: SettingFlags, env: NodeJS.ProcessEnv, cwd: string): Settings {
  const profile = findProfile({ wanted: flags.profile ?? text(env['STRIFE_PROFILE']), cwd, configDir: paths.config });
  const given = (name: SettingName): Given => giveSetting(name, flags, env, profile);
  const path = (name: PathName): string | undefined => {
    const { value, origin } = given(name);
    return value === undefined ? undefined : resolve(origin === 'profile' ? profile!.directory : cwd, String(value));
  };
  const plain = (name: 'certificate' | 'consul_addr' | 'timeout'): string | undefined => given(name).value as string | undefined;
  const origins = Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, given(name as SettingName).origin])) as Settings['origins'];
  return {
    source: sourceOf(origins),
    gateways: gatewayList(given('gateways').value) ?? [DEFAULT_GATEWAY],
    registryDir: path('registry_dir'),
    consulAddress: url(plain('consul_addr')),
    consulCa: path('consul_ca'),
    consulToken: text(env['STRIFE_CONSUL_TOKEN']),
    certsDir: path('certs_dir') ?? join(paths.config, 'certs'),
    certificate: plain('certificate') ?? DEFAULT_CERTIFICATE,
    dataDir: path('data_dir'),
    queueFile: path('queue') ?? join(stateDirectory(), 'queues', `${profileKey(profile?.file)}.sqlite`),
    timeoutMs: timeoutMs(plain('timeout')),
    sessionFile: sessionFile(stateDirectory(), profile?.file),
    profileFile: profile?.file,
    origins,
    typedFlags: typedFlags(flags, profile, cwd),
  };
}

function typedFlags(flags: SettingFlags, profile: Profile | undefined, cwd: string): readonly string[] {
  const words = flags.profile === undefined || profile === undefined ? [] : ['--profile', profile.file];
  for (const [name, { flag, option }] of Object.entries(SETTINGS)) {
    const typed = flags[flag];
    if (typed !== undefined) words.push(option, PATHS.has(name) ? resolve(cwd, typed) : typed);
  }
  return words;
}

/** What was typed wins over what a file says, and a registry over a list in the same place: it knows of gateways that came later. */
function sourceOf(origins: Settings['origins']): Settings['source'] {
  const isTyped = (name: SettingName): boolean => origins[name] !== 'profile' && origins[name] !== 'default';
  for (const isGiven of [isTyped, (name: SettingName) => origins[name] !== 'default']) {
    if (isGiven === isTyped && isGiven('gateways')) return 'list';
    if (isGiven('consul_addr')) return 'consul';
    if (isGiven('registry_dir')) return 'registry';
    if (isGiven('gateways')) return 'list';
  }
  return 'list';
}

interface Given {
  readonly value: string | readonly string[] | undefined;
  readonly origin: Origin;
}

function giveSetting(name: SettingName, flags: SettingFlags, env: NodeJS.ProcessEnv, profile: Profile | undefined): Given {
  const { flag, option, variable } = SETTINGS[name];
  const typed = flags[flag];
  if (typed !== undefined) return { value: typed, origin: option };
  const fromVariable = text(env[variable]);
  if (fromVariable !== undefined) return { value: fromVariable, origin: variable };
  const fromProfile = name === 'timeout' ? undefined : profile?.values[name satisfies keyof ProfileValues];
  return fromProfile === undefined ? { value: undefined, origin: 'default' } : { value: fromProfile, origin: 'profile' };
}

/** XDG's place for state on Linux. Elsewhere env-paths' "log" is no place for a token. */
function stateDirectory(): string {
  return process.platform === 'linux' ? paths.log : paths.data;
}

/** An empty variable counts as unset. */
function text(variable: string | undefined): string | undefined {
  return variable === '' ? undefined : variable;
}

function gatewayList(given: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof given === 'string' ? given.split(',').map((address) => address.trim()) : given;
}

function url(typed: string | undefined): string | undefined {
  if (typed === undefined || /^https?:\/\/[^/]+/.test(typed)) return typed;
  throw new UsageError('consul-addr must be a URL such as http://127.0.0.1:8500', { field: 'consul-addr' });
}

function timeoutMs(typed: string | undefined): number {
  const seconds = typed === undefined ? DEFAULT_TIMEOUT_SECONDS : Number(typed);
  if (seconds > 0 && seconds <= TIMEOUT_SECONDS_MAX) return seconds * 1000;
  throw new UsageError(`timeout must be a number of seconds above 0 and at most ${TIMEOUT_SECONDS_MAX}`, { field: 'timeout' });
}
