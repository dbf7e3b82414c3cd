// One cluster for a spec file: real processes in a temporary folder, people who bank there, and the proof at the end.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster } from '@strife/cluster';
import type { Cluster, ClusterOptions } from '@strife/cluster';
import type { Strife } from '@strife/sdk';
import { AdminServiceDefinition } from '@strife/stubs/bank';
import { openCallers } from './callers.ts';
import type { Callers } from './callers.ts';
import { compileCache } from './compile-cache.ts';

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
  readonly timeoutMs?: number;
}

export interface TestCluster extends Cluster {
  readonly root: string;
  /** Clients with any certificate that the cluster's authority signs. */
  readonly callers: Callers;
  /** Opens an account for somebody new, as the bank's operator does, and logs them in. */
  person(bank: string, options?: PersonOptions): Promise<Person>;
  /** Closes every client, stops the services and removes their files. */
  end(): Promise<void>;
}

const OPENING_MINOR = 100_000n;

export async function startTestCluster(options: Omit<ClusterOptions, 'root'> = {}): Promise<TestCluster> {
  const root = await mkdtemp(join(tmpdir(), 'strife-e2e-'));
  const cluster = await startCluster({ ...options, root, env: { ...compileCache, ...options.env } });
  const callers = openCallers(cluster.directories.certs);
  const clients: Strife[] = [];
  let people = 0;

  async function person(bank: string, { currency = 'EUR', openingMinor = OPENING_MINOR, timeoutMs }: PersonOptions = {}): Promise<Person> {
    people += 1;
    const name = `p${people}`;
    const operator = await callers.client(AdminServiceDefinition, cluster.service(bank).address, 'operator/root');
    await operator.openAccount({ username: name, password: passwordOf(name), currency, openingMinor });
    const account = `${bank}/${name}`;
    const strife = await cluster.login(account, timeoutMs === undefined ? {} : { timeoutMs });
    clients.push(strife);
    return { bank, name, account, strife, posted: async () => (await strife.balance()).posted.minorUnits };
  }

  async function end(): Promise<void> {
    await Promise.all(clients.map((client) => client.close()));
    callers.close();
    await cluster.stop();
    await rm(root, { recursive: true, force: true });
  }

  return { ...cluster, root, callers, person, end };
}

/** The password of everybody in a test cluster. */
export function passwordOf(name: string): string {
  return `${name}-password`;
}
