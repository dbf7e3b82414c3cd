// `npm start`: a gateway and two banks that stay up, with their data in data/, until Ctrl-C.
import { join } from 'node:path';
import { startCluster, type Cluster } from './cluster.ts';
import { chooseDiscovery, CommandError, DISCOVERY_USAGE, discoveryOptions, parseCommand } from './discovery-option.ts';
import { defaultUsers } from './seed-users.ts';
import { describeExit, workspaceRoot, type ServiceProcess } from './service-process.ts';

const SAME_SIGNAL_MS = 500;

const USAGE = `Usage: npm start [-- --port 7400] [--discovery consul] [--gateways 2] [--banks alpha,beta,gamma]

Starts gateways and banks on this machine and keeps them up. Ctrl-C stops them.

  --port <number>               of the first gateway; the next ones follow; default 7400
  --gateways <number>           default 1
  --banks <names>               default alpha,beta
${DISCOVERY_USAGE}`;

/** What to type next, with users of the banks that run. */
function next(banks: readonly string[]): string {
  const users = banks.flatMap((bank) => (defaultUsers[bank] ?? []).map(({ username, password }) => ({ bank, username, password })));
  const [payer] = users;
  if (payer === undefined) return `No users: only ${Object.keys(defaultUsers).join(', ')} start with some. Ctrl-C stops everything; data/ keeps the accounts.`;
  const payee = users.find(({ bank }) => bank !== payer.bank) ?? users[1] ?? payer;
  const names = banks.map((bank) => [bank, users.filter((user) => user.bank === bank).map(({ username }) => username)] as const);
  return `In another terminal:
  ${`npx strife login ${payer.bank} ${payer.username}`.padEnd(42)}the password is ${payer.password}
  npx strife balance
  npx strife pay ${payee.bank}/${payee.username} 12.50 --memo lunch
  npx strife history
  npx strife doctor
  npx strife audit

Users: ${names.map(([bank, all]) => `${all.join(' and ') || 'nobody'} at ${bank}`).join(', ')}. Ctrl-C stops everything; data/ keeps the accounts.`;
}

async function main(): Promise<number> {
  const values = parseCommand({
    ...discoveryOptions,
    port: { type: 'string', default: '7400' },
    gateways: { type: 'string', default: '1' },
    banks: { type: 'string', default: 'alpha,beta' },
    help: { type: 'boolean', default: false },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (!/^\d{1,5}$/.test(values.port)) throw new CommandError(`--port: expected a number, got "${values.port}"`);
  if (!/^[1-9]$/.test(values.gateways)) throw new CommandError(`--gateways: expected 1 to 9, got "${values.gateways}"`);
  const gateways = Array.from({ length: Number(values.gateways) }, (_, index) => `g${index + 1}`);
  const banks = values.banks.split(',');
  const stopping = stopOnSignal();
  const chosen = await chooseDiscovery(values, join(workspaceRoot, 'data', 'consul'));
  const cluster = await startCluster({
    root: workspaceRoot,
    // Connect's certificates are kept apart from those that are made here.
    directories: { registry: 'tmp/registry', profile: '.strife', certs: chosen.consulAddress === undefined ? 'certs' : 'tmp/connect-certs' },
    gateways, banks,
    // Prometheus metrics on free ports; each log's line "ready" names its own.
    env: { STRIFE_METRICS_PORT: '0' },
    ports: Object.fromEntries(gateways.map((name, index) => [name, Number(values.port) + index])),
    consulAddress: chosen.consulAddress,
  });
  const services = [...Object.values(cluster.gateways), ...Object.values(cluster.banks)];
  console.log(`Strife is up:\n${services.map(describe).join('\n')}\n\n${next(banks)}`);
  const failures = await Promise.all(services.map((service) => keepUp(service, stopping)));
  const clean = await stopAll(cluster);
  await chosen.stop();
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
  process.exit(error instanceof CommandError ? 2 : 1);
}
