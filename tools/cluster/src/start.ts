// `npm start`: a gateway and two banks that stay up, with their data in data/, until Ctrl-C.
import { parseArgs } from 'node:util';
import { startCluster, type Cluster } from './cluster.ts';
import { describeExit, workspaceRoot, type ServiceProcess } from './service-process.ts';

const SAME_SIGNAL_MS = 500;

const USAGE = `Usage: npm start [-- --port 7400]

Starts gateway g1 and the banks alpha and beta on this machine and keeps them up. Ctrl-C stops them.
`;

const NEXT = `In another terminal:
  npx strife login alpha alice              the password is alice-password
  npx strife balance
  npx strife pay beta/bob 12.50 --memo lunch
  npx strife history
  npx strife audit

Users: alice and carol at alpha, bob and dave at beta. Ctrl-C stops everything; data/ keeps the accounts.`;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '7400' }, help: { type: 'boolean', default: false } } });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (!/^\d{1,5}$/.test(values.port)) {
    console.error(`--port: expected a number, got "${values.port}"`);
    return 2;
  }
  const stopping = stopOnSignal();
  const cluster = await startCluster({
    root: workspaceRoot,
    directories: { registry: 'tmp/registry', profile: '.strife' },
    ports: { g1: Number(values.port) },
  });
  const services = [...Object.values(cluster.gateways), ...Object.values(cluster.banks)];
  console.log(`Strife is up:\n${services.map(describe).join('\n')}\n\n${NEXT}`);
  const failures = await Promise.all(services.map((service) => keepUp(service, stopping)));
  const clean = await stopAll(cluster);
  return clean && failures.every((failed) => !failed) ? 0 : 1;
}

/**
 * Aborts at the first SIGINT or SIGTERM; a later one ends this process at once, and with it the services. One Ctrl-C may
 * arrive twice, from the terminal and from npm, so signals that follow at once count as one.
 */
function stopOnSignal(): AbortController {
  const stopping = new AbortController();
  let firstAt = 0;
  const onSignal = (): void => {
    if (!stopping.signal.aborted) {
      firstAt = performance.now();
      stopping.abort();
    } else if (performance.now() - firstAt > SAME_SIGNAL_MS) {
      process.exit(1);
    }
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return stopping;
}

/**
 * Starts a service again whenever it ends by itself: it recovers from its files. Resolves with false when the cluster is to
 * stop, and with true, after asking for that, when the service cannot be started again.
 */
async function keepUp(service: ServiceProcess, stopping: AbortController): Promise<boolean> {
  for (;;) {
    const exit = await Promise.race([service.exited, aborted(stopping.signal)]);
    if (exit === undefined) return false;
    console.error(`${service.role} ${service.name} ended (${describeExit(exit)}), starting it again; log: ${service.logFile}`);
    try {
      await service.restart();
    } catch (error) {
      console.error((error as Error).message);
      stopping.abort();
      return true;
    }
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((settle) => {
    if (signal.aborted) settle(undefined);
    else signal.addEventListener('abort', () => settle(undefined), { once: true });
  });
}

/** True if every service that still ran ended well. */
async function stopAll(cluster: Cluster): Promise<boolean> {
  console.log('Stopping ...');
  const services = [...Object.values(cluster.gateways), ...Object.values(cluster.banks)];
  const exits = services.filter(({ running }) => running).map(({ exited }) => exited);
  await cluster.stop();
  return (await Promise.all(exits)).every(({ code }) => code === 0);
}

function describe({ role, name, address, pid, logFile }: ServiceProcess): string {
  return `  ${role.padEnd(8)}${name.padEnd(8)}${address.padEnd(18)}pid ${String(pid).padEnd(8)}${logFile}`;
}

try {
  process.exit(await main());
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
