// A person's session at the command line, as text: every command, what it printed, and its exit code. What differs from run to run is replaced.
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { startCluster, type Cluster } from './cluster.ts';
import { workspaceRoot } from './service-process.ts';

/** What the person types, with the exit code that it has; or what happens to the gateway. */
type Step = readonly [typed: string, exitCode: number] | { readonly happens: 'the gateway is stopped' | 'the gateway is started again' };

const STEPS: readonly Step[] = [
  ['login alpha alice', 0],
  ['balance', 0],
  ['pay beta/bob 12.50 --memo lunch', 0],
  { happens: 'the gateway is stopped' },
  ['pay beta/bob 3 --memo tea --timeout 2', 7],
  ['pay beta/bob 5.00 --memo coffee --offline --expires-in 2h', 9],
  ['queue list', 0],
  { happens: 'the gateway is started again' },
  ['queue flush', 0],
  ['balance', 0],
  ['history', 0],
  ['doctor', 0],
  ['audit', 0],
  ['logout', 0],
];

/**
 * Starts a cluster as `npm start` does, in a folder of its own, goes through the session and stops it.
 *
 * @throws Error if a command ends with another exit code than it should
 */
export async function recordSession(root: string): Promise<string> {
  await using cluster = await startCluster({ root });
  const home = join(root, 'home');
  await mkdir(home, { recursive: true });
  const parts: string[] = [];
  for (const step of STEPS) {
    if ('happens' in step) {
      parts.push(`# ${step.happens}\n`);
      const gateway = cluster.service('g1');
      await (step.happens === 'the gateway is stopped' ? gateway.stop() : gateway.restart());
      continue;
    }
    const [typed, expected] = step;
    const { printed, exitCode } = await type(cluster, home, typed);
    if (exitCode !== expected) throw new Error(`strife ${typed}: exit ${exitCode} in place of ${expected}\n${printed}`);
    parts.push(`$ strife ${typed}\n${printed}${exitCode === 0 ? '' : `[exit ${exitCode}]\n`}`);
  }
  return steady(parts.join('\n'), root);
}

/** The commands, what happened, and the exit codes: what every recording has in common. */
export function shapeOf(transcript: string): string[] {
  return transcript.split('\n').filter((line) => /^(\$|#|\[exit)/.test(line));
}

/** stdout and stderr together, as a terminal shows them. The password comes by a variable, where a person would be asked. */
async function type(cluster: Cluster, home: string, typed: string): Promise<{ printed: string; exitCode: number | null }> {
  const program = join(workspaceRoot, 'apps/client/bin/strife.mjs');
  const env = { PATH: process.env['PATH'], HOME: home, TZ: 'UTC', NO_COLOR: '1', STRIFE_PROFILE: cluster.profileFile, STRIFE_PASSWORD: 'alice-password' };
  const child = spawn('sh', ['-c', 'exec "$0" "$@" 2>&1', process.execPath, program, ...typed.split(' ')], { cwd: home, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [printed, exitCode] = await Promise.all([text(child.stdout), ended]);
  return { printed, exitCode };
}

/** Ids by the order in which they come, times, addresses, sizes and the folder, all that another run has otherwise, become the same each time, and no shorter. */
function steady(transcript: string, root: string): string {
  const ids: string[] = [];
  return transcript
    .replaceAll(join(root, 'home'), '~')
    .replaceAll(root, '<folder>')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, (id) => {
      if (!ids.includes(id)) ids.push(id);
      return `01900000-0000-7000-8000-${String(ids.indexOf(id) + 1).padStart(12, '0')}`;
    })
    .replaceAll(/\d{4}-\d\d-\d\d([ T])\d\d:\d\d:\d\d(\.\d+Z)?/g, (_time, between: string, rest = '') => `2026-01-01${between}09:00:00${rest && '.000Z'}`)
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:7400')
    .replaceAll(/[0-9a-f]{16}\.(json|sqlite)/g, '0123456789abcdef.$1')
    .replaceAll(/[\d.]+ MiB/g, '1.0 MiB');
}
