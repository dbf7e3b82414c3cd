// What is published: built, published as a release does, and its types checked as consumers resolve them.

import { join, resolve } from 'node:path';
import { execa } from 'execa';

const root = resolve(import.meta.dirname, '../../..');
const PACKAGES = ['stubs', 'ledger', 'sdk'] as const;
/** Only there for this repository's own tests, under a condition that nobody else sets. */
const PRIVATE_ENTRY_POINT = 'testing';

/** Builds the packages and publishes them with `nx release` to the registry that the .npmrc names. */
export async function publishPackages({ npmrc, url }: { npmrc: string; url: string }): Promise<void> {
  await execa('npm', ['run', '--silent', 'build:packages'], { cwd: root });
  const env = { npm_config_userconfig: npmrc, NX_DAEMON: 'false' };
  await execa('nx', ['release', 'publish', '--registry', url, '--first-release'], { cwd: root, env });
}

/**
 * Packs each package into `folder` and has are-the-types-wrong look at it.
 *
 * @throws Error with what is wrong
 */
export async function checkTypes(folder: string, programOf: (name: string) => string): Promise<void> {
  const attw = join(programOf('@arethetypeswrong/cli'), 'dist', 'index.js');
  for (const name of PACKAGES) {
    const { stdout } = await execa('npm', ['pack', '--silent', '--pack-destination', folder, '--workspace', `@strife/${name}`], { cwd: root });
    const archive = join(folder, stdout.trim());
    await execa(process.execPath, [attw, archive, '--profile', 'esm-only', '--quiet', '--exclude-entrypoints', PRIVATE_ENTRY_POINT], { all: true });
  }
}
