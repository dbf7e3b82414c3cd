// Publishes the packages to a registry of its own, checks their types, installs them into fresh projects of many kinds, and pays from each:
//
//   npm run consumers [-- <project> ...]
//
// Exits 0 if the types are right, every project has paid, the payments are in the books, and the books are clean.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { startCluster } from '@strife/cluster';
import { auditStores } from '@strife/storage';
import { checkTypes, publishPackages } from './packages.ts';
import { installPrograms } from './programs.ts';
import { payFrom, projectNames } from './project.ts';
import { startRegistry } from './registry.ts';

const root = resolve(import.meta.dirname, '../../..');
/** Node 24 as this repository brings it, for all that is run. */
process.env['PATH'] = [join(root, 'node_modules', '.bin'), process.env['PATH']].join(delimiter);

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const folder = await mkdtemp(join(tmpdir(), 'strife-consumers-'));
try {
  const failed = await run(await chosen(process.argv.slice(2)));
  process.exitCode = failed === 0 ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function chosen(names: readonly string[]): Promise<string[]> {
  const all = await projectNames();
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Error(`no such project: ${unknown.join(', ')}; there are ${all.join(', ')}`);
  return names.length === 0 ? all : [...names];
}

/** The number of projects that did not pay, or whose payment is not in the books. */
async function run(names: readonly string[]): Promise<number> {
  const programOf = await installPrograms();
  await using registry = await startRegistry(join(folder, 'registry'), programOf('verdaccio'));
  await publishPackages(registry);
  await checkTypes(folder, programOf);
  say('ok      types, as consumers resolve them');
  await using cluster = await startCluster({ root: join(folder, 'cluster') });
  const gateway = cluster.service('g1').address;
  const paid = new Map<string, string>();
  for (const name of names) {
    const startedAt = performance.now();
    try {
      const env = { GATEWAY: gateway, CERTS: cluster.directories.certs, MEMO: name };
      const { id, node } = await payFrom(name, { folder, npmrc: registry.npmrc, env });
      paid.set(id, name);
      say(`ok      ${name} (node ${node}, ${seconds(startedAt)} s)`);
    } catch (error) {
      say(`FAILED  ${name} (${seconds(startedAt)} s)\n${(error as Error).message}`);
    }
  }
  const missing = await notInTheBooks(cluster, paid);
  for (const name of missing) say(`FAILED  ${name}: its payment is not in the payee's books`);
  say(`${paid.size - missing.length} of ${names.length} projects have paid`);
  return names.length - paid.size + missing.length;
}

async function notInTheBooks(cluster: Awaited<ReturnType<typeof startCluster>>, paid: ReadonlyMap<string, string>): Promise<string[]> {
  const bob = await cluster.login('beta/bob');
  const received = new Set<string>();
  for await (const { transferId, memo } of bob.history({ limit: 1000 })) if (transferId !== undefined && paid.get(transferId) === memo) received.add(transferId);
  await bob.close();
  const data = cluster.directories.data;
  const report = auditStores({ banks: ['alpha', 'beta'].map((name) => join(data, `bank-${name}.sqlite`)), gateways: [join(data, 'gateway-g1.sqlite')] });
  if (!report.ok) throw new Error(`the books are not clean: ${JSON.stringify(report.violations)}`);
  return [...paid].filter(([id]) => !received.has(id)).map(([, name]) => name);
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1000).toFixed(1);
}
