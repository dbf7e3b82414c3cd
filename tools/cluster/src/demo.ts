// `npm run demo`: starts a cluster in a new folder, walks through the main job, and takes everything away again.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { startCluster, type Cluster } from './cluster.ts';
import { chooseDiscovery, CommandError, discoveryOptions, parseCommand, type ChosenDiscovery } from './discovery-option.ts';
import { walk } from './demo-steps.ts';
import { narrator } from './narrator.ts';
import { workspaceRoot } from './service-process.ts';

/** Short, so that a payment that meets the killed bank is soon tried again. */
const PREPARE_TIMEOUT_MS = 1000;

async function main(): Promise<number> {
  const startedAt = performance.now();
  const options = parseCommand(discoveryOptions);
  await mkdir(join(workspaceRoot, 'tmp'), { recursive: true });
  const root = await mkdtemp(join(workspaceRoot, 'tmp', 'demo-'));
  let cluster: Cluster | undefined;
  let chosen: ChosenDiscovery | undefined;
  try {
    chosen = await chooseDiscovery(options, join(root, 'consul'));
    const { consulAddress } = chosen;
    const told = narrator((line) => console.log(line));
    cluster = await told.step('Start a gateway and two banks', async () => {
      const value = await startCluster({ root, prepareTimeoutMs: PREPARE_TIMEOUT_MS, consulAddress });
      return { words: describe(value), value };
    });
    await walk(cluster, told, { queueFile: join(root, 'queue.sqlite'), consulAddress });
    const started = cluster;
    await told.step('Stop', async () => ({ words: '', value: await started.stop() }));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    console.error(`\nThe demo failed.\n${(error as Error).message}\nLogs: ${relative(workspaceRoot, join(root, 'logs'))}`);
    await cluster?.stop();
    return 1;
  } finally {
    await chosen?.stop();
  }
  await rm(root, { recursive: true, force: true });
  console.log(`\nDone in ${((performance.now() - startedAt) / 1000).toFixed(1)} s. To play with it yourself: npm start`);
  return 0;
}

function describe({ gateways, banks }: Cluster): string {
  return [...Object.values(gateways), ...Object.values(banks)].map(({ name, address }) => `${name} on ${address}`).join(', ');
}

// The services end by themselves when this process does.
process.on('SIGINT', () => process.exit(130)).on('SIGTERM', () => process.exit(143));
try {
  process.exit(await main());
} catch (error) {
  console.error((error as Error).message);
  process.exit(error instanceof CommandError ? 2 : 1);
}
