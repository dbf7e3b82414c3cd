// The profile file: settings that are written once. Found by name or path, in this folder or one above it, or in XDG's place.

import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { UsageError } from './failure.ts';

const PROFILE_BYTES_MAX = 64 * 1024;

export interface ProfileValues {
  gateways?: string[];
  /** Relative to the profile's folder, as every path in it. */
  certs_dir?: string;
  certificate?: string;
  data_dir?: string;
  /** Such as http://127.0.0.1:8500. */
  consul_addr?: string;
  consul_ca?: string;
  registry_dir?: string;
  queue?: string;
}

export interface Profile {
  file: string;
  directory: string;
  values: ProfileValues;
}

/**
 * The profile to use; undefined if none was asked for and none is there.
 *
 * Asked for: a path to a file, or a name for `<configDir>/profiles/<name>.toml`. Else the nearest `.strife/profile.toml` in
 * this folder or above, else `<configDir>/profile.toml`.
 *
 * @throws UsageError for one that is missing, malformed, or another user's: a profile says whom to trust with the password
 */
export function findProfile(options: { wanted: string | undefined; cwd: string; configDir: string }): Profile | undefined {
  const { wanted, cwd, configDir } = options;
  if (wanted !== undefined) {
    const isPath = wanted.includes('/') || wanted.includes(sep) || wanted.endsWith('.toml');
    const file = isPath ? resolve(cwd, wanted) : join(configDir, 'profiles', `${wanted}.toml`);
    if (!isFile(file)) throw new UsageError(`there is no profile ${file}`, { field: 'profile' });
    return readProfile(file);
  }
  const file = [...foldersUp(cwd).map((folder) => join(folder, '.strife', 'profile.toml')), join(configDir, 'profile.toml')].find(
    isFile,
  );
  return file === undefined ? undefined : readProfile(file);
}

function readProfile(file: string): Profile {
  const { uid, size } = statSync(file);
  if (process.getuid && uid !== process.getuid() && uid !== 0) {
    throw bad(file, 'it belongs to another user, who could send your password anywhere');
  }
  if (size > PROFILE_BYTES_MAX) throw bad(file, 'it is too large');
  return { file, directory: dirname(file), values: checkedValues(file, parsed(file)) };
}

function parsed(file: string): Record<string, unknown> {
  try {
    return parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof TomlError) throw bad(file, `line ${error.line} is not TOML`);
    throw bad(file, (error as Error).message);
  }
}

const CHECKS: Record<keyof ProfileValues, { holds: (value: unknown) => boolean; expected: string }> = {
  gateways: { holds: (value) => Array.isArray(value) && value.every(isText), expected: 'a list of "host:port"' },
  certs_dir: { holds: isText, expected: 'a path' },
  certificate: { holds: isText, expected: 'an identity such as "client/dev"' },
  data_dir: { holds: isText, expected: 'a path' },
  consul_addr: { holds: isText, expected: 'a URL' },
  consul_ca: { holds: isText, expected: 'a path' },
  registry_dir: { holds: isText, expected: 'a path' },
  queue: { holds: isText, expected: 'a path' },
};

function checkedValues(file: string, values: Record<string, unknown>): ProfileValues {
  for (const [key, value] of Object.entries(values)) {
    const check = Object.hasOwn(CHECKS, key) ? CHECKS[key as keyof ProfileValues] : undefined;
    if (!check) throw bad(file, `it has an unknown key "${key}"; known are ${Object.keys(CHECKS).join(', ')}`);
    if (!check.holds(value)) throw bad(file, `"${key}" must be ${check.expected}`);
  }
  return values;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function foldersUp(from: string): string[] {
  const parent = dirname(from);
  return parent === from ? [from] : [from, ...foldersUp(parent)];
}

function bad(file: string, why: string): UsageError {
  return new UsageError(`the profile ${file} cannot be used: ${why}`, { field: 'profile' });
}
