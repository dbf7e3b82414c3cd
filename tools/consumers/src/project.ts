// A fresh project that uses the SDK: installed, built and run as its owner would.

import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

export interface Payment {
  readonly id: string;
  readonly state: string;
  /** The Node that it was made with. */
  readonly node: string;
}

export interface ProjectOptions {
  /** Where the copy is made. */
  readonly folder: string;
  readonly npmrc: string;
  /** What the program is told: GATEWAY, CERTS, MEMO. */
  readonly env: Readonly<Record<string, string>>;
}

const projects = join(import.meta.dirname, '..', 'projects');
/** The project of this name is built from the SDK's own examples. */
const EXAMPLES = 'examples';
const examples = join(import.meta.dirname, '../../../libs/sdk/examples');
const STEP_WITHIN_MS = 120_000;

export async function projectNames(): Promise<string[]> {
  return (await readdir(projects)).sort();
}

/**
 * Installs the project from the registry, builds it and pays once.
 *
 * @throws Error of the step that failed, with what it printed
 */
export async function payFrom(name: string, { folder, npmrc, env }: ProjectOptions): Promise<Payment> {
  const cwd = join(folder, name);
  await cp(join(projects, name), cwd, { recursive: true });
  if (name === EXAMPLES) await cp(examples, join(cwd, 'src'), { recursive: true });
  const npm = (...args: string[]) =>
    execa('npm', args, { cwd, timeout: STEP_WITHIN_MS, env: { ...env, npm_config_userconfig: npmrc } });
  await npm('install');
  await npm('run', '--silent', 'build');
  const { stdout } = await npm('run', '--silent', 'pay');
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Payment;
}
