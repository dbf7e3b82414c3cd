// Where the consul program comes from: PATH, else Debian's package, else a line that says what to do.

import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { unpackDebianPackage } from './debian-package.ts';

export type ConsulProgram =
  | { readonly kind: 'found'; readonly path: string; /** `1.8.7`. */ readonly version: string }
  /** One line: what was looked for, and how to install it. */
  | { readonly kind: 'missing'; readonly reason: string };

/** In the checkout, so that removing the checkout removes it. */
const CACHE_DIRECTORY = resolve(import.meta.dirname, '../../../tmp/consul');
/** From the last release of Debian with Consul in it. */
const DEBIAN_PACKAGE = { name: 'consul', suite: 'bullseye' };
const VERSION_TIMEOUT_MS = 10_000;

/**
 * Looks for a `consul` on PATH, then for Debian's, which is downloaded on the first call (seconds, and a network) and kept.
 * Never throws; a program that is there but does not run counts as missing.
 */
export async function findConsul({ path = process.env['PATH'] ?? '', cacheDirectory = CACHE_DIRECTORY }: {
  readonly path?: string;
  readonly cacheDirectory?: string;
} = {}): Promise<ConsulProgram> {
  try {
    const program = (await onPath(path)) ?? join(await unpackDebianPackage(DEBIAN_PACKAGE, cacheDirectory), 'usr', 'bin', 'consul');
    return { kind: 'found', path: program, version: await versionOf(program) };
  } catch (error) {
    return {
      kind: 'missing',
      reason: `no consul program: none on PATH, and ${(error as Error).message}; install Consul 1.8 or newer and put it on PATH`,
    };
  }
}

async function onPath(path: string): Promise<string | undefined> {
  const candidates = path.split(delimiter).filter(Boolean).map((folder) => join(folder, 'consul'));
  const found = await Promise.all(candidates.map((candidate) => access(candidate, constants.X_OK).then(() => true, () => false)));
  return candidates[found.indexOf(true)];
}

/** @throws Error when it does not run, or does not tell */
export async function versionOf(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['version'], { timeout: VERSION_TIMEOUT_MS });
  const version = /^Consul v?(\d+\.\d+\.\d+)/m.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`${program} does not tell its version`);
  return version;
}
