// The Consul registry passes the contract with a real agent.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startConsul, type ConsulAgent } from '@strife/consul';
import { describeWithConsul } from '@strife/consul/testing';
import { afterAll, beforeAll } from '@jest/globals';
import { openConsulRegistry } from './consul-registry.ts';
import { describeRegistryContract } from './registry-contract.ts';
import { HEARD_WITHIN_MS } from './testing/consul-stage.ts';
import { startMember, type StartedMember } from './testing/start-member.ts';

await describeWithConsul('with a Consul agent', (program) => {
  let directory: string;
  let agent: ConsulAgent;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-consul-'));
    agent = await startConsul({ directory, program });
  });

  afterAll(async () => {
    await agent.stop();
    await rm(directory, { recursive: true });
  });

  describeRegistryContract('the Consul registry', async () => {
    const members: StartedMember[] = [];
    return {
      heardWithinMs: HEARD_WITHIN_MS,
      open: () => openConsulRegistry({ address: agent.address }),
      async startMember(instance) {
        const member = await startMember({ consul: { address: agent.address } }, instance);
        members.push(member);
        return member;
      },
      async close() {
        await Promise.all(members.map((member) => member.stop()));
      },
    };
  });
});
