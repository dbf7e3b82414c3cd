// What a round plays on: two gateways, two banks and three clients as processes, with a proxy on every link between them.

import { join } from 'node:path';
import { seedUser, startCluster } from '@strife/cluster';
import type { Cluster, ServiceProcess } from '@strife/cluster';
import { compileCache } from '../../support/compile-cache.ts';
import { clockVariables, setClock } from '../clock.ts';
import { startTcpProxy } from '../tcp-proxy.ts';
import type { TcpProxy } from '../tcp-proxy.ts';
import { startPayer } from './payer-process.ts';
import type { PayerProcess } from './payer-process.ts';
import type { StoreOfService } from './snapshot.ts';

export const BANKS = ['alpha', 'beta'] as const;
export const GATEWAYS = ['g1', 'g2'] as const;
const SERVICES = [...BANKS, ...GATEWAYS] as const;
const PAYERS = ['alpha/p1', 'alpha/p2', 'beta/p3'] as const;
const PREPARE_TIMEOUT_MS = 1000;
const OPENING_MINOR = 100_000_000n;

export interface Stage {
  readonly cluster: Cluster;
  readonly services: readonly ServiceProcess[];
  readonly payers: readonly PayerProcess[];
  /** By the journal of each client. */
  readonly journals: readonly string[];
  readonly stores: readonly StoreOfService[];
  /** What was deposited at each bank before the clients start; nobody deposits more. */
  readonly seededMinor: Readonly<Record<string, bigint>>;
  /** `to g1` is what banks and gateways reach it by, `clients to g1` what clients do. */
  readonly proxies: Readonly<Record<string, TcpProxy>>;
  /** Sets a service's clock; 0 is right. Takes effect within a second. Absent without libfaketime. */
  readonly setClock: ((service: string, offsetS: number) => Promise<void>) | undefined;
  /** Ends everything at once; files stay. */
  strike(): Promise<void>;
}

/** @param faketime the library's path */
export async function buildStage({ root, seed, faketime }: { root: string; seed: number; faketime: string | undefined }): Promise<Stage> {
  const proxies: Record<string, TcpProxy> = {};
  for (const name of SERVICES) proxies[`to ${name}`] = await startTcpProxy();
  for (const name of GATEWAYS) proxies[`clients to ${name}`] = await startTcpProxy();
  const clockFile = (name: string): string => join(root, `clock-${name}`);
  const setServiceClock = (name: string, offsetS: number): Promise<void> => setClock(clockFile(name), offsetS);
  if (faketime !== undefined) await Promise.all(SERVICES.map((name) => setServiceClock(name, 0)));

  const cluster = await startCluster({
    root, gateways: GATEWAYS, banks: BANKS, prepareTimeoutMs: PREPARE_TIMEOUT_MS, env: compileCache,
    users: Object.fromEntries(BANKS.map((bank) => [bank, payersOf(bank).map(userOf)])),
    advertise: Object.fromEntries(SERVICES.map((name) => [name, proxies[`to ${name}`]!.address])),
    envOf: faketime === undefined ? undefined : Object.fromEntries(SERVICES.map((name) => [name, clockVariables(faketime, clockFile(name))])),
  });
  for (const name of SERVICES) {
    proxies[`to ${name}`]!.aim(cluster.service(name).address);
    proxies[`clients to ${name}`]?.aim(cluster.service(name).address);
  }
  const journals = PAYERS.map((payer) => join(root, `journal-${payer.replace('/', '-')}.jsonl`));
  const payers = PAYERS.map((payer, index) => {
    const [bank = '', username = ''] = payer.split('/');
    return startPayer({
      bank, username, password: seedUser(username).password, seed: seed + index, journal: journals[index]!,
      gateways: GATEWAYS.map((name) => proxies[`clients to ${name}`]!.address), certsDirectory: cluster.directories.certs,
      payees: PAYERS.filter((other) => other !== payer),
    });
  });
  const services = SERVICES.map((name) => cluster.service(name));
  return {
    cluster, services, payers, journals, proxies,
    stores: services.map(({ role, name }) => ({ role, name, file: join(cluster.directories.data, `${role}-${name}.sqlite`) })),
    seededMinor: Object.fromEntries(BANKS.map((bank) => [bank, OPENING_MINOR * BigInt(payersOf(bank).length)])),
    setClock: faketime === undefined ? undefined : setServiceClock,
    async strike() {
      for (const payer of payers) payer.kill();
      await Promise.all(services.map((service) => service.kill('SIGKILL')));
      await Promise.all(Object.values(proxies).map((proxy) => proxy.close()));
    },
  };
}

function payersOf(bank: string) {
  return PAYERS.filter((payer) => payer.startsWith(`${bank}/`));
}

function userOf(payer: string) {
  return seedUser(payer.split('/')[1]!, { openingMinor: OPENING_MINOR });
}
