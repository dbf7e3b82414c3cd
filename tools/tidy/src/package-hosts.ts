// The hosts that this machine fetches packages from, as npm and apt are configured.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const APT_FOLDERS = ['/etc/apt', '/etc/apt/sources.list.d'];

/** Host names; empty where neither npm nor apt is configured. */
export function packageHosts(workspaceRoot: string): string[] {
  const addresses = [npmRegistry(workspaceRoot), ...APT_FOLDERS.flatMap(aptAddresses)];
  const hosts = addresses.flatMap((address) => (URL.canParse(address) ? [new URL(address).hostname] : []));
  return [...new Set(hosts)].filter((host) => host.includes('.'));
}

function npmRegistry(workspaceRoot: string): string {
  try {
    const args = ['config', 'get', 'registry'];
    return execFileSync('npm', args, { cwd: workspaceRoot, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}

function aptAddresses(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.list') || name.endsWith('.sources'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').match(/https?:\/\/[^\s\]]+/g) ?? []);
}
