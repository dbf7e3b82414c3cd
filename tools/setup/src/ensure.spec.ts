// Runs the setup script in small workspaces of its own, with a stand-in for npm.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

interface Outcome {
  readonly status: number | null;
  readonly output: string;
  readonly installations: number;
}

const LOCK = { packages: { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0', optional: true } } };
const INSTALLED = { packages: { 'node_modules/a': { version: '1.0.0' } } };

describe('ensure.mjs', () => {
  let root = '';

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'strife-setup-'));
    mkdirSync(join(root, 'tools/setup'), { recursive: true });
    cpSync(join(import.meta.dirname, '../ensure.mjs'), join(root, 'tools/setup/ensure.mjs'));
    write('package-lock.json', JSON.stringify(LOCK));
    standInForNpm(`mkdir -p node_modules/.bin; ln -sf '${process.execPath}' node_modules/.bin/node; cp installed.json node_modules/.package-lock.json`);
    write('installed.json', JSON.stringify(INSTALLED));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('installs when there is no node_modules, and then is silent', () => {
    const first = ensure();
    expect(first).toMatchObject({ status: 0, installations: 1 });
    expect(first.output).toMatch(/^Installing packages with npm ci .*\nInstalled in \d+ s\.\n$/);
    expect(ensure()).toEqual({ status: 0, output: '', installations: 1 });
  });

  it('installs again when the lock names another version', () => {
    ensure();
    const next = { packages: { '': {}, 'node_modules/a': { version: '1.0.1' } } };
    write('package-lock.json', JSON.stringify(next));
    write('installed.json', JSON.stringify(next));
    expect(ensure()).toMatchObject({ status: 0, installations: 2 });
  });

  it('installs again after an installation that was interrupted', () => {
    ensure();
    rmSync(join(root, 'node_modules/.package-lock.json'));
    expect(ensure()).toMatchObject({ status: 0, installations: 2 });
  });

  it('shows the output of npm and fails when npm fails', () => {
    standInForNpm('echo "the network is down" >&2; exit 3');
    const { status, output } = ensure();
    expect(status).toBe(1);
    expect(output).toContain('the network is down\n');
    expect(output).toContain('setup: npm ci failed (exit 3); its output is above\n');
  });

  it('says what to do when npm skipped the install script that brings Node 24', () => {
    standInForNpm('mkdir -p node_modules/.bin; cp installed.json node_modules/.package-lock.json');
    write('bin/node', '#!/bin/sh\necho v20.20.2\n');
    chmodSync(join(root, 'bin/node'), 0o755);
    const { status, output } = ensure();
    expect(status).toBe(1);
    expect(output).toMatch(/Node 24 is needed and v20\.20\.2 was found: .*npm ci --ignore-scripts=false/);
  });

  it('takes over the lock of a setup that was killed', () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    write('tmp/setup.lock', String(pid));
    expect(ensure()).toMatchObject({ status: 0, installations: 1 });
    expect(existsSync(join(root, 'tmp/setup.lock'))).toBe(false);
  });

  function ensure(): Outcome {
    const path = `${join(root, 'bin')}:/usr/bin:/bin`;
    const result = spawnSync(process.execPath, ['tools/setup/ensure.mjs'], { cwd: root, encoding: 'utf8', env: { PATH: path } });
    const log = join(root, 'npm.log');
    const installations = existsSync(log) ? readFileSync(log, 'utf8').split('\n').length - 1 : 0;
    return { status: result.status, output: result.stdout + result.stderr, installations };
  }

  function standInForNpm(body: string): void {
    write('bin/npm', `#!/bin/sh\necho "$@" >> npm.log\n${body}\n`);
    chmodSync(join(root, 'bin/npm'), 0o755);
  }

  function write(file: string, text: string): void {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
});
