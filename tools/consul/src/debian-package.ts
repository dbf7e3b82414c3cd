// Unpacks a package of Debian, from the mirror that this machine is set up for: nothing is installed and nothing outside the
// given folder is changed.

import { execFile } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianArchives } from './debian-sources.ts';

const run = promisify(execFile);

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const SYSTEM_SOURCES = '/etc/apt';
const ARCHIVES_TRIED_MAX = 2;
const COMMAND_TIMEOUT_MS = 60_000;
const LEFTOVER_AGE_MS = 10 * 60_000;

export interface DebianPackage {
  readonly name: string;
  /** Of Debian's release to take it from: `bullseye`. */
  readonly suite: string;
}

/**
 * The folder with the package's files, `usr/bin/...`, unpacked now or by an earlier call. Any number of processes may ask at once.
 * The package is verified by apt against Debian's archive keys.
 *
 * @throws Error in one line, when this is no Debian with a mirror set up, or the mirror does not have the package
 */
export async function unpackDebianPackage(wanted: DebianPackage, cacheDirectory: string): Promise<string> {
  const unpacked = join(cacheDirectory, `${wanted.name}-${wanted.suite}`);
  if (await exists(unpacked)) return unpacked;
  if (!(await exists(KEYRING))) throw new Error('this is not a Debian system');
  const archives = (await debianArchives(SYSTEM_SOURCES)).slice(0, ARCHIVES_TRIED_MAX);
  if (archives.length === 0) throw new Error('apt has no Debian mirror set up');

  await mkdir(cacheDirectory, { recursive: true });
  await sweepLeftovers(cacheDirectory);
  // Under the system's temporary folder, since apt reads the lists as a user of its own.
  const work = await mkdtemp(join(tmpdir(), 'strife-apt-'));
  const target = await mkdtemp(join(cacheDirectory, LEFTOVER_PREFIX));
  try {
    await chmod(work, 0o755);
    await run('dpkg-deb', ['--extract', await downloadFromAny(wanted, archives, work), target], { timeout: COMMAND_TIMEOUT_MS });
    await chmod(target, 0o755);
    await publish(target, unpacked);
    return unpacked;
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(target, { recursive: true, force: true });
  }
}

async function downloadFromAny(wanted: DebianPackage, archives: readonly string[], work: string): Promise<string> {
  let failure: unknown;
  for (const [index, archive] of archives.entries()) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one mirror is enough
      return await download(wanted, archive, join(work, String(index)));
    } catch (error) {
      failure = error;
    }
  }
  const { stderr } = failure as { stderr?: string };
  const reason = stderr?.split('\n').find((line) => line.startsWith('E:')) ?? String(failure);
  throw new Error(`the Debian mirror does not give out its ${wanted.name} package (${reason})`);
}

/**
 * Reads lists and downloads in a folder of its own, so that the system's apt is neither locked nor changed. As root, apt warns that it
 * downloads without its sandbox: nobody else may write to the folder, or the verified package could be replaced.
 */
async function download({ name, suite }: DebianPackage, archive: string, folder: string): Promise<string> {
  const source = join(folder, 'archive.sources');
  const lists = join(folder, 'lists');
  const cache = join(folder, 'cache');
  const packages = join(folder, 'packages');
  for (const made of [folder, join(lists, 'partial'), join(cache, 'archives', 'partial'), packages]) {
    // oxlint-disable-next-line no-await-in-loop -- parents first
    await mkdir(made, { recursive: true, mode: 0o755 });
  }
  await writeFile(source, `Types: deb\nURIs: ${archive}\nSuites: ${suite}\nComponents: main\nSigned-By: ${KEYRING}\n`, { mode: 0o644 });
  const settings = {
    'Dir::Etc::SourceList': source,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'Dir::State::Lists': lists,
    'Dir::Cache': cache,
    'Acquire::Languages': 'none',
    'Acquire::http::Timeout': '10',
    'Acquire::https::Timeout': '10',
  };
  const options = ['-q', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  const how = { cwd: packages, timeout: COMMAND_TIMEOUT_MS, env: { ...process.env, LC_ALL: 'C' } };
  await run('apt-get', [...options, '-o', 'APT::Update::Error-Mode=any', 'update'], how);
  await run('apt-get', [...options, 'download', name], how);
  const file = (await readdir(packages)).find((entry) => entry.endsWith('.deb'));
  if (file === undefined) throw new Error('apt-get downloaded nothing');
  return join(packages, file);
}

/** The first of several processes wins; the others use what it made. */
async function publish(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

const LEFTOVER_PREFIX = '.unpacking-';

/** Of processes that were killed while they unpacked. */
async function sweepLeftovers(directory: string): Promise<void> {
  const oldest = Date.now() - LEFTOVER_AGE_MS;
  const names = (await readdir(directory)).filter((name) => name.startsWith(LEFTOVER_PREFIX));
  await Promise.all(names.map(async (name) => {
    const path = join(directory, name);
    const age = await stat(path).then(({ mtimeMs }) => mtimeMs, () => Infinity);
    if (age < oldest) await rm(path, { recursive: true, force: true });
  }));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}
