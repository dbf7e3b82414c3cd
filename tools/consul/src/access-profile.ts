// Who may do what at Consul, and who may call whom: the access profile of a Strife as values. Makes nothing.

import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

export interface Members {
  /** By name: `g1`. */
  readonly gateways: readonly string[];
  /** By name: `alpha`. */
  readonly banks: readonly string[];
  /** Nodes whose agents get a token too. */
  readonly agents: readonly string[];
}

/** What somebody may do. The name is that of the policy, of the token's description, and of its file. */
export interface Grant {
  readonly name: string;
  /** In HCL. */
  readonly rules: string;
}

/** `source` may, or may not, open connections to `destination`; both are Connect's names of services. */
export interface Intention {
  readonly source: string;
  readonly destination: string;
  readonly action: 'allow' | 'deny';
}

const POLICIES = resolve(import.meta.dirname, '../policies');
const CLIENT = 'strife-client';
const OPERATOR = 'strife-operator';
const gatewayName = (name: string): string => `strife-gateway-${name}`;
const bankName = (name: string): string => `strife-bank-${name}`;

/** One for each gateway and bank, one for all clients, one for all operators, one for each agent. */
export async function grantsOf({ gateways, banks, agents }: Members): Promise<readonly Grant[]> {
  const [gateway, bank, client, operator, agent] = await Promise.all(
    ['gateway', 'bank', 'client', 'operator', 'agent'].map((kind) => readFile(join(POLICIES, `${kind}.hcl`), 'utf8')));
  const named = (rules: string | undefined, name: string): string => rules!.replaceAll('__NAME__', name);
  return [
    ...gateways.map((name) => ({ name: gatewayName(name), rules: named(gateway, name) })),
    ...banks.map((name) => ({ name: bankName(name), rules: named(bank, name) })),
    { name: CLIENT, rules: client! },
    { name: OPERATOR, rules: operator! },
    ...agents.map((name) => ({ name: `strife-agent-${name}`, rules: named(agent, name) })),
  ];
}

/**
 * The access tables of the servers, by service: sessions and payments from clients and operators to gateways, payments from gateways to banks,
 * inquiries from banks to gateways, logouts between gateways, administration from operators to banks. All else is denied, also where the datacenter's
 * default is to allow.
 */
export function intentionsOf({ gateways, banks }: Members): readonly Intention[] {
  const [allGateways, allBanks] = [gateways.map(gatewayName), banks.map(bankName)];
  const allow = (sources: readonly string[], destinations: readonly string[]): Intention[] => destinations.flatMap((destination) =>
    sources.filter((source) => source !== destination).map((source) => ({ source, destination, action: 'allow' as const })));
  return [
    ...[...allGateways, ...allBanks].map((destination) => ({ source: '*', destination, action: 'deny' as const })),
    ...allow([CLIENT, OPERATOR, ...allBanks, ...allGateways], allGateways),
    ...allow([OPERATOR, ...allGateways], allBanks),
  ];
}
