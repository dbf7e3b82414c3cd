// Runs `strife audit` on a cluster's stores, as a person would.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Cluster } from './cluster.ts';
import { workspaceRoot } from './service-process.ts';

const AUDIT_TIMEOUT_MS = 20_000;

/**
 * Returns the audit's verdict, its first line.
 *
 * @throws Error with all that it says when an invariant is broken or the stores cannot be read
 */
export async function auditCluster({ profileFile }: Cluster): Promise<string> {
  const flags = ['--conditions=@strife/source', '--disable-warning=ExperimentalWarning'];
  const args = [...flags, 'apps/client/src/main.ts', 'audit', '--profile', profileFile];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: workspaceRoot, timeout: AUDIT_TIMEOUT_MS });
    return stdout.trim().split('\n')[0] ?? '';
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    throw new Error(`${stdout}${stderr}`.trim() || message, { cause: error });
  }
}
