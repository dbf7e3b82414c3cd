// `--discovery` and `--consul-addr` of `npm start` and `npm run demo`: a Consul agent that is there, or one of its own.
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { startConsul } from '@strife/consul';

export const discoveryOptions = {
  discovery: { type: 'string', default: 'embedded' },
  'consul-addr': { type: 'string' },
} as const satisfies ParseArgsOptionsConfig;

export const DISCOVERY_USAGE = `  --discovery embedded|consul   how services find each other and get certificates; default embedded
  --consul-addr <url>           the Consul agent to use; without it one is started where the program can be had
`;

/** A mistake in how the command was called. */
export class CommandError extends Error {}

/** Where services find each other. `stop` ends what was started for it. */
export interface ChosenDiscovery {
  readonly consulAddress: string | undefined;
  stop(): Promise<void>;
}

/**
 * Makes ready what the options ask for.
 *
 * @param directory where an agent of its own keeps its files
 * @throws CommandError for an unknown kind; ConsulStartError when no agent can be started
 */
export async function chooseDiscovery(
  { discovery, 'consul-addr': address }: { discovery: string; 'consul-addr'?: string | undefined },
  directory: string,
): Promise<ChosenDiscovery> {
  if (discovery === 'embedded') return { consulAddress: undefined, stop: async () => {} };
  if (discovery !== 'consul') throw new CommandError(`--discovery: expected embedded or consul, got "${discovery}"`);
  if (address !== undefined) return { consulAddress: address, stop: async () => {} };
  const agent = await startConsul({ directory });
  return { consulAddress: agent.address, stop: () => agent.stop() };
}

/** As `parseArgs`, with CommandError for what it does not know. */
export function parseCommand<const Options extends ParseArgsOptionsConfig>(options: Options): ReturnType<typeof parseArgs<{ options: Options }>>['values'] {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}
