// Which banks the gateway knows, by what the registry says.

import { describe, expect, it } from '@jest/globals';
import type { Instance, Registry } from '@strife/discovery';
import { systemClock } from '@strife/two-phase-commit';
import { createChannel } from 'nice-grpc';
import { createBankNetwork } from './bank-network.ts';

const instance = (id: string, port: number, meta: Record<string, string> = {}): Instance => ({ service: 'bank', id, host: '127.0.0.1', port, meta });

function networkOf(instances: readonly Instance[]) {
  const opened: string[] = [];
  const known = new Set<string>();
  let tell: (instances: readonly Instance[]) => void = () => undefined;
  const registry: Pick<Registry, 'watch'> = {
    watch(_service, onChange) {
      tell = onChange;
      return { instances: [], close: () => undefined };
    },
  };
  const network = createBankNetwork({
    registry: registry as Registry,
    openChannel(bank, { host, port }) {
      opened.push(`${bank} ${port}`);
      return createChannel(`${host}:${port}`);
    },
    knownBanks: { has: (bank) => known.has(bank), add: (bank) => void known.add(bank) },
    logId: 'g1.log', clock: systemClock, random: Math.random, prepareTimeoutMs: 1000,
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  tell(instances);
  return { network, opened, tell: (changed: readonly Instance[]) => tell(changed) };
}

describe('the banks of a gateway', () => {
  it('are called what the registry calls them, whatever else an entry says: no bank can take the place of another', async () => {
    const { network, opened } = networkOf([instance('beta', 1), instance('zeta', 2, { bank: 'beta' })]);
    expect(opened).toEqual(['beta 1', 'zeta 2']);
    expect(typeof network.find('beta')).toBe('object');
    await network.close();
  });

  it('are unknown before they were seen, and unreachable once they have left', async () => {
    const { network, tell } = networkOf([instance('beta', 1)]);
    expect(network.find('alpha')).toBe('unknown');
    tell([]);
    expect(network.find('beta')).toBe('unreachable');
    await network.close();
  });
});
