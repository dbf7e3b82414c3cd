// Makes `npm test`, `npm run demo` and the other commands work at once on a fresh clone: installs the packages when they
// differ from package-lock.json, and checks that the script after this one finds Node 24. Plain JavaScript that runs on
// Node 20, because it runs before anything is installed. Says nothing when there is nothing to do.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const LOCK_POLL_MS = 200;
const LOCK_WAIT_MAX_MS = 10 * 60 * 1000;

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const binaries = join(root, 'node_modules', '.bin');

try {
  if (!isInstalled()) withLock(() => isInstalled() || install());
  checkNode();
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}

/**
 * True when node_modules holds every package of package-lock.json at its version.
 * npm writes node_modules/.package-lock.json as the last step of an installation, so an interrupted one has none.
 */
function isInstalled() {
  const wanted = readPackages(join(root, 'package-lock.json'));
  if (wanted === undefined) throw new Error(`there is no package-lock.json in ${root}`);
  const present = readPackages(join(root, 'node_modules', '.package-lock.json'));
  if (present === undefined) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = present[path];
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Runs npm ci. Its output is shown only when it fails, and then all of it. */
function install() {
  const startedAt = Date.now();
  console.error('Installing packages with npm ci (about half a minute) ...');
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    // npm ci removes node_modules, so it must not run on the Node that lives there.
    env: { ...process.env, PATH: pathWithoutWorkspace() },
    encoding: 'utf8',
    shell: process.platform === 'win32',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error !== undefined) throw new Error(`npm cannot be started: ${result.error.message}`);
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout}${result.stderr}`);
    throw new Error(`npm ci failed (${result.signal ?? `exit ${result.status}`}); its output is above`);
  }
  console.error(`Installed in ${Math.round((Date.now() - startedAt) / 1000)} s.`);
}

/** The scripts after this one run TypeScript directly, which needs Node 24; npm puts node_modules/.bin first on PATH. */
function checkNode() {
  const version = isWorkspaceNode() ? process.version : versionOnPath();
  if (Number(/^v(\d+)/.exec(version)?.[1] ?? 0) >= NODE_MAJOR_MIN) return;
  throw new Error(
    `Node ${NODE_MAJOR_MIN} is needed and ${version === '' ? 'none was found' : `${version} was found`}: ` +
      "the package 'node' was installed without its install script; run `npm ci --ignore-scripts=false`",
  );
}

function isWorkspaceNode() {
  try {
    return realpathSync(process.execPath) === realpathSync(join(binaries, 'node'));
  } catch {
    return false;
  }
}

function versionOnPath() {
  const path = [binaries, process.env.PATH ?? ''].join(delimiter);
  return spawnSync('node', ['--version'], { encoding: 'utf8', env: { ...process.env, PATH: path } }).stdout?.trim() ?? '';
}

function pathWithoutWorkspace() {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((directory) => resolve(directory) !== binaries)
    .join(delimiter);
}

/** Lets one process at a time install; a lock whose owner is gone is taken over. */
function withLock(run) {
  const lock = join(root, 'tmp', 'setup.lock');
  mkdirSync(dirname(lock), { recursive: true });
  const giveUpAt = Date.now() + LOCK_WAIT_MAX_MS;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!isOwnerAlive(lock)) rmSync(lock, { force: true });
    else if (Date.now() > giveUpAt) throw new Error(`another setup holds ${lock}; remove the file if none is running`);
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_POLL_MS);
  }
  try {
    run();
  } finally {
    rmSync(lock, { force: true });
  }
}

function isOwnerAlive(lock) {
  try {
    process.kill(Number(readFileSync(lock, 'utf8')), 0);
    return true;
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}
