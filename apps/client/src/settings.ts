// What the command line is set to: a flag wins over a STRIFE_* variable, that over the profile file, that over the default.

import envPaths from 'env-paths';
import { join, resolve } from 'node:path';
import { UsageError } from './failure.ts';
import { findProfile } from './profile.ts';
import { sessionFile } from './session-file.ts';

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
}

export interface Settings {
  /** `host:port` of each. */
  gateways: readonly string[];
  certsDir: string;
  /** The identity whose certificate to use, such as `client/dev`. */
  certificate: string;
  /** Where the stores of a local cluster lie. */
  dataDir: string | undefined;
  timeoutMs: number;
  sessionFile: string;
  /** The profile that was read. */
  profileFile: string | undefined;
}

/** Throws UsageError for a setting that makes no sense, naming it and where it came from. */
export function loadSettings(flags: SettingFlags, env: NodeJS.ProcessEnv, cwd: string): Settings {
  const profile = findProfile({ wanted: flags.profile ?? text(env['STRIFE_PROFILE']), cwd, configDir: paths.config });
  const inProfile = profile?.values ?? {};
  const directory = (flag?: string, variable?: string, fromProfile?: string): string | undefined => {
    const typed = flag ?? text(variable);
    if (typed !== undefined) return resolve(cwd, typed);
    return fromProfile === undefined ? undefined : resolve(profile!.directory, fromProfile);
  };
  return {
    gateways: gatewayList(flags.gateways ?? text(env['STRIFE_GATEWAYS'])) ?? inProfile.gateways ?? [DEFAULT_GATEWAY],
    certsDir: directory(flags.certsDir, env['STRIFE_CERTS_DIR'], inProfile.certs_dir) ?? join(paths.config, 'certs'),
    certificate: flags.certificate ?? text(env['STRIFE_CERTIFICATE']) ?? inProfile.certificate ?? DEFAULT_CERTIFICATE,
    dataDir: directory(flags.dataDir, env['STRIFE_DATA_DIR'], inProfile.data_dir),
    timeoutMs: timeoutMs(flags.timeout ?? text(env['STRIFE_TIMEOUT'])),
    sessionFile: sessionFile(stateDirectory(), profile?.file),
    profileFile: profile?.file,
  };
}

/** XDG's place for state on Linux. Elsewhere env-paths' "log" is no place for a token. */
function stateDirectory(): string {
  return process.platform === 'linux' ? paths.log : paths.data;
}

/** An empty variable counts as unset. */
function text(variable: string | undefined): string | undefined {
  return variable === '' ? undefined : variable;
}

function gatewayList(typed: string | undefined): string[] | undefined {
  return typed?.split(',').map((address) => address.trim());
}

function timeoutMs(typed: string | undefined): number {
  const seconds = typed === undefined ? DEFAULT_TIMEOUT_SECONDS : Number(typed);
  if (seconds > 0 && seconds <= TIMEOUT_SECONDS_MAX) return seconds * 1000;
  throw new UsageError(`timeout must be a number of seconds above 0 and at most ${TIMEOUT_SECONDS_MAX}`, { field: 'timeout' });
}

