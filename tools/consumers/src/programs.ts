// The programs that the packages are tried with, installed where they lie from a lockfile of their own.

import { join } from 'node:path';
import { execa } from 'execa';

const folder = join(import.meta.dirname, '..', 'programs');

/** Installs them; returns the path of each package's folder. */
export async function installPrograms(): Promise<(name: string) => string> {
  await execa('npm', ['ci', '--no-audit', '--no-fund', '--prefix', folder]);
  return (name) => join(folder, 'node_modules', name);
}
