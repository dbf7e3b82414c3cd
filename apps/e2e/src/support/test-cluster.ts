// One cluster for a spec file: real processes in a temporary folder, people who bank there, and the proof at the end.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadTls } from '@strife/certs';
import { startCluster } from '@strife/cluster';
import type { Cluster, ClusterOptions } from '@strife/cluster';
import { connect } from '@strife/sdk';
import type { Strife } from '@strife/sdk';
import { AdminServiceDefinition } from '@strife/stubs/bank';
import { openCallers } from './callers.ts';
import type { Callers } from './callers.ts';
import { compileCache } from './compile-cache.ts';
import { openTestDiscovery } from './discovery.ts';
import type { TestDiscovery } from './discovery.ts';

/** A user with an account of their own, logged in. */
export interface Person {
  readonly bank: string;
  readonly name: string;
  /** `alpha/p1` */
  readonly account: string;
  readonly strife: Strife;
  /** Posted, in minor units. */
  posted(): Promise<bigint>;
}

export interface PersonOptions {
  /** Default: EUR. */
  readonly currency?: string;
  /** Default: 1,000.00. */
  readonly openingMinor?: bigint;
  /** Default: 30 s. */
  readonly timeoutMs?: number;
}

export interface TestCluster extends Cluster {
  readonly root: string;
  readonly discovery: TestDiscovery;
  /** Clients with any certificate that the cluster's authority signs. */
  readonly callers: Callers;
  /** Opens an account for somebody new, as the bank's operator does, and logs them in. */
  person(bank: string, options?: PersonOptions): Promise<Person>;
  /** Closes every client, stops the services and removes their files. */
  end(): Promise<void>;
}

const OPENING_MINOR = 100_000n;
const PATIENT_MS = 30_000;
/** So that "settled" means that also on a slow machine. */
const SETTLE_WAIT = '10s';

export async function startTestCluster(options: Omit<ClusterOptions, 'root'> = {}): Promise<TestCluster> {
  const root = await mkdtemp(join(tmpdir(), 'strife-e2e-'));
  const discovery = await openTestDiscovery(root);
  const cluster = await startOrEnd({ ...options, root, consulAddress: discovery.agent?.address, env: { STRIFE_SETTLE_WAIT: SETTLE_WAIT, ...compileCache, ...options.env } }, discovery);
  const callers = openCallers(discovery);
  const clients: Strife[] = [];
  let people = 0;

  async function person(bank: string, { currency = 'EUR', openingMinor = OPENING_MINOR, timeoutMs = PATIENT_MS }: PersonOptions = {}): Promise<Person> {
    people += 1;
    const name = `p${people}`;
    const operator = await callers.client(AdminServiceDefinition, cluster.service(bank).address, 'operator/root');
    await operator.openAccount({ username: name, password: passwordOf(name), currency, openingMinor });
    const account = `${bank}/${name}`;
    const strife = await cluster.login(account, { timeoutMs });
    clients.push(strife);
    return { bank, name, account, strife, posted: async () => (await strife.balance()).posted.minorUnits };
  }

  async function end(): Promise<void> {
    await Promise.all(clients.map((client) => client.close()));
    callers.close();
    await cluster.stop();
    await discovery.end();
    await rm(root, { recursive: true, force: true });
  }

  const started = { ...cluster, root, discovery, callers, person, end };
  await untilGatewaysMeet(started);
  return started;
}

/** Gateways start together, and each hears of the others a moment later; until then it takes no session of theirs. */
async function untilGatewaysMeet({ gateways, banks, directories, person }: TestCluster): Promise<void> {
  const addresses = Object.values(gateways).map(({ address }) => address);
  const [bank] = Object.keys(banks);
  if (addresses.length < 2 || bank === undefined) return;
  const tls = await loadTls(directories.certs, 'client/dev');
  const { name } = await person(bank);
  for (const address of addresses) {
    await using own = await connect({ gateways: [address], tls });
    const session = await own.login({ bank, username: name, password: passwordOf(name) });
    for (const other of addresses) {
      await using strife = await connect({ gateways: [other], tls, session });
      while (!(await strife.balance().then(() => true, () => false))) await delay(20);
    }
  }
}

async function startOrEnd(options: ClusterOptions, discovery: TestDiscovery): Promise<Cluster> {
  try {
    return await startCluster(options);
  } catch (error) {
    await discovery.end();
    throw error;
  }
}

/** The password of everybody in a test cluster. */
export function passwordOf(name: string): string {
  return `${name}-password`;
}
