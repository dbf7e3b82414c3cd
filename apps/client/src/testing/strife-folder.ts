// For tests: a folder with certificates and a profile for a test gateway, and the real command line run in it as a process.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { connect } from '@strife/sdk';
import { TEST_PASSWORD, type TestGateway } from '@strife/sdk/testing';
import { sessionFile, writeSession } from '../session-file.ts';
import { checkDocuments } from './output-schema.ts';

/** The program, to be run by Node. */
export const PROGRAM = fileURLToPath(new URL('../../bin/strife.mjs', import.meta.url));

export interface RunOptions {
  env?: Record<string, string>;
  cwd?: string;
  stdin?: string | Buffer;
  /** Sends SIGINT then. */
  interruptAfter?: Promise<void>;
  /** Sends SIGKILL then. */
  killAfter?: Promise<void>;
  /** The largest file that the command may write, in bytes: the disk is full beyond it. */
  fileBytesMax?: number;
}

export interface StrifeFolder {
  readonly path: string;
  /** The environment of the commands. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** With --json, what it prints is checked against the schema. */
  strife(args: readonly string[], options?: RunOptions): Promise<{ code: number | null; stdout: string; stderr: string }>;
  remove(): void;
}

/** A folder for the commands of the gateway's users. */
export interface UserFolder extends StrifeFolder {
  /** Logs the user in as `strife login` does, without the time that a process takes. */
  logIn(bank?: string, username?: string): Promise<void>;
}

/** A folder with a profile for the gateway and the certificates for it. */
export function strifeFolder({ tls, address }: TestGateway): UserFolder {
  const folder = emptyFolder();
  const { path } = folder;
  mkdirSync(join(path, 'certs'));
  writeFileSync(join(path, 'certs', 'ca.pem'), tls.ca);
  writeFileSync(join(path, 'certs', 'client-test.pem'), tls.cert);
  writeFileSync(join(path, 'certs', 'client-test.key'), tls.key);
  mkdirSync(join(path, '.strife'));
  const profile = `gateways = ["${address}"]\ncerts_dir = "../certs"\ncertificate = "client/test"\n`;
  writeFileSync(join(path, '.strife', 'profile.toml'), profile);
  return {
    ...folder,
    async logIn(bank = 'alpha', username = 'alice') {
      await using strife = await connect({ gateways: [address], tls });
      const session = await strife.login({ bank, username, password: TEST_PASSWORD });
      writeSession(sessionFile(join(path, 'state', 'strife'), join(path, '.strife', 'profile.toml')), session);
    },
  };
}

/** A folder that is the home, the configuration and the state of the commands that run in it. */
export function emptyFolder(): StrifeFolder {
  const path = mkdtempSync(join(tmpdir(), 'strife-client-'));
  return {
    path,
    env: environment(path),
    strife: (args, options) => run(path, args, options),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

function environment(home: string): Record<string, string | undefined> {
  return {
    PATH: process.env['PATH'],
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_STATE_HOME: join(home, 'state'),
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
  };
}

async function run(home: string, args: readonly string[], { env = {}, cwd = home, stdin = '', interruptAfter, killAfter, fileBytesMax }: RunOptions = {}) {
  const command = [process.execPath, PROGRAM, ...args];
  // POSIX counts the limit in blocks of 512 bytes.
  const limited = fileBytesMax === undefined ? command : ['sh', '-c', `ulimit -f ${Math.ceil(fileBytesMax / 512)} && exec "$0" "$@"`, ...command];
  const child = spawn(limited[0]!, limited.slice(1), { cwd, env: { ...environment(home), ...env } });
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  void interruptAfter?.then(() => child.kill('SIGINT'));
  void killAfter?.then(() => child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (args.includes('--json')) checkDocuments(stdout);
  return { code, stdout, stderr };
}
